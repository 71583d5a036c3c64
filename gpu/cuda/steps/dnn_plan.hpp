// A convolution as a graph of cuDNN's backend: descriptors, the choice of an engine, and its execution.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gpu/cuda/api/dnn.hpp"
#include "gpu/cuda/gpu.hpp"
#include "gpu/cuda/steps/convolution.hpp"

namespace sparse_run::gpu::cuda {

/// A descriptor and its attributes. Statuses become Error(device).
class DnnNode {
 public:
  DnnNode(const Gpu& gpu, int kind);
  ~DnnNode();
  DnnNode(DnnNode&& other) noexcept;
  DnnNode& operator=(DnnNode&&) = delete;

  void set(int attribute, int type, const void* values, std::int64_t count = 1);
  void set_numbers(int attribute, const std::vector<std::int64_t>& values);
  void set_descriptor(int attribute, const DnnNode& value);
  /// 0, or what cuDNN has against it: not every graph has an engine, so this is no error by itself.
  int finalize();
  void must_finalize(const char* what);
  DnnDescriptor handle() const noexcept { return handle_; }

 private:
  const Gpu* gpu_;  // outlives it: plans are dropped before
  DnnDescriptor handle_ = nullptr;
};

/// What of a convolution cuDNN computes in one go.
enum class DnnFusion {
  everything,        ///< bias, residual and activation too
  convolution_only,  ///< the rest is an epilogue of ours
};

/// Finalised for one shape; shared by equal layers. Executed by whoever holds the compute stream.
class DnnPlan {
 public:
  /// Asks cuDNN's heuristics for engines and takes the first that works and is precise enough; nullptr when none is.
  /// Below f32, operand and weights are of `precision` (tf32: of f32, but engines may round them); sums, bias,
  /// residual and result are of f32.
  static std::shared_ptr<const DnnPlan> find(Gpu& gpu, const ConvolutionProblem& problem, DnnFusion fusion,
                                             Precision precision);

  std::size_t workspace_bytes() const noexcept { return workspace_bytes_; }
  /// Addresses of x, w, bias, residual and y; those that the problem does not have are ignored.
  void execute(Gpu& gpu, StreamHandle stream, const std::vector<const void*>& addresses, DevicePtr workspace) const;

 private:
  DnnPlan() = default;
  std::vector<std::int64_t> ids_;       ///< of tensors in memory
  std::vector<std::size_t> positions_;  ///< of their addresses
  std::vector<DnnNode> nodes_;          ///< kept for the plan
  std::unique_ptr<DnnNode> plan_;
  std::size_t workspace_bytes_ = 0;
};

/// True when cuDNN can apply the activation within a convolution.
bool dnn_has(const UnaryCall& activation);

}  // namespace sparse_run::gpu::cuda
