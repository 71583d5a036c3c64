// The matrix product that every reference operator of the family calls, over any accumulator type.
#pragma once

#include <span>
#include <vector>

#include "cpu/reference/numbers.hpp"
#include "graph/ops/matrix.hpp"

namespace sparse_run::reference {

/// NumPy's matmul: the product of the last two dimensions, the others broadcast; a vector gains a dimension that the
/// result drops again. Shapes must fit (graph/ops/matrix.hpp).
template <class Number>
std::vector<Number> matmul(const Shape& a_shape, const Shape& b_shape, std::span<const Number> a,
                           std::span<const Number> b) {
  Shape left = a_shape;
  Shape right = b_shape;
  if (left.size() == 1) left.insert(left.begin(), 1);
  if (right.size() == 1) right.push_back(1);
  const std::int64_t rows = left[left.size() - 2];
  const std::int64_t inner = left.back();
  const std::int64_t columns = right.back();
  const Shape left_batch(left.begin(), left.end() - 2);
  const Shape right_batch(right.begin(), right.end() - 2);
  const Shape batch = broadcast(left_batch, right_batch).value();
  std::vector<Number> y(static_cast<std::size_t>(element_count(matmul_shape(a_shape, b_shape))), Number{0});
  if (y.empty() || inner == 0) return y;
  const auto offset_of = [&](const Shape& own, std::span<const std::int64_t> index) {
    std::int64_t offset = 0;
    for (std::size_t d = 0; d < own.size(); ++d) {
      offset = offset * own[d] + (own[d] == 1 ? 0 : index[batch.size() - own.size() + d]);
    }
    return offset;
  };
  std::vector<std::int64_t> index(batch.size(), 0);
  Number* out = y.data();
  do {
    const Number* matrix_a = a.data() + offset_of(left_batch, index) * rows * inner;
    const Number* matrix_b = b.data() + offset_of(right_batch, index) * inner * columns;
    for (std::int64_t i = 0; i < rows; ++i, out += columns) {
      for (std::int64_t k = 0; k < inner; ++k) {
        const Number factor = matrix_a[i * inner + k];
        for (std::int64_t j = 0; j < columns; ++j) out[j] += factor * matrix_b[k * columns + j];
      }
    }
  } while (next_index(index, batch));
  return y;
}

}  // namespace sparse_run::reference
