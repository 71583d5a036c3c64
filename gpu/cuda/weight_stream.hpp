// Weights that are copied to the GPU for every execution, beside the steps before the one that needs them.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "gpu/cuda/host_weights.hpp"
#include "gpu/cuda/queue.hpp"
#include "gpu/cuda/steps/step.hpp"

namespace sparse_run::gpu::cuda {

/// Two buffers on the GPU that steps with streamed weights take turns in, and a stream that fills them: while a step
/// computes from one, the weights of the next such step arrive in the other. Used by the thread that holds the compute
/// stream.
class WeightStream {
 public:
  /// Error(device) when the GPU has no memory for the buffers.
  WeightStream(std::shared_ptr<Gpu> gpu, std::size_t buffer_bytes);
  ~WeightStream();
  WeightStream(const WeightStream&) = delete;
  WeightStream& operator=(const WeightStream&) = delete;

  /// A constant and where in a buffer it goes.
  struct Part {
    std::shared_ptr<const HostWeights> weights;  // shared with other signatures of the model
    std::size_t offset = 0;
  };

  /// Before a step is enqueued on `compute`: fills buffer `turn` (0 or 1) once nobody reads it, and makes `compute`
  /// wait.
  void fill(int turn, const std::vector<Part>& parts, StreamHandle compute);
  /// After it was enqueued.
  void release(int turn, StreamHandle compute);

  DevicePtr buffer(int turn) const { return address_of(buffers_[static_cast<std::size_t>(turn)].data()); }
  std::size_t bytes() const noexcept { return buffers_[0].bytes() + buffers_[1].bytes(); }

 private:
  std::shared_ptr<Gpu> gpu_;
  std::array<DeviceArray, 2> buffers_;
  std::array<std::unique_ptr<NativeEvent>, 2> arrived_;
  std::array<std::unique_ptr<NativeEvent>, 2> free_;
  std::array<bool, 2> read_{};  ///< whether free_ was recorded
  StreamHandle copies_ = nullptr;
};

}  // namespace sparse_run::gpu::cuda
