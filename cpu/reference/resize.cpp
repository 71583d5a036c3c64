// Reference kernels: Resize and Upsample, one axis after the other.
#include "graph/ops/resize.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/reference/families.hpp"
#include "cpu/reference/numbers.hpp"
#include "cpu/reference/resize_taps.hpp"

namespace sparse_run::reference {

namespace {

using Interpolation = ResizeMode::Interpolation;

std::vector<float> floats_at(const Context& context, std::size_t i) {
  if (!context.has_input(i) || context.input(i).size() == 0) return {};
  const std::vector<double> values = to_doubles(context.input(i));
  return {values.begin(), values.end()};
}

ResizeOperands operands_of(const Context& context, const ResizeMode& mode) {
  ResizeOperands operands;
  const Node& node = context.node();
  if (node.op == "Upsample" && node.opset < 9) {
    operands.scales = node.get<std::vector<float>>("scales");
  } else if (node.opset < 11) {
    operands.scales = floats_at(context, 1);
  } else {
    if (context.has_input(2) && context.input(2).size() != 0) operands.scales = floats_at(context, 2);
    if (context.has_input(3) && context.input(3).size() != 0) operands.sizes = context.input(3).to_int64();
    if (mode.coordinates == ResizeMode::Coordinates::tf_crop_and_resize) operands.region = floats_at(context, 1);
  }
  return operands;
}

bool extrapolated(const ResizeAxis& axis, const ResizeMode& mode, std::int64_t x) {
  if (mode.coordinates != ResizeMode::Coordinates::tf_crop_and_resize) return false;
  const float source = source_coordinate(axis, mode.coordinates, x);
  return !(source >= 0 && source <= static_cast<float>(axis.input - 1));
}

/// Replaces axis `d` of `values` (of shape `shape`) by its interpolation.
void resize_axis(std::vector<double>& values, Shape& shape, std::size_t d, const ResizeAxis& axis,
                 const ResizeMode& mode) {
  const std::int64_t outer = element_count(std::span(shape).first(d));
  const std::int64_t inner = element_count(std::span(shape).subspan(d + 1));
  shape[d] = axis.output;
  std::vector<double> result(static_cast<std::size_t>(element_count(shape)), 0.0);
  for (std::int64_t x = 0; x < axis.output; ++x) {
    const std::vector<Weighted> weights = interpolation_weights(axis, mode, x);
    for (std::int64_t o = 0; o < outer; ++o) {
      double* out = result.data() + (o * axis.output + x) * inner;
      for (const Weighted& one : weights) {
        const double* in = values.data() + (o * axis.input + one.index) * inner;
        for (std::int64_t i = 0; i < inner; ++i) out[i] += one.weight * in[i];
      }
    }
  }
  values = std::move(result);
}

/// Marks the output elements whose source lies outside the input in any axis.
std::vector<bool> outside_elements(const std::vector<ResizeAxis>& axes, const ResizeMode& mode, const Shape& shape) {
  std::vector<bool> outside;
  if (mode.coordinates != ResizeMode::Coordinates::tf_crop_and_resize || has_no_elements(shape)) return outside;
  std::vector<std::int64_t> index(shape.size(), 0);
  do {
    bool any = false;
    for (std::size_t d = 0; d < axes.size() && !any; ++d) {
      any = !axes[d].kept() && extrapolated(axes[d], mode, index[d]);
    }
    outside.push_back(any);
  } while (next_index(index, shape));
  return outside;
}

/// Nearest moves elements of any type unchanged.
void resize_nearest(const Tensor& input, Tensor& output, const std::vector<ResizeAxis>& axes, const ResizeMode& mode) {
  const Shape& shape = output.shape();
  if (has_no_elements(shape)) return;
  std::vector<std::vector<std::int64_t>> chosen(axes.size());
  for (std::size_t d = 0; d < axes.size(); ++d) {
    for (std::int64_t x = 0; x < axes[d].output; ++x) {
      chosen[d].push_back(axes[d].kept() ? x : nearest_index(axes[d], mode, x));
    }
  }
  std::vector<std::int64_t> source;
  source.reserve(static_cast<std::size_t>(output.size()));
  std::vector<std::int64_t> index(shape.size(), 0);
  do {
    std::int64_t offset = 0;
    for (std::size_t d = 0; d < axes.size(); ++d) {
      offset = offset * axes[d].input + chosen[d][static_cast<std::size_t>(index[d])];
    }
    source.push_back(offset);
  } while (next_index(index, shape));
  const std::vector<bool> outside = outside_elements(axes, mode, shape);
  for (std::size_t i = 0; i < outside.size(); ++i) {
    if (outside[i]) source[i] = -1;
  }
  gather_elements(input, source, output, mode.extrapolation_value);
}

void resize(Context& context) {
  const ResizeMode mode = ResizeMode::of(context.node());
  const Tensor& input = context.input(0);
  const auto axes = resize_axes(context.node(), input.shape(), operands_of(context, mode));
  Tensor& output = context.output(0);
  if (mode.interpolation == Interpolation::nearest) return resize_nearest(input, output, axes, mode);
  Shape shape = input.shape();
  std::vector<double> values = to_doubles(input);
  for (std::size_t d = 0; d < axes.size(); ++d) {
    if (!axes[d].kept()) resize_axis(values, shape, d, axes[d], mode);
  }
  const std::vector<bool> outside = outside_elements(axes, mode, shape);
  for (std::size_t i = 0; i < outside.size(); ++i) {
    if (outside[i]) values[i] = mode.extrapolation_value;
  }
  if (is_integer(output.dtype())) {
    for (double& value : values) value = std::nearbyint(value);
  }
  store(output, values);
}

}  // namespace

void register_resize(Table& table) {
  table.add("Resize", resize);
  table.add("Upsample", resize);
}

}  // namespace sparse_run::reference
