// Resolution of window attributes against shapes.
#include "graph/ops/window.hpp"

#include <algorithm>

namespace sparse_run {

namespace {

/// No real window attribute is larger; the bound keeps every product below within 63 bits.
constexpr std::int64_t kLargestAttribute = (std::int64_t{1} << 31) - 1;

enum class AutoPad { notset, same_upper, same_lower, valid };

AutoPad auto_pad_of(const Node& node) {
  const std::string text = node.string_or("auto_pad", "NOTSET");
  if (text == "NOTSET" || text.empty()) return AutoPad::notset;
  if (text == "SAME_UPPER") return AutoPad::same_upper;
  if (text == "SAME_LOWER") return AutoPad::same_lower;
  if (text == "VALID") return AutoPad::valid;
  throw_error(ErrorKind::model, "attribute 'auto_pad' is '{}': NOTSET, SAME_UPPER, SAME_LOWER or VALID expected", text);
}

/// A list attribute of `count` values in [least, kLargestAttribute]; all `fallback` when it is absent or empty.
std::vector<std::int64_t> window_attribute(const Node& node, std::string_view name, std::size_t count,
                                           std::int64_t least, std::int64_t fallback) {
  std::vector<std::int64_t> values = node.ints_or(name);
  if (values.empty()) return std::vector<std::int64_t>(count, fallback);
  if (values.size() != count) {
    throw_error(ErrorKind::model, "attribute '{}' has {} values, {} expected", name, values.size(), count);
  }
  for (const std::int64_t value : values) {
    if (value < least || value > kLargestAttribute) {
      throw_error(ErrorKind::model, "attribute '{}' contains {}, outside [{}, {}]", name, value, least,
                  kLargestAttribute);
    }
  }
  return values;
}

void read_axes(const Node& node, std::vector<WindowAxis>& axes) {
  const std::size_t rank = axes.size();
  const auto strides = window_attribute(node, "strides", rank, 1, 1);
  const auto dilations = window_attribute(node, "dilations", rank, 1, 1);
  const auto pads = window_attribute(node, "pads", 2 * rank, 0, 0);
  for (std::size_t i = 0; i < rank; ++i) {
    axes[i].stride = strides[i];
    axes[i].dilation = dilations[i];
    axes[i].pad_begin = pads[i];
    axes[i].pad_end = pads[rank + i];
  }
}

void split_padding(WindowAxis& axis, std::int64_t total, bool more_at_end) {
  total = std::max<std::int64_t>(total, 0);
  axis.pad_begin = more_at_end ? total / 2 : total - total / 2;
  axis.pad_end = total - axis.pad_begin;
}

/// Sets output, and the paddings that auto_pad asks for.
void slide(WindowAxis& axis, std::size_t index, AutoPad auto_pad, bool ceil_mode) {
  const bool same = auto_pad == AutoPad::same_upper || auto_pad == AutoPad::same_lower;
  if (auto_pad != AutoPad::notset) axis.pad_begin = axis.pad_end = 0;
  if (axis.input < 0 || (axis.kernel < 0 && !same)) return;
  if (same) {
    axis.output = axis.input / axis.stride + (axis.input % axis.stride != 0 ? 1 : 0);
    if (axis.kernel < 0 || axis.output == 0) return;
    const std::int64_t covered = checked_add((axis.output - 1) * axis.stride, axis.extent());
    split_padding(axis, covered - axis.input, auto_pad == AutoPad::same_upper);
    return;
  }
  const std::int64_t padded = checked_add(axis.input, axis.pad_begin + axis.pad_end);
  const std::int64_t slack = padded - axis.extent();
  // Rounding up, a window that overhangs by less than a stride is still one window.
  if (ceil_mode && slack < 0 && slack > -axis.stride && padded > 0) {
    axis.output = 1;
    return;
  }
  if (slack < 0) {
    throw_error(ErrorKind::model,
                "spatial dimension {}: a window of {} (kernel {}, dilation {}) is larger than the padded input {} "
                "({} + {} + {})",
                index, axis.extent(), axis.kernel, axis.dilation, padded, axis.pad_begin, axis.input, axis.pad_end);
  }
  axis.output = slack / axis.stride + 1;
  if (ceil_mode && slack % axis.stride != 0) {
    // A window that would start beyond the input and its leading padding is dropped.
    if (axis.output * axis.stride < axis.input + axis.pad_begin) ++axis.output;
  }
}

std::int64_t agreed(std::int64_t a, std::int64_t b) { return a < 0 ? b : a; }

/// The kernel sizes that the weights and the attribute kernel_shape agree on.
void read_kernel(const Node& node, const Shape& weights, std::vector<WindowAxis>& axes) {
  const auto declared = window_attribute(node, "kernel_shape", axes.size(), 1, kUnknownDim);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::int64_t actual = weights[2 + i];
    if (actual == 0) throw_error(ErrorKind::model, "weights {} have an empty kernel", to_string(weights));
    if (actual > kLargestAttribute) throw_error(ErrorKind::limit, "kernel of {} elements is too large", actual);
    if (actual > 0 && declared[i] > 0 && actual != declared[i]) {
      throw_error(ErrorKind::model, "attribute 'kernel_shape' is {} but the weights are {}", to_string(declared),
                  to_string(weights));
    }
    axes[i].kernel = agreed(actual, declared[i]);
  }
}

ConvGeometry read_convolution(const Node& node, const Shape& input, const Shape& weights) {
  if (input.size() < 3 || weights.size() != input.size()) {
    throw_error(ErrorKind::model, "input {} and weights {}: both must have the same rank, 3 or more", to_string(input),
                to_string(weights));
  }
  ConvGeometry geometry;
  geometry.group = node.int_or("group", 1);
  if (geometry.group < 1 || geometry.group > kLargestAttribute) {
    throw_error(ErrorKind::model, "attribute 'group' is {}: 1 or more expected", geometry.group);
  }
  geometry.batch = input[0];
  geometry.in_channels = input[1];
  geometry.axes.resize(input.size() - 2);
  for (std::size_t i = 0; i < geometry.axes.size(); ++i) geometry.axes[i].input = input[2 + i];
  read_axes(node, geometry.axes);
  read_kernel(node, weights, geometry.axes);
  return geometry;
}

bool all_known(const std::vector<WindowAxis>& axes) {
  return std::all_of(axes.begin(), axes.end(), [](const WindowAxis& axis) { return axis.known(); });
}

Shape shape_of(std::int64_t batch, std::int64_t channels, const std::vector<WindowAxis>& axes) {
  Shape shape{batch, channels};
  for (const WindowAxis& axis : axes) shape.push_back(axis.output);
  return shape;
}

}  // namespace

std::int64_t checked_add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) throw_error(ErrorKind::limit, "size {} + {} overflows", a, b);
  return sum;
}

std::int64_t checked_multiply(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) throw_error(ErrorKind::limit, "size {} x {} overflows", a, b);
  return product;
}

ConvGeometry ConvGeometry::forward(const Node& node, const Shape& input, const Shape& weights) {
  ConvGeometry geometry = read_convolution(node, input, weights);
  geometry.out_channels = weights[0];
  if (geometry.in_channels >= 0 && weights[1] >= 0 &&
      geometry.in_channels != checked_multiply(weights[1], geometry.group)) {
    throw_error(ErrorKind::model, "input {} has {} channels, weights {} in {} groups take {}", to_string(input),
                geometry.in_channels, to_string(weights), geometry.group, weights[1] * geometry.group);
  }
  if (geometry.in_channels < 0 && weights[1] >= 0) {
    geometry.in_channels = checked_multiply(weights[1], geometry.group);
  }
  if (geometry.out_channels > 0 && geometry.out_channels % geometry.group != 0) {
    throw_error(ErrorKind::model, "weights {} cannot be divided into {} groups", to_string(weights), geometry.group);
  }
  const AutoPad auto_pad = auto_pad_of(node);
  for (std::size_t i = 0; i < geometry.axes.size(); ++i) slide(geometry.axes[i], i, auto_pad, false);
  return geometry;
}

ConvGeometry ConvGeometry::transposed(const Node& node, const Shape& input, const Shape& weights) {
  ConvGeometry geometry = read_convolution(node, input, weights);
  if (geometry.in_channels >= 0 && weights[0] >= 0 && geometry.in_channels != weights[0]) {
    throw_error(ErrorKind::model, "input {} has {} channels, weights {} take {}", to_string(input),
                geometry.in_channels, to_string(weights), weights[0]);
  }
  geometry.in_channels = agreed(geometry.in_channels, weights[0]);
  if (geometry.in_channels > 0 && geometry.in_channels % geometry.group != 0) {
    throw_error(ErrorKind::model, "{} input channels cannot be divided into {} groups", geometry.in_channels,
                geometry.group);
  }
  if (weights[1] >= 0) geometry.out_channels = checked_multiply(weights[1], geometry.group);

  const std::size_t rank = geometry.axes.size();
  const AutoPad auto_pad = auto_pad_of(node);
  const bool same = auto_pad == AutoPad::same_upper || auto_pad == AutoPad::same_lower;
  const auto extra = window_attribute(node, "output_padding", rank, 0, 0);
  std::vector<std::int64_t> asked = node.ints_or("output_shape");
  // Some exporters give the whole shape instead of the spatial part.
  if (asked.size() == rank + 2) asked.erase(asked.begin(), asked.begin() + 2);
  if (!asked.empty() && asked.size() != rank) {
    throw_error(ErrorKind::model, "attribute 'output_shape' has {} values, {} expected", asked.size(), rank);
  }
  for (std::size_t i = 0; i < rank; ++i) {
    WindowAxis& axis = geometry.axes[i];
    if (auto_pad != AutoPad::notset) axis.pad_begin = axis.pad_end = 0;
    if (!asked.empty()) {
      if (asked[i] < 0) throw_error(ErrorKind::model, "attribute 'output_shape' contains {}", asked[i]);
      axis.output = asked[i];
    } else if (same && axis.input >= 0) {
      axis.output = checked_multiply(axis.input, axis.stride);
    }
    if (axis.input < 0 || axis.kernel < 0) continue;
    const std::int64_t reach = std::max<std::int64_t>(axis.input - 1, 0);
    const std::int64_t full = checked_add(checked_multiply(axis.stride, reach), checked_add(axis.extent(), extra[i]));
    if (axis.output >= 0) {
      split_padding(axis, full - axis.output, auto_pad == AutoPad::same_upper);
      continue;
    }
    axis.output = full - axis.pad_begin - axis.pad_end;
    if (axis.input == 0) axis.output = 0;
    if (axis.output < 0) {
      throw_error(ErrorKind::model,
                  "spatial dimension {}: paddings {} and {} exceed the transposed convolution's size {}", i,
                  axis.pad_begin, axis.pad_end, full);
    }
  }
  return geometry;
}

bool ConvGeometry::known() const noexcept {
  return batch >= 0 && in_channels >= 0 && out_channels >= 0 && all_known(axes);
}

Shape ConvGeometry::output_shape() const { return shape_of(batch, out_channels, axes); }

PoolGeometry PoolGeometry::sliding(const Node& node, const Shape& input) {
  PoolGeometry geometry = global(input);
  if (!node.has("kernel_shape")) throw_attribute_missing("kernel_shape");
  const auto kernel = window_attribute(node, "kernel_shape", geometry.axes.size(), 1, kUnknownDim);
  read_axes(node, geometry.axes);
  const AutoPad auto_pad = auto_pad_of(node);
  const bool ceil_mode = node.int_or("ceil_mode", 0) != 0;
  for (std::size_t i = 0; i < geometry.axes.size(); ++i) {
    WindowAxis& axis = geometry.axes[i];
    axis.kernel = kernel[i];
    if (axis.kernel < 0) throw_error(ErrorKind::model, "attribute 'kernel_shape' is empty");
    axis.output = kUnknownDim;
    slide(axis, i, auto_pad, ceil_mode);
  }
  element_count(kernel);  // refuses windows whose taps cannot be counted
  return geometry;
}

PoolGeometry PoolGeometry::global(const Shape& input) {
  if (input.size() < 3) {
    throw_error(ErrorKind::model, "input {} has no spatial dimensions to pool over: rank 3 or more expected",
                to_string(input));
  }
  PoolGeometry geometry;
  geometry.batch = input[0];
  geometry.channels = input[1];
  geometry.axes.resize(input.size() - 2);
  for (std::size_t i = 0; i < geometry.axes.size(); ++i) {
    geometry.axes[i].input = input[2 + i];
    geometry.axes[i].kernel = input[2 + i];
    geometry.axes[i].output = 1;
  }
  return geometry;
}

bool PoolGeometry::known() const noexcept { return batch >= 0 && channels >= 0 && all_known(axes); }

Shape PoolGeometry::output_shape() const { return shape_of(batch, channels, axes); }

std::vector<WindowAxis> unfolded_axes(const Node& node, const Shape& image, const Shape& block) {
  if (image.empty() || image.size() != block.size()) {
    throw_error(ErrorKind::model, "image shape {} and block shape {} differ in rank", to_string(image),
                to_string(block));
  }
  std::vector<WindowAxis> axes(image.size());
  read_axes(node, axes);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (image[i] < 1 || block[i] < 1 || block[i] > kLargestAttribute) {
      throw_error(ErrorKind::model, "image shape {} and block shape {}: positive sizes expected", to_string(image),
                  to_string(block));
    }
    axes[i].input = image[i];
    axes[i].kernel = block[i];
    slide(axes[i], i, AutoPad::notset, false);
  }
  return axes;
}

Shape unpooled_shape(const Node& node, const Shape& input) {
  PoolGeometry geometry = PoolGeometry::global(input);
  if (!node.has("kernel_shape")) throw_attribute_missing("kernel_shape");
  const std::size_t rank = geometry.axes.size();
  const auto kernel = window_attribute(node, "kernel_shape", rank, 1, 1);
  read_axes(node, geometry.axes);
  Shape shape{input[0], input[1]};
  for (std::size_t i = 0; i < rank; ++i) {
    const WindowAxis& axis = geometry.axes[i];
    if (axis.input < 0) {
      shape.push_back(kUnknownDim);
      continue;
    }
    const std::int64_t full = checked_add(checked_multiply(axis.input - 1, axis.stride), kernel[i]);
    const std::int64_t size = full - axis.pad_begin - axis.pad_end;
    if (size < 0) {
      throw_error(ErrorKind::model, "spatial dimension {}: paddings {} and {} exceed the unpooled size {}", i,
                  axis.pad_begin, axis.pad_end, full);
    }
    shape.push_back(size);
  }
  return shape;
}

}  // namespace sparse_run
