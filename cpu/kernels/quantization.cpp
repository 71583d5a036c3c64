// QuantizeLinear and DequantizeLinear between f32 and 8-bit integers, one scale per tensor or per index of an axis.
#include <algorithm>
#include <cstdint>
#include <limits>

#include "cpu/kernel_table.hpp"
#include "cpu/parallel.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::int64_t kGrain = 16384;  // elements; below this a second thread costs more than it saves

/// The data as rows of elements that share a scale: row r has scale r % scales.
struct Rows {
  std::int64_t scales = 1;
  std::int64_t width = 0;
};

Rows rows_of(const NodeView& view) {
  const Shape& shape = view.input_shape(0);
  const std::int64_t scales = element_count(view.input_shape(1));
  if (scales == 1) return {1, element_count(shape)};
  const auto axis = static_cast<std::size_t>(normalize_axis(view.node().int_or("axis", 1), shape.size()));
  return {scales, element_count(std::span(shape).subspan(axis + 1))};
}

/// body(row, first element, end) over pieces of rows, in parallel.
template <class Body>
void over_rows(const Rows& rows, std::int64_t elements, const Body& body) {
  parallel_ranges(elements, kGrain, [&](std::int64_t begin, std::int64_t end) {
    while (begin < end) {
      const std::int64_t row = begin / rows.width;
      const std::int64_t stop = std::min(end, (row + 1) * rows.width);
      body(row % rows.scales, begin, stop);
      begin = stop;
    }
  });
}

template <class Integer>
class QuantizeStep final : public Step {
 public:
  explicit QuantizeStep(Rows rows) : rows_(rows) {}

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    const auto* scale = arguments.in<float>(1);
    const Integer* zero = arguments.has_input(2) ? arguments.in<Integer>(2) : nullptr;
    auto* y = arguments.out<Integer>(0);
    over_rows(rows_, arguments.input(0).size(), [&](std::int64_t row, std::int64_t begin, std::int64_t end) {
      // Limits moved by the zero point are whole, so clamping before rounding changes nothing and keeps the sum below
      // 2^22, where adding and taking away 1.5 · 2^23 rounds to even.
      const int point = zero == nullptr ? 0 : zero[row];
      const auto low = static_cast<float>(std::numeric_limits<Integer>::min() - point);
      const auto high = static_cast<float>(std::numeric_limits<Integer>::max() - point);
      constexpr float kRounder = 12582912.0f;
      for (std::int64_t i = begin; i < end; ++i) {
        const float quotient = x[i] / scale[row];
        const float value = std::min(high, std::max(low, quotient));
        const int rounded = static_cast<int>((value + kRounder) - kRounder) + point;
        y[i] = static_cast<Integer>(quotient != quotient ? 0 : rounded);  // NaN becomes 0
      }
    });
  }

 private:
  Rows rows_;
};

template <class Integer>
class DequantizeStep final : public Step {
 public:
  explicit DequantizeStep(Rows rows) : rows_(rows) {}

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<Integer>(0);
    const auto* scale = arguments.in<float>(1);
    const Integer* zero = arguments.has_input(2) ? arguments.in<Integer>(2) : nullptr;
    auto* y = arguments.out<float>(0);
    over_rows(rows_, arguments.input(0).size(), [&](std::int64_t row, std::int64_t begin, std::int64_t end) {
      const int point = zero == nullptr ? 0 : zero[row];
      const float factor = scale[row];
      for (std::int64_t i = begin; i < end; ++i) y[i] = static_cast<float>(x[i] - point) * factor;
    });
  }

 private:
  Rows rows_;
};

Verdict check(const NodeView& view, DType real, DType integer) {
  if (real != DType::f32 || view.input_type(1).dtype != DType::f32) return Verdict::reject("the numbers are not f32");
  if (integer != DType::i8 && integer != DType::u8) return Verdict::reject("the integers are not of 8 bits");
  if (view.node().int_or("block_size", 0) != 0) return Verdict::reject("one scale per block");
  if (const auto precision = view.node().int_or("precision", 0);
      precision != 0 && precision != static_cast<std::int64_t>(DType::f32)) {
    return Verdict::reject("divides in another precision");
  }
  if (element_count(view.input_shape(0)) == 0) return Verdict::reject("the operand is empty");
  if (view.has_input(2) && element_count(view.input_shape(2)) != element_count(view.input_shape(1))) {
    return Verdict::reject("scales and zero points differ in number");
  }
  if (view.has_input(2) && view.input_type(2).dtype != integer)
    return Verdict::reject("the zero point has another type");
  return Verdict::accept();
}

Verdict check_quantize(const NodeView& view, const Environment&) {
  return check(view, view.input_type(0).dtype, view.output_type(0).dtype);
}
Verdict check_dequantize(const NodeView& view, const Environment&) {
  return check(view, view.output_type(0).dtype, view.input_type(0).dtype);
}

std::unique_ptr<Step> build_quantize(const NodeView& view, const Environment&) {
  if (view.output_type(0).dtype == DType::i8) return std::make_unique<QuantizeStep<std::int8_t>>(rows_of(view));
  return std::make_unique<QuantizeStep<std::uint8_t>>(rows_of(view));
}
std::unique_ptr<Step> build_dequantize(const NodeView& view, const Environment&) {
  if (view.input_type(0).dtype == DType::i8) return std::make_unique<DequantizeStep<std::int8_t>>(rows_of(view));
  return std::make_unique<DequantizeStep<std::uint8_t>>(rows_of(view));
}

}  // namespace

void register_quantization_kernels(KernelTable& table) {
  table.add("QuantizeLinear", {"cpu.quantize.row.f32", check_quantize, build_quantize});
  table.add("DequantizeLinear", {"cpu.dequantize.row.f32", check_dequantize, build_dequantize});
}

}  // namespace sparse_run::cpu
