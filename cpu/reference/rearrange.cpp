// Reference kernels of operators that reorder, join, cut or repeat whole axes.
#include "cpu/reference/elements.hpp"
#include "cpu/reference/movement.hpp"
#include "graph/ops/geometry.hpp"

namespace sparse_run::reference {

namespace {

// Every output element is the input element at the dot product of its coordinates with `strides`.
void copy_strided(const Tensor& from, Tensor& to, std::span<const std::int64_t> strides) {
  const ElementMover mover(from, to);
  for_each_position(to.shape(),
                    [&](const auto& index, std::int64_t linear) { mover.move(position_of(index, strides), linear); });
}

void transpose(Context& ctx) {
  const Tensor& input = ctx.input(0);
  std::vector<std::int64_t> perm = ctx.node().ints_or("perm");
  if (!ctx.node().has("perm")) {
    for (std::size_t d = input.rank(); d-- > 0;) perm.push_back(static_cast<std::int64_t>(d));
  }
  const auto input_strides = row_major_strides(input.shape());
  std::vector<std::int64_t> strides;
  for (const std::int64_t axis : distinct_axes(perm, input.rank())) {
    strides.push_back(input_strides[static_cast<std::size_t>(axis)]);
  }
  copy_strided(input, ctx.output(0), strides);
}

void expand(Context& ctx) {
  const Tensor& input = ctx.input(0);
  Tensor& output = ctx.output(0);
  const auto input_strides = row_major_strides(input.shape());
  std::vector<std::int64_t> strides(output.rank(), 0);
  const std::size_t added = output.rank() - input.rank();
  for (std::size_t d = 0; d < input.rank(); ++d) {
    if (input.shape()[d] != 1) strides[added + d] = input_strides[d];
  }
  copy_strided(input, output, strides);
}

void tile(Context& ctx) {
  const Tensor& input = ctx.input(0);
  Tensor& output = ctx.output(0);
  const auto strides = row_major_strides(input.shape());
  const ElementMover mover(input, output);
  for_each_position(output.shape(), [&](const auto& index, std::int64_t linear) {
    std::int64_t from = 0;
    for (std::size_t d = 0; d < index.size(); ++d) from += index[d] % input.shape()[d] * strides[d];
    mover.move(from, linear);
  });
}

void concat(Context& ctx) {
  Tensor& output = ctx.output(0);
  const auto axis = static_cast<std::size_t>(normalize_axis(ctx.node().get<std::int64_t>("axis"), output.rank()));
  const std::int64_t outer = extent(output.shape(), 0, axis);
  const std::int64_t row = extent(output.shape(), axis, output.rank());
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < ctx.input_count(); ++i) {
    const Tensor& part = ctx.input(i);
    const ElementMover mover(part, output);
    const std::int64_t run = extent(part.shape(), axis, part.rank());
    for (std::int64_t o = 0; o < outer; ++o) mover.move(o * run, o * row + offset, run);
    offset += run;
  }
}

void split(Context& ctx) {
  const Tensor& input = ctx.input(0);
  const auto axis = static_cast<std::size_t>(normalize_axis(ctx.node().int_or("axis", 0), input.rank()));
  const std::int64_t outer = extent(input.shape(), 0, axis);
  const std::int64_t row = extent(input.shape(), axis, input.rank());
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < ctx.node().outputs.size(); ++i) {
    Tensor& part = ctx.output(i);
    const ElementMover mover(input, part);
    const std::int64_t run = extent(part.shape(), axis, part.rank());
    for (std::int64_t o = 0; o < outer; ++o) mover.move(o * row + offset, o * run, run);
    offset += run;
  }
}

void trilu(Context& ctx) {
  const Tensor& input = ctx.input(0);
  Tensor& output = ctx.output(0);
  const bool upper = ctx.node().int_or("upper", 1) != 0;
  const std::int64_t k = ctx.has_input(1) ? integer_scalar(ctx.input(1)) : 0;
  // Beyond this, k keeps or drops everything whatever it is; clamping keeps row + k from overflowing.
  const std::int64_t rows = input.dim(-2);
  const std::int64_t columns = input.dim(-1);
  const std::int64_t diagonal = std::clamp(k, -rows - 1, columns + 1);
  set_zero(output);
  const ElementMover mover(input, output);
  for_each_position(output.shape(), [&](const auto& index, std::int64_t linear) {
    const std::int64_t row = index[index.size() - 2];
    const std::int64_t column = index[index.size() - 1];
    if (upper ? column >= row + diagonal : column <= row + diagonal) mover.move(linear, linear);
  });
}

void reverse_sequence(Context& ctx) {
  const Tensor& input = ctx.input(0);
  Tensor& output = ctx.output(0);
  const auto batch_axis = static_cast<std::size_t>(normalize_axis(ctx.node().int_or("batch_axis", 1), input.rank()));
  const auto time_axis = static_cast<std::size_t>(normalize_axis(ctx.node().int_or("time_axis", 0), input.rank()));
  const auto lengths = ctx.input(1).to_int64();
  for (const std::int64_t length : lengths) {
    if (length < 0 || length > input.shape()[time_axis]) {
      throw_error(ErrorKind::input, "sequence length {} is outside [0, {}]", length, input.shape()[time_axis]);
    }
  }
  const auto strides = row_major_strides(input.shape());
  const ElementMover mover(input, output);
  for_each_position(output.shape(), [&](const auto& index, std::int64_t linear) {
    const std::int64_t length = lengths[static_cast<std::size_t>(index[batch_axis])];
    const std::int64_t time = index[time_axis];
    const std::int64_t source = time < length ? length - 1 - time : time;
    mover.move(linear + (source - time) * strides[time_axis], linear);
  });
}

}  // namespace

void register_rearrange(Table& table) {
  table.add("Transpose", transpose);
  table.add("Expand", expand);
  table.add("Tile", tile);
  table.add("Concat", concat);
  table.add("Split", split);
  table.add("Trilu", trilu);
  table.add("ReverseSequence", reverse_sequence);
}

}  // namespace sparse_run::reference
