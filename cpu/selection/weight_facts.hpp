// What selection and kernels want to know of a constant weight, found out once per node.
#pragma once

#include <cstdint>
#include <optional>

#include "cpu/sparse/csr.hpp"
#include "graph/ir/graph.hpp"

namespace sparse_run::cpu {

/// A constant operand, dense or COO. Answers are computed when first asked and kept: not thread-safe. A view of the
/// graph's value, which it must not outlive.
class WeightFacts {
 public:
  explicit WeightFacts(const ValueDef& value) : value_(value) {}

  /// True for an f32 constant of at least one dimension: the other questions may be asked.
  bool usable() const;
  const Shape& shape() const { return *value_.type.shape; }
  /// Elements as if dense.
  std::int64_t elements() const { return element_count(shape()); }
  /// Elements that are not zero; a NaN is none. For COO, entries stored.
  std::int64_t nonzeros() const;
  /// Share of zeros in [0, 1]; 0 for an empty weight.
  double zeros() const;
  /// How non-zeros are spread, from a sample of rows (of the matrix of by_rows()).
  struct Structure {
    double row_spread = 0;     ///< standard deviation of non-zeros per row over their mean
    double column_spread = 0;  ///< the same of columns, within the sampled rows
    double along_rows = 0;     ///< how much likelier than chance a non-zero follows one in its row, in [0, 1]
    double along_columns = 0;  ///< … stands below one
  };
  Structure structure() const;
  /// All elements; a copy only of COO. Error(limit) when that has more than 2^26 elements.
  Tensor dense() const;
  /// The non-zeros as a matrix of dimension 0 × all others. COO is never made dense.
  const Csr& by_rows() const;
  /// The same transposed.
  const Csr& by_columns() const;
  /// Frees the matrices; they are gathered again when asked for.
  void forget_matrices() const;

 private:
  static constexpr std::size_t kMostDenseBytes = std::size_t{1} << 28;

  const ValueDef& value_;
  mutable std::optional<std::int64_t> nonzeros_;
  mutable std::optional<Csr> by_rows_, by_columns_;
};

}  // namespace sparse_run::cpu
