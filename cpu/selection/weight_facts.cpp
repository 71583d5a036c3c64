// Counting and gathering the non-zeros of a weight.
#include "cpu/selection/weight_facts.hpp"

#include <algorithm>
#include <cmath>

#include "graph/onnx/file_pages.hpp"

namespace sparse_run::cpu {

bool WeightFacts::usable() const {
  return (value_.tensor() != nullptr || value_.sparse() != nullptr) && value_.type.dtype == DType::f32 &&
         value_.type.is_concrete() && !value_.type.shape->empty();
}

std::int64_t WeightFacts::nonzeros() const {
  if (!nonzeros_) {
    if (const SparseTensor* sparse = value_.sparse()) {
      nonzeros_ = sparse->nnz();
    } else {
      const auto values = value_.tensor()->data<float>();
      nonzeros_ = static_cast<std::int64_t>(values.size()) - std::count(values.begin(), values.end(), 0.0f);
      onnx::discard_file_pages(std::as_bytes(values));  // all weights at once would fill memory with the model's file
    }
  }
  return *nonzeros_;
}

double WeightFacts::zeros() const {
  const auto all = static_cast<double>(elements());
  return all == 0 ? 0 : 1 - static_cast<double>(nonzeros()) / all;
}

namespace {

constexpr std::size_t kSampledRows = 64;

double spread(const std::vector<double>& counts) {
  double sum = 0, squares = 0;
  for (const double count : counts) {
    sum += count;
    squares += count * count;
  }
  const auto n = static_cast<double>(counts.size());
  if (sum == 0) return 0;
  const double mean = sum / n;
  return std::sqrt(std::max(0.0, squares / n - mean * mean)) / mean;
}

/// Share of non-zeros followed by another, less what chance gives, over what chance leaves.
double excess(double together, double nonzeros, double density) {
  if (nonzeros == 0 || density >= 1) return 0;
  return std::clamp((together / nonzeros - density) / (1 - density), 0.0, 1.0);
}

}  // namespace

WeightFacts::Structure WeightFacts::structure() const {
  const auto rows = static_cast<std::size_t>(shape()[0]);
  const std::size_t columns = rows == 0 ? 0 : static_cast<std::size_t>(elements()) / rows;
  if (rows == 0 || columns == 0) return {};
  const float* const dense = value_.tensor() == nullptr ? nullptr : value_.tensor()->data<float>().data();
  std::vector<bool> own(columns), below(columns);
  const auto read = [&](std::size_t row, std::vector<bool>& filled) {
    if (dense != nullptr) {
      for (std::size_t c = 0; c < columns; ++c) filled[c] = dense[row * columns + c] != 0;
      return;
    }
    filled.assign(columns, false);
    const Csr& csr = by_rows();
    for (std::size_t i = csr.row_begin[row]; i < csr.row_begin[row + 1]; ++i) filled[csr.column[i]] = true;
  };
  std::vector<double> row_counts, column_counts(columns);
  double nonzeros = 0, beside = 0, above = 0, above_of = 0;
  const std::size_t step = std::max<std::size_t>(1, rows / kSampledRows);
  for (std::size_t row = 0; row < rows; row += step) {
    read(row, own);
    const bool has_below = row + 1 < rows;
    if (has_below) read(row + 1, below);
    double count = 0;
    for (std::size_t c = 0; c < columns; ++c) {
      if (!own[c]) continue;
      ++count;
      ++column_counts[c];
      if (c + 1 < columns && own[c + 1]) ++beside;
      if (has_below && below[c]) ++above;
    }
    row_counts.push_back(count);
    nonzeros += count;
    if (has_below) above_of += count;
  }
  const double density = nonzeros / (static_cast<double>(row_counts.size()) * static_cast<double>(columns));
  // of few rows, counts in columns vary by chance: only what goes beyond it tells
  const double mean = nonzeros / static_cast<double>(columns);
  const double chance = mean == 0 ? 0 : std::sqrt((1 - density) / mean);
  return {spread(row_counts), std::max(0.0, spread(column_counts) - chance), excess(beside, nonzeros, density),
          excess(above, above_of, density)};
}

Tensor WeightFacts::dense() const {
  return value_.tensor() != nullptr ? *value_.tensor() : value_.sparse()->to_dense(kMostDenseBytes);
}

const Csr& WeightFacts::by_rows() const {
  if (by_rows_) return *by_rows_;
  const auto rows = static_cast<std::size_t>(shape()[0]);
  const std::size_t columns = rows == 0 ? 0 : static_cast<std::size_t>(elements()) / rows;
  if (const Tensor* dense = value_.tensor()) {
    by_rows_.emplace(Csr::from_dense(dense->data<float>(), rows, columns));
    onnx::discard_file_pages(std::as_bytes(dense->data<float>()));
    return *by_rows_;
  }
  const SparseTensor& sparse = *value_.sparse();
  const auto index = sparse.indices.data<std::int64_t>();
  const auto values = sparse.values.data<float>();
  if (sparse.indices.rank() == 1) return by_rows_.emplace(Csr::from_linear(index, values, rows, columns));
  const std::size_t rank = shape().size();
  std::vector<std::int64_t> linear(values.size());
  for (std::size_t i = 0; i < linear.size(); ++i) {
    std::int64_t position = 0;
    for (std::size_t d = 0; d < rank; ++d) position = position * shape()[d] + index[i * rank + d];
    linear[i] = position;
  }
  return by_rows_.emplace(Csr::from_linear(linear, values, rows, columns));
}

const Csr& WeightFacts::by_columns() const {
  if (!by_columns_) by_columns_.emplace(by_rows().transposed());
  return *by_columns_;
}

void WeightFacts::forget_matrices() const {
  by_rows_.reset();
  by_columns_.reset();
}

}  // namespace sparse_run::cpu
