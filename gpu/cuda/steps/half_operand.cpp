// Rounding operands.
#include "gpu/cuda/steps/half_operand.hpp"

#include <cmath>

#include "gpu/cuda/api/blas_lt.hpp"
#include "gpu/cuda/kernels/rounding.hpp"

namespace sparse_run::gpu::cuda {

namespace {

constexpr float kLargestF16 = 65504;

Tensor dense_of(const ValueDef& value) {
  return value.tensor() != nullptr ? *value.tensor() : value.sparse()->to_dense();
}

Half half_of(Precision precision) { return precision == Precision::f16 ? Half::f16 : Half::bf16; }

}  // namespace

int operand_type(Precision precision) {
  return precision == Precision::f16 ? kTypeF16 : precision == Precision::bf16 ? kTypeBf16 : kTypeF32;
}

std::string refuse_half_constant(const NodeView& view, std::size_t operand, Precision precision) {
  if (precision != Precision::f16 || !view.has(operand) || !view.in(operand).constant) return {};
  const Tensor tensor = dense_of(view.in(operand));
  for (const float x : tensor.data<float>()) {
    if (std::abs(x) > kLargestF16) return fmt::format("{} among its weights is beyond the range of f16", x);
  }
  return {};
}

HalfOperand::HalfOperand(const NodeView& view, std::size_t operand, Precision precision,
                         const std::shared_ptr<Gpu>& gpu, std::size_t scratch_offset)
    : operand_(operand),
      count_(element_count(view.in_shape(operand))),
      precision_(precision),
      scratch_offset_(scratch_offset) {
  if (!view.in(operand).constant) return;
  const Tensor tensor = dense_of(view.in(operand));
  std::vector<unsigned short> rounded;
  rounded.reserve(static_cast<std::size_t>(count_));
  const bool f16 = precision == Precision::f16;
  for (const float x : tensor.data<float>()) rounded.push_back(f16 ? rounded_to_f16(x) : rounded_to_bf16(x));
  constant_ = DeviceArray(gpu, rounded);
}

std::size_t HalfOperand::scratch_bytes() const {
  return is_constant() ? 0 : Pool::rounded(static_cast<std::size_t>(count_) * sizeof(unsigned short));
}

const void* HalfOperand::enqueue(const StepLaunch& launch) const {
  if (is_constant()) return constant_.data();
  auto* rounded = static_cast<unsigned short*>(pointer_to(launch.scratch + scratch_offset_));
  launch.gpu.launch("round_to_half", shape_for_items(count_), launch.stream,
                    Rounding{launch.in<float>(operand_), rounded, count_, half_of(precision_)});
  return rounded;
}

}  // namespace sparse_run::gpu::cuda
