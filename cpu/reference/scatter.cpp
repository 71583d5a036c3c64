// Reference kernels of operators that write at computed positions.
#include "cpu/reference/elements.hpp"
#include "cpu/reference/movement.hpp"

namespace sparse_run::reference {

namespace {

void scatter_elements(Context& ctx) {
  const Tensor& data = ctx.input(0);
  const Tensor& updates = ctx.input(2);
  Tensor& output = ctx.output(0);
  output.copy_from(data);
  const auto axis = static_cast<std::size_t>(normalize_axis(ctx.node().int_or("axis", 0), data.rank()));
  const auto indices = ctx.input(1).to_int64();
  const auto strides = row_major_strides(data.shape());
  const auto combine = combiner(ctx.node().string_or("reduction", "none"), updates, output);
  for_each_position(ctx.input(1).shape(), [&](const auto& index, std::int64_t linear) {
    const std::int64_t chosen = checked_index(indices[static_cast<std::size_t>(linear)], data.shape()[axis]);
    combine(position_of(index, strides) + (chosen - index[axis]) * strides[axis], linear);
  });
}

void scatter_nd(Context& ctx) {
  const Tensor& data = ctx.input(0);
  const Tensor& index_tensor = ctx.input(1);
  const Tensor& updates = ctx.input(2);
  Tensor& output = ctx.output(0);
  output.copy_from(data);
  const auto indices = index_tensor.to_int64();
  const auto depth = static_cast<std::size_t>(index_tensor.shape().back());
  const std::int64_t tuples = extent(index_tensor.shape(), 0, index_tensor.rank() - 1);
  const std::int64_t run = extent(data.shape(), depth, data.rank());
  const auto strides = row_major_strides(data.shape());
  const auto combine = combiner(ctx.node().string_or("reduction", "none"), updates, output);
  for (std::int64_t t = 0; t < tuples; ++t) {
    std::int64_t at = 0;
    for (std::size_t d = 0; d < depth; ++d) {
      at += checked_index(indices[static_cast<std::size_t>(t) * depth + d], data.shape()[d]) * strides[d];
    }
    for (std::int64_t i = 0; i < run; ++i) combine(at + i, t * run + i);
  }
}

void tensor_scatter(Context& ctx) {
  const Tensor& cache = ctx.input(0);
  const Tensor& update = ctx.input(1);
  Tensor& output = ctx.output(0);
  output.copy_from(cache);
  const auto axis = static_cast<std::size_t>(normalize_axis(ctx.node().int_or("axis", -2), cache.rank()));
  const bool circular = ctx.node().string_or("mode", "linear") == "circular";
  const std::int64_t length = cache.shape()[axis];
  std::vector<std::int64_t> starts(static_cast<std::size_t>(cache.shape()[0]), 0);
  if (ctx.has_input(2)) starts = ctx.input(2).to_int64();
  for (std::int64_t& start : starts) {
    // One past the end is legal for an update of no positions.
    if (start < 0 || start > (circular ? INT64_MAX : length - update.shape()[axis])) {
      throw_error(ErrorKind::input, "write index {} does not fit {} positions into a cache of {}", start,
                  update.shape()[axis], length);
    }
    if (circular && length > 0) start %= length;
  }
  const auto strides = row_major_strides(cache.shape());
  const ElementMover mover(update, output);
  for_each_position(update.shape(), [&](const auto& index, std::int64_t linear) {
    std::int64_t position = starts[static_cast<std::size_t>(index[0])] + index[axis];
    if (circular) position %= length;
    mover.move(linear, position_of(index, strides) + (position - index[axis]) * strides[axis]);
  });
}

}  // namespace

void register_scatter(Table& table) {
  table.add("Scatter", scatter_elements);
  table.add("ScatterElements", scatter_elements);
  table.add("ScatterND", scatter_nd);
  table.add("TensorScatter", tensor_scatter);
}

}  // namespace sparse_run::reference
