// Threads behind streams, and waiting for events.
#include "tests/cuda/host/host_stream.hpp"

#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "tests/cuda/host/host_gpu.hpp"

namespace sparse_run::host_cuda {

HostStream::HostStream(std::shared_ptr<HostGpu> gpu) : gpu_(std::move(gpu)), thread_([this] { serve(); }) {}

HostStream::~HostStream() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void HostStream::submit(HostWork work) {
  if (capturing_) {
    captured_.push_back(std::move(work));
    return;
  }
  const std::lock_guard lock(mutex_);
  queue_.push_back(std::move(work));
  changed_.notify_all();
}

void HostStream::synchronize() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return queue_.empty() && !busy_; });
}

void HostStream::begin_capture() {
  capturing_ = true;
  captured_.clear();
}

std::vector<HostWork> HostStream::end_capture() {
  capturing_ = false;
  return std::move(captured_);
}

void HostStream::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return closing_ || !queue_.empty(); });
    if (queue_.empty()) return;
    HostWork work = std::move(queue_.front());
    queue_.pop_front();
    busy_ = true;
    lock.unlock();
    work.run();
    work.run = nullptr;
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

std::uint64_t HostEvent::record() {
  const std::lock_guard lock(mutex_);
  return ++recorded_;
}

void HostEvent::reach(std::uint64_t turn) {
  const std::lock_guard lock(mutex_);
  reached_ = turn;
  when_ns_ = now_ns();
  changed_.notify_all();
}

void HostEvent::wait(std::uint64_t turn) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return reached_ >= turn; });
}

std::uint64_t HostEvent::recorded() const {
  const std::lock_guard lock(mutex_);
  return recorded_;
}

std::int64_t HostEvent::when_ns() const {
  const std::lock_guard lock(mutex_);
  return when_ns_;
}

int submit_kernel(void* handle, std::function<void()> run) {
  HostStream& stream = stream_of(handle);
  HostGpu& gpu = stream.gpu();
  if (!stream.capturing()) {
    const int code = status_of(gpu, gpu::cuda::status::kOutOfResources, [&] { gpu.faults.before_kernel("a kernel"); });
    if (code != gpu::cuda::status::kSuccess) return code;
  }
  stream.submit({[&gpu, work = std::move(run)] {
                   if (gpu.faults.lost()) return;
                   ++gpu.kernels;
                   work();
                 },
                 true});
  return gpu::cuda::status::kSuccess;
}

}  // namespace sparse_run::host_cuda
