// Builds, slices and transposes sparse matrices.
#include "cpu/sparse/csr.hpp"

#include <limits>

#include "base/error.hpp"

namespace sparse_run::cpu {
namespace {

void check_columns(std::size_t columns) {
  if (columns > std::numeric_limits<std::uint32_t>::max()) {
    throw_error(ErrorKind::limit, "a sparse matrix of {} columns: at most 2^32 - 1 are supported", columns);
  }
}

}  // namespace

double Csr::zeros() const noexcept {
  const double all = static_cast<double>(rows) * static_cast<double>(columns);
  return all == 0 ? 0 : 1 - static_cast<double>(nnz()) / all;
}

Csr Csr::from_dense(std::span<const float> dense, std::size_t rows, std::size_t columns) {
  require(dense.size() == rows * columns, "Csr: dense data does not have rows · columns elements");
  check_columns(columns);
  Csr csr{rows, columns, {}, {}, {}};
  csr.row_begin.reserve(rows + 1);
  csr.row_begin.push_back(0);
  std::size_t nnz = 0;
  for (const float value : dense) nnz += value != 0;
  csr.column.reserve(nnz);
  csr.value.reserve(nnz);
  for (std::size_t row = 0; row < rows; ++row) {
    const float* in = dense.data() + row * columns;
    for (std::size_t column = 0; column < columns; ++column) {
      if (in[column] == 0) continue;
      csr.column.push_back(static_cast<std::uint32_t>(column));
      csr.value.push_back(in[column]);
    }
    csr.row_begin.push_back(csr.value.size());
  }
  return csr;
}

Csr Csr::from_linear(std::span<const std::int64_t> linear, std::span<const float> values, std::size_t rows,
                     std::size_t columns) {
  require(linear.size() == values.size(), "Csr: positions and values differ in number");
  check_columns(columns);
  Csr csr{rows, columns, {}, {}, {values.begin(), values.end()}};
  csr.row_begin.assign(rows + 1, 0);
  csr.column.reserve(linear.size());
  std::int64_t previous = -1;
  for (const std::int64_t position : linear) {
    require(position > previous, "Csr: positions are not ascending");
    previous = position;
    const std::size_t row = static_cast<std::size_t>(position) / columns;
    require(row < rows, "Csr: position outside the matrix");
    csr.column.push_back(static_cast<std::uint32_t>(static_cast<std::size_t>(position) % columns));
    ++csr.row_begin[row + 1];
  }
  for (std::size_t row = 0; row < rows; ++row) csr.row_begin[row + 1] += csr.row_begin[row];
  return csr;
}

std::vector<std::size_t> Csr::balanced_rows(std::size_t count) const {
  std::vector<std::size_t> bounds{0};
  for (std::size_t i = 1; i < count; ++i) {
    // a row costs its entries and a few more: it is begun, stored and ended
    const auto work = [&](std::size_t row) { return row_begin[row] + 4 * row; };
    const std::size_t wanted = work(rows) * i / count;
    std::size_t low = bounds.back(), high = rows;
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      if (work(middle) < wanted) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    bounds.push_back(low);
  }
  bounds.push_back(rows);
  return bounds;
}

Csr Csr::slice_rows(std::size_t begin, std::size_t end) const {
  require(begin <= end && end <= rows, "Csr: row range outside the matrix");
  Csr slice{end - begin, columns, {}, {}, {}};
  const auto first = static_cast<std::ptrdiff_t>(row_begin[begin]), last = static_cast<std::ptrdiff_t>(row_begin[end]);
  slice.column.assign(column.begin() + first, column.begin() + last);
  slice.value.assign(value.begin() + first, value.begin() + last);
  slice.row_begin.reserve(end - begin + 1);
  for (std::size_t row = begin; row <= end; ++row) slice.row_begin.push_back(row_begin[row] - row_begin[begin]);
  return slice;
}

Csr Csr::transposed() const {
  check_columns(rows);
  Csr out{columns, rows, {}, {}, {}};
  out.row_begin.assign(columns + 1, 0);
  for (const std::uint32_t c : column) ++out.row_begin[c + 1];
  for (std::size_t c = 0; c < columns; ++c) out.row_begin[c + 1] += out.row_begin[c];
  out.column.resize(nnz());
  out.value.resize(nnz());
  std::vector<std::size_t> next(out.row_begin.begin(), out.row_begin.end() - 1);
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t i = row_begin[row]; i < row_begin[row + 1]; ++i) {
      const std::size_t at = next[column[i]]++;
      out.column[at] = static_cast<std::uint32_t>(row);
      out.value[at] = value[i];
    }
  }
  return out;
}

}  // namespace sparse_run::cpu
