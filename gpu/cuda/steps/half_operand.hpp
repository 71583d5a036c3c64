// Operands of products and convolutions in 16-bit types: constants rounded once, activations for every execution.
#pragma once

#include <string>

#include "device/precision.hpp"
#include "gpu/cuda/steps/step.hpp"

namespace sparse_run::gpu::cuda {

/// f16 and bf16: operands are rounded to it, sums are kept in f32.
constexpr bool is_half(Precision precision) { return precision == Precision::f16 || precision == Precision::bf16; }

/// How cuBLASLt and cuSPARSE call the type of operands.
int operand_type(Precision precision);

/// Why a constant cannot be rounded: a number beyond the range of f16. Empty when it can, or is no constant.
std::string refuse_half_constant(const NodeView& view, std::size_t operand, Precision precision);

/// An operand of f32 that a library reads in 16 bits.
class HalfOperand {
 public:
  HalfOperand() = default;
  /// A constant goes to the GPU here, rounded. `scratch_offset` is where others are rounded to.
  HalfOperand(const NodeView& view, std::size_t operand, Precision precision, const std::shared_ptr<Gpu>& gpu,
              std::size_t scratch_offset);

  bool is_constant() const { return constant_.data() != nullptr; }
  std::size_t weight_bytes() const { return constant_.bytes(); }
  std::size_t scratch_bytes() const;
  /// Rounds unless it is constant. The address of the rounded operand.
  const void* enqueue(const StepLaunch& launch) const;

 private:
  std::size_t operand_ = 0;
  std::int64_t count_ = 0;
  Precision precision_ = Precision::f16;
  std::size_t scratch_offset_ = 0;
  DeviceArray constant_;
};

}  // namespace sparse_run::gpu::cuda
