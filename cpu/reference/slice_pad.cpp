// Reference kernels of Slice and Pad.
#include "cpu/reference/elements.hpp"
#include "cpu/reference/movement.hpp"
#include "cpu/reference/padded_source.hpp"
#include "graph/ops/geometry.hpp"

namespace sparse_run::reference {

std::int64_t padded_source(std::string_view mode, std::int64_t at, std::int64_t dim) {
  if (at >= 0 && at < dim) return at;
  if (mode == "edge") return at < 0 ? 0 : dim - 1;
  if (mode == "wrap") return (at % dim + dim) % dim;
  if (mode == "reflect") {
    if (dim == 1) return 0;
    const std::int64_t period = 2 * (dim - 1);
    const std::int64_t phase = (at % period + period) % period;
    return phase < dim ? phase : period - phase;
  }
  return -1;
}

namespace {

void slice(Context& ctx) {
  const Tensor& input = ctx.input(0);
  Tensor& output = ctx.output(0);
  const auto starts = moved_list(ctx, 1, "starts", 10);
  const auto ends = moved_list(ctx, 2, "ends", 10);
  const auto axes = moved_list(ctx, 3, "axes", 10);
  const auto steps = ctx.opset() >= 10 && ctx.has_input(4) ? OptionalIntegers(ctx.input(4).to_int64()) : std::nullopt;
  require(starts && ends, "slice without bounds passed inference");
  const auto ranges = slice_ranges(input.shape(), *starts, *ends, axes, steps);
  const auto strides = row_major_strides(input.shape());
  const ElementMover mover(input, output);
  for_each_position(output.shape(), [&](const auto& index, std::int64_t linear) {
    std::int64_t from = 0;
    for (std::size_t d = 0; d < index.size(); ++d) from += (ranges[d].start + index[d] * ranges[d].step) * strides[d];
    mover.move(from, linear);
  });
}

Tensor constant_of(Context& ctx, DType dtype) {
  if (ctx.opset() >= 11) {
    if (!ctx.has_input(2) || ctx.input(2).size() == 0) return zero_scalar(dtype);
    if (ctx.input(2).size() != 1) throw_error(ErrorKind::model, "constant_value must be a scalar");
    return ctx.input(2);
  }
  Tensor constant = zero_scalar(dtype);
  const float value = ctx.node().float_or("value", 0.0f);
  const bool stored = visit_float(dtype, [&]<class T>() { constant.data<T>()[0] = static_cast<T>(value); });
  if (!stored && value != 0.0f) throw_error(ErrorKind::unsupported, "padding {} with a number", to_string(dtype));
  return constant;
}

void pad(Context& ctx) {
  const Tensor& input = ctx.input(0);
  Tensor& output = ctx.output(0);
  const std::string mode = ctx.node().string_or("mode", "constant");
  const auto pads = moved_list(ctx, 1, "pads", 11);
  const auto axes = ctx.opset() >= 18 && ctx.has_input(3) ? OptionalIntegers(ctx.input(3).to_int64()) : std::nullopt;
  require(pads.has_value(), "pad without pads passed inference");
  const Padding padding = padding_of(input.rank(), *pads, axes);
  const Tensor constant = constant_of(ctx, input.dtype());
  const auto strides = row_major_strides(input.shape());
  const ElementMover mover(input, output);
  const ElementMover filler(constant, output);
  for_each_position(output.shape(), [&](const auto& index, std::int64_t linear) {
    std::int64_t from = 0;
    for (std::size_t d = 0; d < index.size(); ++d) {
      const std::int64_t source = padded_source(mode, index[d] - padding.before[d], input.shape()[d]);
      if (source < 0) return filler.move(0, linear);
      from += source * strides[d];
    }
    mover.move(from, linear);
  });
}

}  // namespace

void register_slice_pad(Table& table) {
  table.add("Slice", slice);
  table.add("Pad", pad);
}

}  // namespace sparse_run::reference
