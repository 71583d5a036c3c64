// One step of an executable: it enqueues the kernels of a node.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "gpu/cuda/gpu.hpp"
#include "gpu/cuda/steps/node_view.hpp"

namespace sparse_run::gpu::cuda {

/// What a step is given for one execution. Addresses are parallel to the operands and results of its node; 0 where one
/// is omitted or not read.
struct StepLaunch {
  Gpu& gpu;
  StreamHandle stream;
  std::span<const DevicePtr> operands;
  std::span<const DevicePtr> results;
  DevicePtr scratch;  ///< scratch_bytes() long
  DevicePtr fault;    ///< 8 bytes, 0 before the first step

  template <class T>
  const T* in(std::size_t i) const {
    return i < operands.size() ? static_cast<const T*>(pointer_to(operands[i])) : nullptr;
  }
  template <class T>
  T* out(std::size_t i = 0) const {
    return static_cast<T*>(pointer_to(results[i]));
  }
};

/// Immutable. enqueue() is called by one thread at a time, the one that holds the compute stream, with the GPU entered;
/// it neither waits nor allocates, so that it can be captured into a CUDA graph.
class Step {
 public:
  virtual ~Step() = default;
  virtual void enqueue(const StepLaunch& launch) const = 0;
  virtual std::string_view kernel() const = 0;  ///< "gpu.softmax.f32"
  virtual std::size_t scratch_bytes() const { return 0; }
  virtual std::size_t weight_bytes() const { return 0; }  ///< of memory on the GPU that the step holds
  /// Whether enqueue() looks at operand i: constants that no step reads are not copied to the GPU.
  virtual bool reads(std::size_t) const { return true; }
  virtual double flops() const { return 0; }  ///< that non-zero weights need
  virtual double executed_flops() const { return flops(); }
  virtual double zeros() const { return 0; }  ///< share of zeros of the constant weight
  /// What it means when the fault word is `code`; empty when the step sets none.
  virtual std::string fault_text(unsigned long long) const { return {}; }
  /// What profiles say of its executions so far; empty without anything to say. May copy from the GPU and wait.
  virtual std::string remark() const { return {}; }
};

/// Blocks for one thread per item, at most a few waves of them: kernels go on in strides.
LaunchShape shape_for_items(long long items);
/// Blocks for one block per row, with `shared` bytes each.
LaunchShape shape_for_rows(long long rows, std::size_t shared_bytes, unsigned threads = 256);

/// A block of memory on the GPU for as long as this lives, usually a copy of bytes of the host.
class DeviceArray {
 public:
  DeviceArray() = default;
  /// Uninitialised.
  DeviceArray(const std::shared_ptr<Gpu>& gpu, std::size_t bytes);
  DeviceArray(const std::shared_ptr<Gpu>& gpu, const void* data, std::size_t bytes);
  template <class T>
  DeviceArray(const std::shared_ptr<Gpu>& gpu, const std::vector<T>& values)
      : DeviceArray(gpu, values.data(), values.size() * sizeof(T)) {}

  template <class T>
  const T* as() const {
    return static_cast<const T*>(block_.get());
  }
  void* data() const { return const_cast<void*>(block_.get()); }
  std::size_t bytes() const noexcept { return block_ ? Pool::rounded(bytes_) : 0; }  ///< that it takes

 private:
  std::shared_ptr<const void> block_;
  std::size_t bytes_ = 0;
};

}  // namespace sparse_run::gpu::cuda
