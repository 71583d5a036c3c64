// Schemas and type inference: pooling, global pooling, unpooling and pooling over regions of interest.
#include "graph/ops/convolution.hpp"
#include "graph/ops/operand_rules.hpp"
#include "graph/ops/window.hpp"

namespace sparse_run {

namespace {

void infer_pool(InferContext& context) {
  const Node& node = context.node();
  const bool maximum = node.op == "MaxPool";
  if (maximum) {
    expect_dtype(context, 0, {DType::f32, DType::f16, DType::bf16, DType::f64, DType::u8, DType::i8});
  } else {
    expect_float(context, 0);
  }
  if (node.op == "LpPool" && node.int_or("p", 2) < 1) {
    throw_error(ErrorKind::model, "attribute 'p' is {}: 1 or more expected", node.int_or("p", 2));
  }
  if (maximum && node.int_or("storage_order", 0) != 0 && node.int_or("storage_order", 0) != 1) {
    throw_error(ErrorKind::model, "attribute 'storage_order' is {}: 0 or 1 expected", node.int_or("storage_order", 0));
  }
  std::optional<Shape> shape;
  if (const Shape* input = context.shape(0)) shape = PoolGeometry::sliding(node, *input).output_shape();
  context.set_tensor(0, context.dtype(0), shape);
  if (maximum) context.set_tensor(1, DType::i64, shape);
}

void infer_global_pool(InferContext& context) {
  expect_float(context, 0);
  if (context.node().op == "GlobalLpPool" && context.node().int_or("p", 2) < 1) {
    throw_error(ErrorKind::model, "attribute 'p' is {}: 1 or more expected", context.node().int_or("p", 2));
  }
  std::optional<Shape> shape;
  if (const Shape* input = context.shape(0)) {
    if (input->size() < 2) throw_error(ErrorKind::model, "input {} has no channels", to_string(*input));
    shape = Shape(input->size(), 1);
    (*shape)[0] = (*input)[0];
    (*shape)[1] = (*input)[1];
  }
  context.set_tensor(0, context.dtype(0), shape);
}

void infer_max_unpool(InferContext& context) {
  expect_float(context, 0);
  expect_dtype(context, 1, {DType::i64});
  const Shape* input = context.shape(0);
  const Shape* indices = context.shape(1);
  if (input == nullptr) input = indices;
  std::optional<Shape> shape;
  if (input != nullptr) {
    if (indices != nullptr) {
      if (indices->size() != input->size()) {
        throw_error(ErrorKind::model, "input {} and indices {} differ in rank", to_string(*input), to_string(*indices));
      }
      for (std::size_t d = 0; d < input->size(); ++d) {
        expect_same_dim((*input)[d], (*indices)[d], "dimensions of input and indices");
      }
    }
    shape = unpooled_shape(context.node(), *input);
    if (context.has_input(2)) {
      const auto asked = context.integers(2);
      if (!asked) {
        shape = Shape(input->size(), kUnknownDim);
      } else {
        if (asked->size() != input->size()) {
          throw_error(ErrorKind::model, "output_shape has {} values, {} expected", asked->size(), input->size());
        }
        for (const std::int64_t dim : *asked) {
          if (dim < 0) throw_error(ErrorKind::model, "output_shape is {}", to_string(*asked));
        }
        shape = *asked;
      }
    }
  }
  context.set_tensor(0, context.dtype(0), shape);
}

/// [number of regions, channels, height, width] for inputs X [N, C, H, W] and regions whose count is in `counts`.
void infer_regions(InferContext& context, std::int64_t height, std::int64_t width, std::int64_t columns) {
  expect_float(context, 0);
  expect_same_dtype(context, 0, 1);
  if (height < 1 || width < 1) {
    throw_error(ErrorKind::model, "output size {}x{}: 1 or more expected", height, width);
  }
  const Shape* input = expect_rank(context, 0, 4);
  const Shape* regions = expect_rank(context, 1, 2);
  if (regions != nullptr) expect_same_dim((*regions)[1], columns, "columns of the regions");
  std::int64_t count = regions != nullptr ? (*regions)[0] : kUnknownDim;
  if (columns == 4) {
    expect_dtype(context, 2, {DType::i64});
    if (const Shape* batches = expect_rank(context, 2, 1)) {
      count = expect_same_dim(count, (*batches)[0], "number of regions and of batch indices");
    }
  }
  context.set_tensor(0, context.dtype(0), Shape{count, input != nullptr ? (*input)[1] : kUnknownDim, height, width});
}

void infer_max_roi_pool(InferContext& context) {
  const auto& pooled = context.node().get<std::vector<std::int64_t>>("pooled_shape");
  if (pooled.size() != 2)
    throw_error(ErrorKind::model, "attribute 'pooled_shape' has {} values, 2 expected", pooled.size());
  infer_regions(context, pooled[0], pooled[1], 5);
}

void infer_roi_align(InferContext& context) {
  const Node& node = context.node();
  const std::string mode = node.string_or("mode", "avg");
  if (mode != "avg" && mode != "max") {
    throw_error(ErrorKind::model, "attribute 'mode' is '{}': avg or max expected", mode);
  }
  const std::string coordinates = node.string_or("coordinate_transformation_mode", "half_pixel");
  if (coordinates != "half_pixel" && coordinates != "output_half_pixel") {
    throw_error(ErrorKind::model,
                "attribute 'coordinate_transformation_mode' is '{}': half_pixel or output_half_pixel expected",
                coordinates);
  }
  if (node.int_or("sampling_ratio", 0) < 0 || node.int_or("sampling_ratio", 0) > 4096) {
    throw_error(ErrorKind::model, "attribute 'sampling_ratio' is {}: 0 to 4096 expected",
                node.int_or("sampling_ratio", 0));
  }
  infer_regions(context, node.int_or("output_height", 1), node.int_or("output_width", 1), 4);
}

}  // namespace

void register_pooling_ops(OpRegistry& registry) {
  registry.add({"", "MaxPool", 1, 1, 1, 1, 1, infer_pool});
  registry.add({"", "MaxPool", 8, 1, 1, 1, 2, infer_pool});
  registry.add({"", "AveragePool", 1, 1, 1, 1, 1, infer_pool});
  registry.add({"", "LpPool", 2, 1, 1, 1, 1, infer_pool});
  for (const std::string_view name : {"GlobalAveragePool", "GlobalMaxPool"}) {
    registry.add({"", name, 1, 1, 1, 1, 1, infer_global_pool});
  }
  registry.add({"", "GlobalLpPool", 2, 1, 1, 1, 1, infer_global_pool});
  registry.add({"", "MaxUnpool", 9, 2, 3, 1, 1, infer_max_unpool});
  registry.add({"", "MaxRoiPool", 1, 2, 2, 1, 1, infer_max_roi_pool});
  registry.add({"", "RoiAlign", 10, 3, 3, 1, 1, infer_roi_align});
}

}  // namespace sparse_run
