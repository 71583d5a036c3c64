// Filling buffers with weights in turn.
#include "gpu/cuda/weight_stream.hpp"

#include <utility>

namespace sparse_run::gpu::cuda {

WeightStream::WeightStream(std::shared_ptr<Gpu> gpu, std::size_t buffer_bytes) : gpu_(std::move(gpu)) {
  gpu_->enter();
  for (std::size_t turn = 0; turn < buffers_.size(); ++turn) {
    buffers_[turn] = DeviceArray(gpu_, buffer_bytes);
    arrived_[turn] = std::make_unique<NativeEvent>(gpu_);
    free_[turn] = std::make_unique<NativeEvent>(gpu_);
  }
  gpu_->check(gpu_->driver().stream_create(&copies_, kStreamNonBlocking), "creating a stream for weights");
}

WeightStream::~WeightStream() {
  // A copy whose step failed may still be under way; what fails here has no one left to tell.
  gpu_->driver().stream_synchronize(copies_);
  gpu_->driver().stream_destroy(copies_);
}

void WeightStream::fill(int turn, const std::vector<Part>& parts, StreamHandle compute) {
  const auto at = static_cast<std::size_t>(turn);
  const Driver& driver = gpu_->driver();
  if (read_[at]) gpu_->check(driver.stream_wait(copies_, free_[at]->handle(), 0), "waiting for a buffer of weights");
  for (const Part& part : parts) {
    gpu_->check(driver.copy_in(buffer(turn) + part.offset, part.weights->data(), part.weights->bytes(), copies_),
                fmt::format("streaming {} bytes of weights", part.weights->bytes()));
  }
  gpu_->check(driver.event_record(arrived_[at]->handle(), copies_), "recording an event");
  gpu_->check(driver.stream_wait(compute, arrived_[at]->handle(), 0), "waiting for weights");
}

void WeightStream::release(int turn, StreamHandle compute) {
  const auto at = static_cast<std::size_t>(turn);
  gpu_->check(gpu_->driver().event_record(free_[at]->handle(), compute), "recording an event");
  read_[at] = true;
}

}  // namespace sparse_run::gpu::cuda
