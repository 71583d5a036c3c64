// Reference kernels of operators that read at computed positions.
#include "cpu/reference/elements.hpp"
#include "cpu/reference/movement.hpp"
#include "graph/ops/geometry.hpp"

namespace sparse_run::reference {

namespace {

void gather(Context& ctx) {
  const Tensor& data = ctx.input(0);
  Tensor& output = ctx.output(0);
  const auto axis = static_cast<std::size_t>(normalize_axis(ctx.node().int_or("axis", 0), data.rank()));
  const auto indices = ctx.input(1).to_int64();
  const std::int64_t outer = extent(data.shape(), 0, axis);
  const std::int64_t dim = data.shape()[axis];
  const std::int64_t run = extent(data.shape(), axis + 1, data.rank());
  const ElementMover mover(data, output);
  std::int64_t at = 0;
  for (std::int64_t o = 0; o < outer; ++o) {
    for (const std::int64_t index : indices) {
      mover.move((o * dim + checked_index(index, dim)) * run, at, run);
      at += run;
    }
  }
}

void gather_elements(Context& ctx) {
  const Tensor& data = ctx.input(0);
  Tensor& output = ctx.output(0);
  const auto axis = static_cast<std::size_t>(normalize_axis(ctx.node().int_or("axis", 0), data.rank()));
  const auto indices = ctx.input(1).to_int64();
  const auto strides = row_major_strides(data.shape());
  const ElementMover mover(data, output);
  for_each_position(output.shape(), [&](const auto& index, std::int64_t linear) {
    const std::int64_t chosen = checked_index(indices[static_cast<std::size_t>(linear)], data.shape()[axis]);
    mover.move(position_of(index, strides) + (chosen - index[axis]) * strides[axis], linear);
  });
}

void gather_nd(Context& ctx) {
  const Tensor& data = ctx.input(0);
  Tensor& output = ctx.output(0);
  const Tensor& index_tensor = ctx.input(1);
  const auto indices = index_tensor.to_int64();
  const auto batch = static_cast<std::size_t>(ctx.opset() >= 12 ? ctx.node().int_or("batch_dims", 0) : 0);
  const auto depth = static_cast<std::size_t>(index_tensor.shape().back());
  const auto strides = row_major_strides(data.shape());
  const std::int64_t run = extent(data.shape(), batch + depth, data.rank());
  const Shape tuples(index_tensor.shape().begin(), index_tensor.shape().end() - 1);
  const ElementMover mover(data, output);
  for_each_position(tuples, [&](const auto& index, std::int64_t linear) {
    std::int64_t from = 0;
    for (std::size_t d = 0; d < batch; ++d) from += index[d] * strides[d];
    for (std::size_t d = 0; d < depth; ++d) {
      const std::int64_t chosen = indices[static_cast<std::size_t>(linear) * depth + d];
      from += checked_index(chosen, data.shape()[batch + d]) * strides[batch + d];
    }
    mover.move(from, linear * run, run);
  });
}

void compress(Context& ctx) {
  const Tensor& input = ctx.input(0);
  const auto condition = ctx.input(1).data<bool>();
  const auto* given = ctx.node().find<std::int64_t>("axis");
  const std::size_t axis =
      given != nullptr ? static_cast<std::size_t>(normalize_axis(*given, input.rank())) : std::size_t{0};
  // Without an axis the tensor is one flat axis.
  const Shape shape = given != nullptr ? input.shape() : Shape{input.size()};
  std::vector<std::int64_t> chosen;
  for (std::size_t i = 0; i < condition.size(); ++i) {
    if (!condition[i]) continue;
    if (static_cast<std::int64_t>(i) >= shape[axis]) {
      throw_error(ErrorKind::input, "the condition selects element {} of an axis of {}", i, shape[axis]);
    }
    chosen.push_back(static_cast<std::int64_t>(i));
  }
  Shape result = shape;
  result[axis] = static_cast<std::int64_t>(chosen.size());
  Tensor& output = ctx.allocate(0, input.dtype(), result);
  const std::int64_t outer = extent(shape, 0, axis);
  const std::int64_t run = extent(shape, axis + 1, shape.size());
  const ElementMover mover(input, output);
  std::int64_t at = 0;
  for (std::int64_t o = 0; o < outer; ++o) {
    for (const std::int64_t index : chosen) {
      mover.move((o * shape[axis] + index) * run, at, run);
      at += run;
    }
  }
}

// Indices may be of any numeric type; what is not finite or does not fit is an index that matches nothing.
std::vector<std::int64_t> any_integers(const Tensor& tensor) {
  constexpr std::int64_t kNone = INT64_MIN;
  std::vector<std::int64_t> result(static_cast<std::size_t>(tensor.size()), kNone);
  const bool numeric = visit_arithmetic(tensor.dtype(), [&]<class T>() {
    const auto elements = tensor.data<T>();
    for (std::size_t i = 0; i < result.size(); ++i) {
      if constexpr (std::is_integral_v<T>) {
        if (static_cast<std::uint64_t>(elements[i]) <= static_cast<std::uint64_t>(INT64_MAX) || std::is_signed_v<T>) {
          result[i] = static_cast<std::int64_t>(elements[i]);
        }
      } else {
        const auto number = static_cast<double>(static_cast<Compute<T>>(elements[i]));
        if (number > -0x1p63 && number < 0x1p63) result[i] = static_cast<std::int64_t>(number);
      }
    }
  });
  if (!numeric) throw_error(ErrorKind::model, "indices of type {}", to_string(tensor.dtype()));
  return result;
}

void one_hot(Context& ctx) {
  const Tensor& index_tensor = ctx.input(0);
  const Tensor& values = ctx.input(2);
  Tensor& output = ctx.output(0);
  const auto axis = static_cast<std::size_t>(normalize_axis(ctx.node().int_or("axis", -1), output.rank()));
  const std::int64_t depth = output.shape()[axis];
  const auto indices = any_integers(index_tensor);
  const bool negative_counts_back = ctx.opset() >= 11;
  const std::int64_t run = extent(output.shape(), axis + 1, output.rank());
  const ElementMover mover(values, output);
  for (std::int64_t i = 0; i < output.size(); ++i) mover.move(0, i);
  for (std::size_t i = 0; i < indices.size(); ++i) {
    std::int64_t hot = indices[i];
    if (hot < 0 && hot >= -depth && negative_counts_back) hot += depth;
    if (hot < 0 || hot >= depth) continue;
    const auto position = static_cast<std::int64_t>(i);
    mover.move(1, (position / run * depth + hot) * run + position % run);
  }
}

}  // namespace

void register_gather(Table& table) {
  table.add("Gather", gather);
  table.add("GatherElements", gather_elements);
  table.add("GatherND", gather_nd);
  table.add("Compress", compress);
  table.add("OneHot", one_hot);
}

}  // namespace sparse_run::reference
