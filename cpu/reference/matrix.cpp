// Reference kernels: matrix products and determinants.
#include <algorithm>
#include <cmath>

#include "cpu/reference/families.hpp"
#include "cpu/reference/matmul.hpp"

namespace sparse_run::reference {

namespace {

/// Integers as unsigned, whose products wrap as the low bits of the exact result do.
std::vector<std::uint64_t> to_unsigned(const Tensor& tensor) {
  const std::vector<std::int64_t> values = to_integers(tensor);
  return {values.begin(), values.end()};
}

void store_unsigned(Tensor& tensor, std::span<const std::uint64_t> values) {
  store_integers(tensor, std::vector<std::int64_t>(values.begin(), values.end()));
}

void mat_mul(Context& context) {
  const Tensor& a = context.input(0);
  const Tensor& b = context.input(1);
  if (is_integer(a.dtype())) {
    store_unsigned(context.output(0), matmul<std::uint64_t>(a.shape(), b.shape(), to_unsigned(a), to_unsigned(b)));
  } else {
    store(context.output(0), matmul<double>(a.shape(), b.shape(), to_doubles(a), to_doubles(b)));
  }
}

template <class Number>
void transpose(Shape& shape, std::vector<Number>& values) {
  std::vector<Number> result;
  result.reserve(values.size());
  for (std::int64_t j = 0; j < shape[1]; ++j) {
    for (std::int64_t i = 0; i < shape[0]; ++i) result.push_back(values[static_cast<std::size_t>(i * shape[1] + j)]);
  }
  std::swap(shape[0], shape[1]);
  values = std::move(result);
}

template <class Number>
std::vector<Number> oriented_product(const Node& node, const Tensor& a, const Tensor& b, std::vector<Number> x,
                                     std::vector<Number> y) {
  Shape a_shape = a.shape();
  Shape b_shape = b.shape();
  if (node.int_or("transA", 0) != 0) transpose(a_shape, x);
  if (node.int_or("transB", 0) != 0) transpose(b_shape, y);
  return matmul<Number>(a_shape, b_shape, x, y);
}

/// Offset into C, of a shape that broadcasts to rows x columns, for row i and column j.
std::int64_t broadcast_offset(const Shape& c, std::int64_t i, std::int64_t j) {
  if (c.empty()) return 0;
  const std::int64_t column = c.back() == 1 ? 0 : j;
  return c.size() == 1 ? column : (c[0] == 1 ? 0 : i) * c[1] + column;
}

void gemm(Context& context) {
  const Node& node = context.node();
  const Tensor& a = context.input(0);
  const Tensor& b = context.input(1);
  const double alpha = node.float_or("alpha", 1.0F);
  const double beta = node.float_or("beta", 1.0F);
  Tensor& output = context.output(0);
  const std::int64_t columns = output.dim(1);
  if (is_integer(a.dtype()) && alpha == 1 && beta == 1) {
    auto y = oriented_product(node, a, b, to_unsigned(a), to_unsigned(b));
    if (context.has_input(2)) {
      const auto c = to_unsigned(context.input(2));
      for (std::size_t at = 0; at < y.size(); ++at) {
        const auto flat = static_cast<std::int64_t>(at);
        y[at] +=
            c[static_cast<std::size_t>(broadcast_offset(context.input(2).shape(), flat / columns, flat % columns))];
      }
    }
    return store_unsigned(output, y);
  }
  auto y = oriented_product(node, a, b, to_doubles(a), to_doubles(b));
  for (double& value : y) value *= alpha;
  if (context.has_input(2) && beta != 0) {
    const auto c = to_doubles(context.input(2));
    for (std::size_t at = 0; at < y.size(); ++at) {
      const auto flat = static_cast<std::int64_t>(at);
      y[at] += beta *
               c[static_cast<std::size_t>(broadcast_offset(context.input(2).shape(), flat / columns, flat % columns))];
    }
  }
  store(output, y);
}

/// By elimination with partial pivoting.
double determinant(std::vector<double> m, std::int64_t n) {
  const auto at = [&](std::int64_t i, std::int64_t j) -> double& { return m[static_cast<std::size_t>(i * n + j)]; };
  double result = 1;
  for (std::int64_t k = 0; k < n; ++k) {
    std::int64_t pivot = k;
    for (std::int64_t i = k + 1; i < n; ++i) {
      if (std::abs(at(i, k)) > std::abs(at(pivot, k))) pivot = i;
    }
    if (pivot != k) {
      for (std::int64_t j = 0; j < n; ++j) std::swap(at(k, j), at(pivot, j));
      result = -result;
    }
    result *= at(k, k);
    if (at(k, k) == 0) return result;
    for (std::int64_t i = k + 1; i < n; ++i) {
      const double factor = at(i, k) / at(k, k);
      for (std::int64_t j = k; j < n; ++j) at(i, j) -= factor * at(k, j);
    }
  }
  return result;
}

void det(Context& context) {
  const std::vector<double> x = to_doubles(context.input(0));
  const std::int64_t n = context.input(0).dim(-1);
  Tensor& output = context.output(0);
  std::vector<double> y;
  for (std::int64_t i = 0; i < output.size(); ++i) {
    y.push_back(determinant({x.begin() + i * n * n, x.begin() + (i + 1) * n * n}, n));
  }
  store(output, y);
}

}  // namespace

void register_matrix(Table& table) {
  table.add("MatMul", mat_mul);
  table.add("Gemm", gemm);
  table.add("Det", det);
  register_quantized(table);
  register_einsum(table);
  register_attention(table);
}

}  // namespace sparse_run::reference
