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
    std::string reason;
    GraphExecHandle graph = capture(stream, enqueue, reason);
    if (graph == nullptr) {
      enqueue();  // what is wrong with the work itself is thrown here, and is no matter of capturing
      refuse(std::move(reason));
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

std::string Replay::refusal() const {
  const std::lock_guard lock(mutex_);
  return reason_;
}

void Replay::refuse(std::string reason) {
  refused_ = true;
  if (gpu_->options().notice) {
    gpu_->options().notice(fmt::format("{}: {} is not replayed as a CUDA graph but launched step by step: {}",
                                       gpu_->facts().name, what_, reason));
  }
  const std::lock_guard lock(mutex_);
  reason_ = std::move(reason);
}

GraphExecHandle Replay::capture(StreamHandle stream, const std::function<void()>& enqueue, std::string& reason) {
  const Driver& driver = gpu_->driver();
  gpu_->check(driver.capture_begin(stream, kCaptureThreadLocal), "beginning to capture a partition");
  try {
    enqueue();
  } catch (const Error& error) {
    reason = error.what();  // enqueued again without capturing: a real failure shows there
  }
  GraphHandle graph = nullptr;
  if (const int code = driver.capture_end(stream, &graph); code != status::kSuccess) {
    if (reason.empty()) reason = fmt::format("capturing it failed: {}", gpu_->text(code));
    return nullptr;
  }
  GraphExecHandle executable = nullptr;
  if (reason.empty()) {
    if (const int code = driver.graph_instantiate(&executable, graph, 0); code != status::kSuccess) {
      reason = fmt::format("its graph cannot be made executable: {}", gpu_->text(code));
      executable = nullptr;
    }
  }
  driver.graph_destroy(graph);
  return executable;
}

}  // namespace sparse_run::gpu::cuda
