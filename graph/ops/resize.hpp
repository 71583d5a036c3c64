// Geometry of Resize and Upsample: output size, scale and source coordinate of every axis.
#pragma once

#include <optional>
#include <vector>

#include "graph/ir/node.hpp"

namespace sparse_run {

/// One axis of the input. Axes that the operator does not name are kept: output == input, scale 1.
struct ResizeAxis {
  std::int64_t input = kUnknownDim;
  std::int64_t output = kUnknownDim;
  float scale = 1;
  /// The resized length before it is rounded down to `output`; what align_corners and tf_crop_and_resize divide by.
  float resized_length = 0;
  float region_start = 0;  ///< of tf_crop_and_resize, in units of the input's length
  float region_end = 1;

  bool kept() const noexcept { return input == output && scale == 1 && region_start == 0 && region_end == 1; }
};

/// The operands of a Resize that decide its geometry, those that are present and known.
struct ResizeOperands {
  std::optional<std::vector<float>> scales;
  std::optional<std::vector<std::int64_t>> sizes;
  std::vector<float> region;  ///< roi: starts, then ends; empty unless given
};

/// How the four attributes of the operator read at the node's opset, checked (Error(model)).
struct ResizeMode {
  enum class Interpolation { nearest, linear, cubic };
  enum class Coordinates {
    half_pixel,
    half_pixel_symmetric,
    pytorch_half_pixel,
    align_corners,
    asymmetric,
    tf_half_pixel_for_nn,
    tf_crop_and_resize
  };
  /// `truncate` is the rounding of Upsample and of Resize before opset 11: up when the axis shrinks, else down.
  enum class Nearest { round_prefer_floor, round_prefer_ceil, floor, ceil, truncate };

  Interpolation interpolation = Interpolation::nearest;
  Coordinates coordinates = Coordinates::half_pixel;
  Nearest nearest = Nearest::round_prefer_floor;
  bool antialias = false;
  bool exclude_outside = false;
  float cubic_coefficient = -0.75F;
  float extrapolation_value = 0;

  static ResizeMode of(const Node& node);
};

/// One entry per dimension of `input` (which may have unknown dimensions). With neither scales nor sizes known the
/// outputs of the resized axes stay unknown. Error(model) for counts, scales or sizes that do not fit.
std::vector<ResizeAxis> resize_axes(const Node& node, const Shape& input, const ResizeOperands& operands);

/// Where output coordinate `x` of an axis lies in the input; single precision, as the scales are.
float source_coordinate(const ResizeAxis& axis, ResizeMode::Coordinates coordinates, std::int64_t x) noexcept;

}  // namespace sparse_run
