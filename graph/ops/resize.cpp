// Schemas, type inference and geometry: Resize and Upsample.
#include "graph/ops/resize.hpp"

#include <algorithm>
#include <cmath>

#include "graph/ops/convolution.hpp"
#include "graph/ops/operand_rules.hpp"

namespace sparse_run {

namespace {

template <class Choice>
Choice choose(const Node& node, std::string_view attribute, std::string_view fallback,
              std::initializer_list<std::pair<std::string_view, Choice>> choices) {
  const std::string text = node.string_or(attribute, fallback);
  for (const auto& [name, choice] : choices) {
    if (name == text) return choice;
  }
  throw_error(ErrorKind::model, "attribute '{}' is '{}', which opset {} does not know", attribute, text, node.opset);
}

/// The axes that scales, sizes and region refer to, in their order.
std::vector<std::size_t> named_axes(const Node& node, std::size_t rank) {
  std::vector<std::size_t> axes;
  if (node.opset >= 18 && node.has("axes")) {
    for (const std::int64_t axis : node.ints_or("axes")) {
      const auto index = static_cast<std::size_t>(normalize_axis(axis, rank));
      if (std::find(axes.begin(), axes.end(), index) != axes.end()) {
        throw_error(ErrorKind::model, "attribute 'axes' names axis {} twice", index);
      }
      axes.push_back(index);
    }
    return axes;
  }
  for (std::size_t i = 0; i < rank; ++i) axes.push_back(i);
  return axes;
}

void expect_count(std::string_view what, std::size_t count, std::size_t expected) {
  if (count != expected) throw_error(ErrorKind::model, "{} {} given, {} expected", count, what, expected);
}

std::int64_t scaled(std::int64_t input, float scale) {
  const float size = std::floor(static_cast<float>(input) * scale);
  if (size >= 0x1p62F) throw_error(ErrorKind::limit, "dimension {} scaled by {} is too large", input, scale);
  return static_cast<std::int64_t>(size);
}

/// Opsets 18 and later: sizes bound the output, whose aspect ratio stays that of the input.
void keep_aspect_ratio(std::vector<ResizeAxis>& axes, const std::vector<std::size_t>& named, bool not_larger) {
  std::optional<double> common;
  for (const std::size_t i : named) {
    if (axes[i].input < 0) {  // the ratio depends on a size that is not known
      for (const std::size_t j : named) axes[j].output = kUnknownDim;
      return;
    }
    if (axes[i].input == 0) throw_error(ErrorKind::model, "an empty dimension has no aspect ratio to keep");
    const double ratio = static_cast<double>(axes[i].output) / static_cast<double>(axes[i].input);
    if (!common || (not_larger ? ratio < *common : ratio > *common)) common = ratio;
  }
  for (const std::size_t i : named) {
    const double length = *common * static_cast<double>(axes[i].input);
    if (length >= 0x1p62)
      throw_error(ErrorKind::limit, "dimension {} scaled by {} is too large", axes[i].input, *common);
    axes[i].output = static_cast<std::int64_t>(std::floor(length + 0.5));
    axes[i].scale = static_cast<float>(*common);
    axes[i].resized_length = static_cast<float>(length);
  }
}

std::optional<std::vector<float>> floats_of(const InferContext& context, std::size_t i) {
  const Tensor* tensor = context.has_input(i) ? context.constant(i) : nullptr;
  if (tensor == nullptr || tensor->size() == 0) return std::nullopt;
  expect_dtype(context, i, {DType::f32});
  const auto data = tensor->data<float>();
  return std::vector<float>(data.begin(), data.end());
}

bool empty_operand(const InferContext& context, std::size_t i) {
  if (!context.has_input(i)) return true;
  const Shape* shape = context.shape(i);
  return shape != nullptr && shape->size() == 1 && (*shape)[0] == 0;
}

void set_resized(InferContext& context, const ResizeOperands& operands) {
  ResizeMode::of(context.node());
  const Shape* input = context.shape(0);
  if (input == nullptr) return context.set_tensor(0, context.dtype(0));
  Shape shape;
  for (const ResizeAxis& axis : resize_axes(context.node(), *input, operands)) shape.push_back(axis.output);
  context.set_tensor(0, context.dtype(0), shape);
}

void infer_resize_10(InferContext& context) {
  ResizeOperands operands;
  operands.scales = floats_of(context, 1);
  set_resized(context, operands);
}

void infer_resize_11(InferContext& context) {
  if (empty_operand(context, 2) && empty_operand(context, 3)) {
    throw_error(ErrorKind::model, "neither scales nor sizes are given");
  }
  if (!empty_operand(context, 2) && !empty_operand(context, 3) && context.shape(2) != nullptr &&
      context.shape(3) != nullptr && is_concrete(*context.shape(2)) && is_concrete(*context.shape(3))) {
    throw_error(ErrorKind::model, "both scales and sizes are given");
  }
  ResizeOperands operands;
  if (!empty_operand(context, 2)) operands.scales = floats_of(context, 2);
  if (!empty_operand(context, 3)) {
    expect_dtype(context, 3, {DType::i64});
    operands.sizes = context.integers(3);
  }
  set_resized(context, operands);
}

void infer_upsample_7(InferContext& context) {
  ResizeOperands operands;
  operands.scales = context.node().get<std::vector<float>>("scales");
  set_resized(context, operands);
}

void refuse_upsample(InferContext&) { throw_error(ErrorKind::unsupported, "Upsample ends with opset 9: use Resize"); }

}  // namespace

ResizeMode ResizeMode::of(const Node& node) {
  ResizeMode mode;
  const bool first = node.opset < 11;
  if (node.string_or("mode", "nearest") == "cubic" && first) {
    throw_error(ErrorKind::model, "attribute 'mode' is 'cubic', which opset {} does not know", node.opset);
  }
  mode.interpolation = choose<Interpolation>(node, "mode", "nearest",
                                             {{"nearest", Interpolation::nearest},
                                              {"linear", Interpolation::linear},
                                              {"bilinear", Interpolation::linear},
                                              {"cubic", Interpolation::cubic}});
  if (first) {
    mode.coordinates = Coordinates::asymmetric;
    mode.nearest = Nearest::truncate;
    return mode;
  }
  mode.coordinates = choose<Coordinates>(node, "coordinate_transformation_mode", "half_pixel",
                                         {{"half_pixel", Coordinates::half_pixel},
                                          {"half_pixel_symmetric", Coordinates::half_pixel_symmetric},
                                          {"pytorch_half_pixel", Coordinates::pytorch_half_pixel},
                                          {"align_corners", Coordinates::align_corners},
                                          {"asymmetric", Coordinates::asymmetric},
                                          {"tf_half_pixel_for_nn", Coordinates::tf_half_pixel_for_nn},
                                          {"tf_crop_and_resize", Coordinates::tf_crop_and_resize}});
  mode.nearest = choose<Nearest>(node, "nearest_mode", "round_prefer_floor",
                                 {{"round_prefer_floor", Nearest::round_prefer_floor},
                                  {"round_prefer_ceil", Nearest::round_prefer_ceil},
                                  {"floor", Nearest::floor},
                                  {"ceil", Nearest::ceil}});
  mode.antialias = node.opset >= 18 && node.int_or("antialias", 0) != 0;
  mode.exclude_outside = node.int_or("exclude_outside", 0) != 0;
  mode.cubic_coefficient = node.float_or("cubic_coeff_a", -0.75F);
  mode.extrapolation_value = node.float_or("extrapolation_value", 0);
  return mode;
}

std::vector<ResizeAxis> resize_axes(const Node& node, const Shape& input, const ResizeOperands& operands) {
  std::vector<ResizeAxis> axes(input.size());
  for (std::size_t i = 0; i < axes.size(); ++i) {
    axes[i].input = axes[i].output = input[i];
    axes[i].resized_length = static_cast<float>(input[i]);
  }
  const std::vector<std::size_t> named = named_axes(node, input.size());
  if (!operands.region.empty()) {
    expect_count("values of roi", operands.region.size(), 2 * named.size());
    for (std::size_t k = 0; k < named.size(); ++k) {
      axes[named[k]].region_start = operands.region[k];
      axes[named[k]].region_end = operands.region[named.size() + k];
    }
  }
  if (operands.scales) {
    expect_count("scales", operands.scales->size(), named.size());
    for (std::size_t k = 0; k < named.size(); ++k) {
      ResizeAxis& axis = axes[named[k]];
      axis.scale = (*operands.scales)[k];
      if (!(axis.scale > 0) || !std::isfinite(axis.scale)) {
        throw_error(ErrorKind::model, "scale {} of axis {}: a positive number expected", axis.scale, named[k]);
      }
      if (axis.input < 0) continue;
      axis.output = scaled(axis.input, axis.scale);
      axis.resized_length = static_cast<float>(axis.input) * axis.scale;
    }
    return axes;
  }
  if (!operands.sizes) {
    for (const std::size_t i : named) axes[i].output = kUnknownDim;
    return axes;
  }
  expect_count("sizes", operands.sizes->size(), named.size());
  for (std::size_t k = 0; k < named.size(); ++k) {
    ResizeAxis& axis = axes[named[k]];
    axis.output = (*operands.sizes)[k];
    if (axis.output < 0) throw_error(ErrorKind::model, "size {} of axis {} is negative", axis.output, named[k]);
    axis.resized_length = static_cast<float>(axis.output);
    if (axis.input > 0) axis.scale = static_cast<float>(axis.output) / static_cast<float>(axis.input);
    if (axis.input == 0 && axis.output != 0) {
      throw_error(ErrorKind::model, "axis {} is empty and cannot be resized to {}", named[k], axis.output);
    }
  }
  const std::string policy = node.opset >= 18 ? node.string_or("keep_aspect_ratio_policy", "stretch") : "stretch";
  if (policy != "stretch" && policy != "not_larger" && policy != "not_smaller") {
    throw_error(ErrorKind::model,
                "attribute 'keep_aspect_ratio_policy' is '{}': stretch, not_larger or not_smaller expected", policy);
  }
  if (policy != "stretch") keep_aspect_ratio(axes, named, policy == "not_larger");
  return axes;
}

float source_coordinate(const ResizeAxis& axis, ResizeMode::Coordinates coordinates, std::int64_t x) noexcept {
  using Coordinates = ResizeMode::Coordinates;
  const auto at = static_cast<float>(x);
  const auto last = static_cast<float>(axis.input - 1);
  switch (coordinates) {
    case Coordinates::half_pixel:
      return (at + 0.5F) / axis.scale - 0.5F;
    case Coordinates::half_pixel_symmetric: {
      const float adjustment = static_cast<float>(axis.output) / axis.resized_length;
      const float offset = static_cast<float>(axis.input) / 2 * (1 - adjustment);
      return offset + (at + 0.5F) / axis.scale - 0.5F;
    }
    case Coordinates::pytorch_half_pixel:
      return axis.resized_length > 1 ? (at + 0.5F) / axis.scale - 0.5F : 0.0F;
    case Coordinates::align_corners:
      return axis.resized_length == 1 ? 0.0F : at * last / (axis.resized_length - 1);
    case Coordinates::asymmetric:
      return at / axis.scale;
    case Coordinates::tf_half_pixel_for_nn:
      return (at + 0.5F) / axis.scale;
    case Coordinates::tf_crop_and_resize:
      if (axis.resized_length > 1) {
        return axis.region_start * last + at * (axis.region_end - axis.region_start) * last / (axis.resized_length - 1);
      }
      return 0.5F * (axis.region_start + axis.region_end) * last;
  }
  return at;
}

void register_resize_ops(OpRegistry& registry) {
  registry.add({"", "Resize", 10, 2, 2, 1, 1, infer_resize_10});
  registry.add({"", "Resize", 11, 3, 4, 1, 1, infer_resize_11});
  registry.add({"", "Resize", 13, 1, 4, 1, 1, infer_resize_11});
  registry.add({"", "Upsample", 7, 1, 1, 1, 1, infer_upsample_7});
  registry.add({"", "Upsample", 9, 2, 2, 1, 1, infer_resize_10});
  registry.add({"", "Upsample", 10, 0, kUnlimited, 0, kUnlimited, refuse_upsample});
}

}  // namespace sparse_run
