// Reference kernels: conversions between real numbers and linear quantisation.
#include <algorithm>
#include <cmath>

#include "cpu/reference/subfamilies.hpp"
#include "cpu/reference/wide.hpp"

namespace sparse_run::reference {

namespace {

/// Which scale belongs to an element: one for all, one per index of an axis, or one per block along an axis.
class Granularity {
 public:
  Granularity(const Context& context, const Tensor& data, const Tensor& scale)
      : block_(context.node().int_or("block_size", 0)) {
    if (scale.size() == 1 && scale.rank() <= 1 && block_ == 0) return;
    const auto axis = static_cast<std::size_t>(normalize_axis(context.node().int_or("axis", 1), data.rank()));
    const auto dims = std::span(data.shape());
    extent_ = data.shape()[axis];
    inner_ = element_count(dims.subspan(axis + 1));
    per_tensor_ = false;
  }

  std::size_t scale_index(std::size_t element) const {
    if (per_tensor_) return 0;
    const auto i = static_cast<std::int64_t>(element);
    const std::int64_t along = i / inner_ % extent_;
    if (block_ == 0) return static_cast<std::size_t>(along);
    const std::int64_t blocks = extent_ / block_ + (extent_ % block_ != 0);
    const std::int64_t outer = i / (inner_ * extent_);
    return static_cast<std::size_t>((outer * blocks + along / block_) * inner_ + i % inner_);
  }

 private:
  std::int64_t block_;
  std::int64_t extent_ = 1;
  std::int64_t inner_ = 1;
  bool per_tensor_ = true;
};

std::vector<double> zero_points(const Context& context, std::size_t count) {
  if (!context.has_input(2)) return std::vector<double>(count, 0);
  return load_doubles(context.input(2));
}

/// Clamps a whole number to the limits of an integer type.
double saturate(DType dtype, double value) {
  visit_numbers(dtype, [&]<class T>() {
    if constexpr (!is_real<T>) value = static_cast<double>(truncate_to<T>(value));
  });
  return value;
}

/// The quotient is rounded to the type of the division, which is the scale's unless 'precision' names another.
void quantize(Context& context) {
  const Tensor& data = context.input(0);
  const Tensor& scale = context.input(1);
  Tensor& out = context.output(0);
  auto precision = static_cast<DType>(context.node().int_or("precision", 0));
  if (precision == DType::undefined) precision = is_float(scale.dtype()) ? scale.dtype() : DType::f32;
  const Granularity granularity(context, data, scale);
  const std::vector<double> scales = load_doubles(scale);
  const std::vector<double> zeros = zero_points(context, scales.size());
  std::vector<double> values = load_doubles(data);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t s = granularity.scale_index(i);
    values[i] = std::nearbyint(round_to(precision, values[i] / scales[s])) + zeros[s];
  }
  store_doubles(values, out);
}

void dequantize(Context& context) {
  const Tensor& data = context.input(0);
  const Tensor& scale = context.input(1);
  const Granularity granularity(context, data, scale);
  const std::vector<double> scales = load_doubles(scale);
  const std::vector<double> zeros = zero_points(context, scales.size());
  std::vector<double> values = load_doubles(data);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t s = granularity.scale_index(i);
    values[i] = (values[i] - zeros[s]) * scales[s];
  }
  store_doubles(values, context.output(0));
}

/// The range always contains zero; a tensor of zeros gets scale 1. Computed in f32 as the operator defines it.
void dynamic_quantize(Context& context) {
  const auto data = context.input(0).data<float>();
  float low = 0;
  float high = 0;
  for (const float value : data) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  const float scale = low == high ? 1.0f : (high - low) / 255.0f;
  const double zero = saturate(DType::u8, std::nearbyint(-low / scale));
  std::vector<double> values(data.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = std::nearbyint(static_cast<double>(data[i] / scale)) + zero;
  }
  store_doubles(values, context.output(0));
  context.output(1).data<float>()[0] = scale;
  store_doubles(std::vector<double>{zero}, context.output(2));
}

}  // namespace

void register_quantization(Table& table) {
  table.add("QuantizeLinear", quantize);
  table.add("DequantizeLinear", dequantize);
  table.add("DynamicQuantizeLinear", dynamic_quantize);
}

}  // namespace sparse_run::reference
