// Schemas and type inference: sampling, rearranging and cropping of images.
#include "graph/ops/convolution.hpp"
#include "graph/ops/operand_rules.hpp"
#include "graph/ops/window.hpp"

namespace sparse_run {

namespace {

void infer_grid_sample(InferContext& context) {
  expect_float(context, 1);
  const Node& node = context.node();
  const std::string mode = node.string_or("mode", "linear");
  if (mode != "linear" && mode != "bilinear" && mode != "nearest" && mode != "cubic" && mode != "bicubic") {
    throw_error(ErrorKind::model, "attribute 'mode' is '{}': linear, nearest or cubic expected", mode);
  }
  const std::string padding = node.string_or("padding_mode", "zeros");
  if (padding != "zeros" && padding != "border" && padding != "reflection") {
    throw_error(ErrorKind::model, "attribute 'padding_mode' is '{}': zeros, border or reflection expected", padding);
  }
  const Shape* input = context.shape(0);
  const Shape* grid = context.shape(1);
  if (input == nullptr && grid == nullptr) return context.set_tensor(0, context.dtype(0));
  const std::size_t rank = input != nullptr ? input->size() : grid->size();
  if (rank < 3) throw_error(ErrorKind::model, "an input of rank {} has no spatial dimensions", rank);
  Shape shape(rank, kUnknownDim);
  if (input != nullptr) {
    shape[0] = (*input)[0];
    shape[1] = (*input)[1];
  }
  if (grid != nullptr) {
    expect_rank(context, 1, rank);
    shape[0] = expect_same_dim(shape[0], (*grid)[0], "batch of input and grid");
    expect_same_dim(grid->back(), static_cast<std::int64_t>(rank) - 2, "last dimension of the grid and spatial rank");
    for (std::size_t d = 2; d < rank; ++d) shape[d] = (*grid)[d - 1];
  }
  context.set_tensor(0, context.dtype(0), shape);
}

void infer_affine_grid(InferContext& context) {
  expect_float(context, 0);
  expect_dtype(context, 1, {DType::i64});
  const Shape* theta = expect_rank(context, 0, 3);
  const auto size = context.integers(1);
  std::optional<std::size_t> spatial;
  if (size) {
    if (size->size() != 4 && size->size() != 5) {
      throw_error(ErrorKind::model, "size has {} values, 4 or 5 expected", size->size());
    }
    spatial = size->size() - 2;
    for (const std::int64_t dim : *size) {
      if (dim < 0) throw_error(ErrorKind::model, "size is {}", to_string(*size));
    }
  } else if (theta != nullptr && (*theta)[1] >= 0) {
    spatial = static_cast<std::size_t>((*theta)[1]);
    if (*spatial != 2 && *spatial != 3)
      throw_error(ErrorKind::model, "theta is {}: Nx2x3 or Nx3x4 expected", to_string(*theta));
  }
  if (!spatial) return context.set_tensor(0, context.dtype(0));
  Shape shape(*spatial + 2, kUnknownDim);
  shape.back() = static_cast<std::int64_t>(*spatial);
  if (size) {
    shape[0] = (*size)[0];
    for (std::size_t d = 0; d < *spatial; ++d) shape[1 + d] = (*size)[2 + d];
  }
  if (theta != nullptr) {
    shape[0] = expect_same_dim(shape[0], (*theta)[0], "batch of theta and size");
    expect_same_dim((*theta)[1], shape.back(), "rows of theta and spatial rank");
    expect_same_dim((*theta)[2], shape.back() + 1, "columns of theta and spatial rank + 1");
  }
  context.set_tensor(0, context.dtype(0), shape);
}

void infer_col2im(InferContext& context) {
  expect_dtype(context, 1, {DType::i64});
  expect_dtype(context, 2, {DType::i64});
  const Shape* input = expect_rank(context, 0, 3);
  const auto image = context.integers(1);
  const auto block = context.integers(2);
  if (!image || !block) {
    const Shape* counts = context.shape(1) != nullptr ? context.shape(1) : context.shape(2);
    std::optional<Shape> shape;
    if (counts != nullptr && counts->size() == 1 && (*counts)[0] >= 0 && (*counts)[0] < 64) {
      shape = Shape(static_cast<std::size_t>((*counts)[0]) + 2, kUnknownDim);
      if (input != nullptr) (*shape)[0] = (*input)[0];
    }
    return context.set_tensor(0, context.dtype(0), shape);
  }
  std::int64_t blocks = 1;
  std::int64_t taps = 1;
  for (const WindowAxis& axis : unfolded_axes(context.node(), *image, *block)) {
    blocks = checked_multiply(blocks, axis.output);
    taps = checked_multiply(taps, axis.kernel);
  }
  Shape shape{kUnknownDim, kUnknownDim};
  if (input != nullptr) {
    shape[0] = (*input)[0];
    if ((*input)[1] >= 0) {
      if ((*input)[1] % taps != 0) {
        throw_error(ErrorKind::model, "input {}: {} rows are no multiple of the {} elements of a block",
                    to_string(*input), (*input)[1], taps);
      }
      shape[1] = (*input)[1] / taps;
    }
    expect_same_dim((*input)[2], blocks, "columns of the input and blocks in the image");
  }
  shape.insert(shape.end(), image->begin(), image->end());
  context.set_tensor(0, context.dtype(0), shape);
}

void infer_center_crop_pad(InferContext& context) {
  expect_dtype(context, 1, {DType::i32, DType::i64});
  const Shape* input = context.shape(0);
  if (input == nullptr) return context.set_tensor(0, context.dtype(0));
  std::vector<std::int64_t> axes = context.node().ints_or("axes");
  if (!context.node().has("axes")) {
    for (std::size_t d = 0; d < input->size(); ++d) axes.push_back(static_cast<std::int64_t>(d));
  }
  const auto target = context.integers(1);
  if (target && target->size() != axes.size()) {
    throw_error(ErrorKind::model, "shape has {} values for {} axes", target->size(), axes.size());
  }
  Shape shape = *input;
  std::vector<bool> seen(shape.size(), false);
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const auto d = static_cast<std::size_t>(normalize_axis(axes[k], shape.size()));
    if (seen[d]) throw_error(ErrorKind::model, "attribute 'axes' names axis {} twice", d);
    seen[d] = true;
    shape[d] = target ? (*target)[k] : kUnknownDim;
    if (target && shape[d] < 0) throw_error(ErrorKind::model, "shape is {}", to_string(*target));
  }
  context.set_tensor(0, context.dtype(0), shape);
}

void infer_depth_space(InferContext& context) {
  const Node& node = context.node();
  const auto block = node.get<std::int64_t>("blocksize");
  if (block < 1 || block > 32768)
    throw_error(ErrorKind::model, "attribute 'blocksize' is {}: 1 to 32768 expected", block);
  const bool to_space = node.op == "DepthToSpace";
  const std::string mode = node.string_or("mode", "DCR");
  if (to_space && mode != "DCR" && mode != "CRD") {
    throw_error(ErrorKind::model, "attribute 'mode' is '{}': DCR or CRD expected", mode);
  }
  const Shape* input = expect_rank(context, 0, 4);
  if (input == nullptr) return context.set_tensor(0, context.dtype(0), Shape(4, kUnknownDim));
  const auto divided = [&](std::int64_t size, std::int64_t by) {
    if (size < 0) return kUnknownDim;
    if (size % by != 0) {
      throw_error(ErrorKind::model, "input {}: {} is no multiple of {}", to_string(*input), size, by);
    }
    return size / by;
  };
  const auto multiplied = [](std::int64_t size, std::int64_t by) {
    return size < 0 ? kUnknownDim : checked_multiply(size, by);
  };
  Shape shape = *input;
  shape[1] = to_space ? divided(shape[1], block * block) : multiplied(shape[1], block * block);
  for (std::size_t d = 2; d < 4; ++d) shape[d] = to_space ? multiplied(shape[d], block) : divided(shape[d], block);
  context.set_tensor(0, context.dtype(0), shape);
}

}  // namespace

void register_image_ops(OpRegistry& registry) {
  registry.add({"", "GridSample", 16, 2, 2, 1, 1, infer_grid_sample});
  registry.add({"", "AffineGrid", 20, 2, 2, 1, 1, infer_affine_grid});
  registry.add({"", "Col2Im", 18, 3, 3, 1, 1, infer_col2im});
  registry.add({"", "CenterCropPad", 18, 2, 2, 1, 1, infer_center_crop_pad});
  registry.add({"", "DepthToSpace", 1, 1, 1, 1, 1, infer_depth_space});
  registry.add({"", "SpaceToDepth", 1, 1, 1, 1, 1, infer_depth_space});
}

}  // namespace sparse_run
