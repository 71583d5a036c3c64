// Reference kernel: Einsum, by running through every combination of indices.
#include "graph/ops/einsum.hpp"

#include <algorithm>

#include "cpu/reference/families.hpp"
#include "cpu/reference/numbers.hpp"

namespace sparse_run::reference {

namespace {

/// How far each index moves an operand's offset: a dimension of size 1 is repeated, one named twice is a diagonal.
std::vector<std::int64_t> index_strides(const std::vector<std::size_t>& dims, const Shape& shape, std::size_t count) {
  const auto strides = row_major_strides(shape);
  std::vector<std::int64_t> result(count, 0);
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (shape[d] != 1) result[dims[d]] += strides[d];
  }
  return result;
}

template <class Number>
std::vector<Number> contract(const EinsumEquation& equation, const std::vector<Shape>& shapes,
                             const std::vector<std::vector<Number>>& operands) {
  const Shape output = equation.output_shape();
  std::vector<Number> y(static_cast<std::size_t>(element_count(output)), Number{0});
  if (has_no_elements(equation.sizes)) return y;
  const std::size_t count = equation.sizes.size();
  // Result indices first, so that the sum of one element is a run of the innermost loops.
  std::vector<std::size_t> order = equation.output;
  for (std::size_t index = 0; index < count; ++index) {
    if (std::find(order.begin(), order.end(), index) == order.end()) order.push_back(index);
  }
  std::vector<std::int64_t> sizes;
  for (const std::size_t index : order) sizes.push_back(equation.sizes[index]);
  std::vector<std::vector<std::int64_t>> strides;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const auto by_index = index_strides(equation.operands[i], shapes[i], count);
    std::vector<std::int64_t>& ordered = strides.emplace_back();
    for (const std::size_t index : order) ordered.push_back(by_index[index]);
  }
  std::int64_t terms = 1;
  for (std::size_t k = output.size(); k < count; ++k) terms *= sizes[k];
  std::vector<std::int64_t> at(count, 0);
  for (Number& sum : y) {
    for (std::int64_t t = 0; t < terms; ++t) {
      Number product{1};
      for (std::size_t i = 0; i < operands.size(); ++i) {
        std::int64_t offset = 0;
        for (std::size_t k = 0; k < count; ++k) offset += at[k] * strides[i][k];
        product *= operands[i][static_cast<std::size_t>(offset)];
      }
      sum += product;
      next_index(at, sizes);
    }
  }
  return y;
}

void einsum(Context& context) {
  std::vector<Shape> shapes;
  for (std::size_t i = 0; i < context.input_count(); ++i) shapes.push_back(context.input(i).shape());
  const auto equation = EinsumEquation::parse(context.node().get<std::string>("equation"), shapes);
  Tensor& output = context.output(0);
  if (is_integer(output.dtype())) {
    std::vector<std::vector<std::uint64_t>> operands;  // unsigned: products wrap
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const auto values = to_integers(context.input(i));
      operands.emplace_back(values.begin(), values.end());
    }
    const auto y = contract(equation, shapes, operands);
    return store_integers(output, std::vector<std::int64_t>(y.begin(), y.end()));
  }
  std::vector<std::vector<double>> operands;
  for (std::size_t i = 0; i < shapes.size(); ++i) operands.push_back(to_doubles(context.input(i)));
  store(output, contract(equation, shapes, operands));
}

}  // namespace

void register_einsum(Table& table) { table.add("Einsum", einsum); }

}  // namespace sparse_run::reference
