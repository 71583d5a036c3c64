// Reference kernels of operators that change or report a shape and leave the elements in order.
#include "cpu/reference/movement.hpp"
#include "graph/ops/geometry.hpp"

namespace sparse_run::reference {

namespace {

void copy_elements(Context& ctx) { ctx.output(0).copy_from(ctx.input(0)); }

void shape(Context& ctx) {
  const Shape& dims = ctx.input(0).shape();
  const auto [start, end] = shape_bounds(ctx.node(), dims.size());
  const auto out = ctx.output(0).data<std::int64_t>();
  std::copy(dims.begin() + start, dims.begin() + end, out.begin());
}

void size(Context& ctx) { ctx.output(0).data<std::int64_t>()[0] = ctx.input(0).size(); }

}  // namespace

void register_reshape(Table& table) {
  table.add("Reshape", copy_elements);
  table.add("Flatten", copy_elements);
  table.add("Squeeze", copy_elements);
  table.add("Unsqueeze", copy_elements);
  table.add("Shape", shape);
  table.add("Size", size);
}

}  // namespace sparse_run::reference
