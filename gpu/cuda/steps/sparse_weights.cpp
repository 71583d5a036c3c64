// Packing sparse weights.
#include "gpu/cuda/steps/sparse_weights.hpp"

#include <fmt/format.h>

#include <limits>

#include "graph/passes/sparsity.hpp"

namespace sparse_run::gpu::cuda {

double CsrWeights::zeros() const {
  const double places = static_cast<double>(rows) * static_cast<double>(columns);
  return places == 0 ? 0 : 1 - static_cast<double>(values.size()) / places;
}

std::string refuse_sparse_weights(const NodeView& view, double from) {
  if (!view.has(1) || !view.in(1).constant) return "its weights are not constant";
  const ValueDef& value = view.in(1);
  if (value.type.dtype != DType::f32 || view.in_shape(1).size() != 2) return "its weights are no matrix of f32";
  if (element_count(view.in_shape(1)) == 0) return "its weights are empty";
  const Sparsity sparsity = value.tensor() != nullptr ? sparsity_of(*value.tensor()) : sparsity_of(*value.sparse());
  if (sparsity.share() < from) {
    return fmt::format("only {:.0f}% of its weights are zeros, sparse kernels are used from {:.0f}%",
                       100 * sparsity.share(), 100 * from);
  }
  if (sparsity.elements - sparsity.zeros > std::numeric_limits<std::int32_t>::max()) return "it has too many non-zeros";
  return {};
}

std::optional<CsrWeights> csr_weights(const NodeView& view, bool transposed, double from, std::string& reason) {
  reason = refuse_sparse_weights(view, from);
  if (!reason.empty()) return std::nullopt;
  const ValueDef& value = view.in(1);
  const Tensor dense = value.tensor() != nullptr ? *value.tensor() : value.sparse()->to_dense();
  const Shape& shape = view.in_shape(1);
  CsrWeights weights;
  weights.rows = transposed ? shape[0] : shape[1];
  weights.columns = transposed ? shape[1] : shape[0];
  const std::int64_t row_step = transposed ? weights.columns : 1;
  const std::int64_t column_step = transposed ? 1 : weights.rows;
  const auto numbers = dense.data<float>();
  weights.begins.push_back(0);
  for (std::int64_t row = 0; row < weights.rows; ++row) {
    for (std::int64_t column = 0; column < weights.columns; ++column) {
      const float number = numbers[static_cast<std::size_t>(row * row_step + column * column_step)];
      if (number == 0) continue;
      weights.column.push_back(static_cast<std::int32_t>(column));
      weights.values.push_back(number);
    }
    weights.begins.push_back(static_cast<std::int32_t>(weights.values.size()));
  }
  return weights;
}

BitmapWeights BitmapWeights::of(const CsrWeights& weights) {
  BitmapWeights packed;
  packed.values = weights.values;
  const auto row_words = static_cast<std::size_t>((weights.columns + 31) / 32);
  packed.words.assign(static_cast<std::size_t>(weights.rows) * row_words, 0);
  packed.begins.resize(packed.words.size());
  for (std::size_t row = 0; row < static_cast<std::size_t>(weights.rows); ++row) {
    auto next = static_cast<std::size_t>(weights.begins[row]);
    const auto end = static_cast<std::size_t>(weights.begins[row + 1]);
    for (std::size_t word = 0; word < row_words; ++word) {
      const std::size_t at = row * row_words + word;
      packed.begins[at] = static_cast<std::uint32_t>(next);
      for (; next < end && static_cast<std::size_t>(weights.column[next]) / 32 == word; ++next) {
        packed.words[at] |= std::uint32_t{1} << (static_cast<std::uint32_t>(weights.column[next]) % 32);
      }
    }
  }
  return packed;
}

}  // namespace sparse_run::gpu::cuda
