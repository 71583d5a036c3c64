// Capturing and replaying CUDA graphs.
#include "gpu/cuda/replay.hpp"

#include <algorithm>

namespace sparse_run::gpu::cuda {

namespace {

constexpr std::size_t kMostGraphs = 8;

}  // namespace

Replay::~Replay() {
  for (const Captured& one : graphs_) gpu_->driver().graph_exec_destroy(one.graph);
}

void Replay::run(StreamHandle stream, const std::vector<DevicePtr>& addresses, const std::function<void()>& enqueue) {
  if (!warm_ || refused_) {
    enqueue();
    warm_ = true;
    return;
  }
  auto known =
      std::find_if(graphs_.begin(), graphs_.end(), [&](const Captured& one) { return one.addresses == addresses; });
  if (known == graphs_.end()) {
    GraphExecHandle graph = capture(stream, enqueue);
    if (graph == nullptr) {
      refused_ = true;
      enqueue();
      return;
    }
    if (graphs_.size() == kMostGraphs) {  // the driver keeps one that is running until it has ended
      gpu_->driver().graph_exec_destroy(graphs_.back().graph);
      graphs_.pop_back();
    }
    graphs_.push_front({addresses, graph});
    known = graphs_.begin();
  }
  graphs_.splice(graphs_.begin(), graphs_, known);
  gpu_->check(gpu_->driver().graph_launch(graphs_.front().graph, stream), "launching a captured partition");
  ++replays_;
}

GraphExecHandle Replay::capture(StreamHandle stream, const std::function<void()>& enqueue) {
  const Driver& driver = gpu_->driver();
  gpu_->check(driver.capture_begin(stream, kCaptureThreadLocal), "beginning to capture a partition");
  bool complete = true;
  try {
    enqueue();
  } catch (const Error&) {
    complete = false;  // what cannot be captured is enqueued again without: a real failure shows there
  }
  GraphHandle graph = nullptr;
  if (driver.capture_end(stream, &graph) != status::kSuccess) return nullptr;
  GraphExecHandle executable = nullptr;
  if (complete && driver.graph_instantiate(&executable, graph, 0) != status::kSuccess) executable = nullptr;
  driver.graph_destroy(graph);
  return executable;
}

}  // namespace sparse_run::gpu::cuda
