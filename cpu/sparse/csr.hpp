// A sparse matrix by rows: the form in which weights reach the sparse kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sparse_run::cpu {

/// Compressed sparse rows, columns ascending within a row. What is stored is multiplied, whatever its value: a NaN or
/// an infinity is an entry like any other.
struct Csr {
  std::size_t rows = 0, columns = 0;
  std::vector<std::size_t> row_begin{0};  ///< rows + 1 positions
  std::vector<std::uint32_t> column;
  std::vector<float> value;

  std::size_t nnz() const noexcept { return value.size(); }
  std::size_t row_nnz(std::size_t row) const noexcept { return row_begin[row + 1] - row_begin[row]; }
  /// Share of entries that are not stored.
  double zeros() const noexcept;

  /// The elements of row-major `dense` that differ from 0 (NaN does). Throws Error(internal) when its size differs,
  /// Error(limit) above 2^32 - 1 columns.
  static Csr from_dense(std::span<const float> dense, std::size_t rows, std::size_t columns);
  /// From `linear`, ascending row-major positions of `values`, as a COO tensor has them.
  static Csr from_linear(std::span<const std::int64_t> linear, std::span<const float> values, std::size_t rows,
                         std::size_t columns);
  /// Rows [begin, end) as a matrix of their own.
  Csr slice_rows(std::size_t begin, std::size_t end) const;
  /// `count` ranges of rows, in order, of nearly equally many entries: count + 1 bounds, the first 0, the last `rows`.
  std::vector<std::size_t> balanced_rows(std::size_t count) const;
  /// Rows become columns.
  Csr transposed() const;
};

}  // namespace sparse_run::cpu
