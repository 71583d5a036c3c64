// Lays sparse weights out by columns within blocks of rows, and lists the columns that have an activation.
#include "cpu/sparse/bitmap.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

SparseBitmap::SparseBitmap(std::size_t rows, std::size_t k, std::size_t nnz, std::size_t lanes, Isa isa)
    : rows_(rows), k_(k), nnz_(nnz), lanes_(lanes), kernels_(&bitmap_kernels(isa)) {
  require(lanes >= 1 && lanes <= kBitmapLanes, "SparseBitmap: lanes outside their bounds");
  block_rows_ = static_cast<std::size_t>(kernels_->width * kernels_->vectors(lanes));
  chunk_columns_ = std::numeric_limits<std::uint16_t>::max() / block_rows_;
  column_bytes_ = static_cast<std::size_t>(kernels_->vectors(lanes)) * kernels_->vector_bytes;
  bits_.resize(blocks() * k_ * column_bytes_);
  offset_.resize(blocks() * k_);
  first_.resize(blocks() * chunks());
  weights_.resize(nnz_ + kBitmapSlack);
  const std::size_t columns = k_ * blocks();
  lines_ahead_ = 1 + (columns == 0 ? 0 : nnz_ / columns / 16);
}

void SparseBitmap::begin_column(std::size_t block, std::size_t column, std::size_t entry) {
  std::size_t& first = first_[block * chunks() + column / chunk_columns_];
  if (column % chunk_columns_ == 0) first = entry;
  offset_[block * k_ + column] = static_cast<std::uint16_t>(entry - first);
}

void SparseBitmap::set_bit(std::size_t block, std::size_t column, std::size_t row_in_block) {
  const auto width = static_cast<std::size_t>(kernels_->width);
  const std::size_t lane = row_in_block % width;
  bits_[(block * k_ + column) * column_bytes_ + row_in_block / width * kernels_->vector_bytes + lane / 8] |=
      static_cast<std::uint8_t>(1u << lane % 8);
}

SparseBitmap::SparseBitmap(const Csr& weights, std::size_t lanes, Isa isa)
    : SparseBitmap(weights.rows, weights.columns, weights.nnz(), lanes, isa) {
  std::vector<std::uint32_t> count(k_);
  std::vector<std::size_t> place(k_);
  std::size_t next = 0;
  for (std::size_t block = 0; block < blocks(); ++block) {
    const std::size_t row_begin = block * block_rows_, row_end = std::min(rows_, row_begin + block_rows_);
    std::fill(count.begin(), count.end(), 0u);
    for (std::size_t i = weights.row_begin[row_begin]; i < weights.row_begin[row_end]; ++i) ++count[weights.column[i]];
    for (std::size_t column = 0; column < k_; ++column) {
      begin_column(block, column, next);
      place[column] = next;
      next += count[column];
    }
    for (std::size_t row = row_begin; row < row_end; ++row) {
      for (std::size_t i = weights.row_begin[row]; i < weights.row_begin[row + 1]; ++i) {
        const std::size_t column = weights.column[i];
        set_bit(block, column, row - row_begin);
        weights_[place[column]++] = weights.value[i];
      }
    }
  }
  skips_ = std::ranges::all_of(weights.value, [](float w) { return std::isfinite(w); });
}

SparseBitmap::SparseBitmap(const DenseWeights& weights, std::size_t nnz, std::size_t lanes, Isa isa)
    : SparseBitmap(weights.rows, weights.columns, nnz, lanes, isa) {
  std::size_t next = 0;
  for (std::size_t block = 0; block < blocks(); ++block) {
    const std::size_t row_begin = block * block_rows_, row_end = std::min(rows_, row_begin + block_rows_);
    for (std::size_t column = 0; column < k_; ++column) {
      begin_column(block, column, next);
      const float* value = weights.values + row_begin * weights.row_stride + column * weights.column_stride;
      for (std::size_t row = row_begin; row < row_end; ++row, value += weights.row_stride) {
        if (*value == 0) continue;
        require(next < nnz_, "SparseBitmap: more entries than were counted");
        set_bit(block, column, row - row_begin);
        weights_[next++] = *value;
        skips_ = skips_ && std::isfinite(*value);
      }
    }
  }
  require(next == nnz_, "SparseBitmap: fewer entries than were counted");
}

std::size_t SparseBitmap::blocks() const noexcept { return (rows_ + block_rows_ - 1) / block_rows_; }

std::size_t SparseBitmap::bytes() const noexcept {
  return bits_.size() + offset_.size() * sizeof(std::uint16_t) + first_.size() * sizeof(std::size_t) +
         weights_.size() * sizeof(float);
}

std::size_t SparseBitmap::workspace_bytes() const noexcept {
  return aligned(k_ * sizeof(std::uint16_t)) + aligned((chunks() + 1) * sizeof(std::uint32_t)) +
         aligned((k_ + 1) * lanes_ * sizeof(float));
}

BitmapInput SparseBitmap::gather(const float* x, std::size_t x_stride, std::byte* workspace) const noexcept {
  auto* const columns = reinterpret_cast<std::uint16_t*>(workspace);
  auto* const begin = reinterpret_cast<std::uint32_t*>(workspace + aligned(k_ * sizeof(std::uint16_t)));
  auto* const values =
      reinterpret_cast<float*>(reinterpret_cast<std::byte*>(begin) + aligned((chunks() + 1) * sizeof(std::uint32_t)));
  std::uint32_t count = 0;
  begin[0] = 0;
  for (std::size_t chunk = 0; chunk < chunks(); ++chunk) {
    const std::size_t first = chunk * chunk_columns_, end = std::min(k_, first + chunk_columns_);
    for (std::size_t column = first; column < end; ++column) {  // branchless: which are zero cannot be foreseen
      columns[count] = static_cast<std::uint16_t>(column - first);
      bool active = !skips_;
      for (std::size_t lane = 0; lane < lanes_; ++lane) {
        const float value = x[lane * x_stride + column];
        values[count * lanes_ + lane] = value;
        active |= value != 0;
      }
      count += active ? 1 : 0;
    }
    begin[chunk + 1] = count;
  }
  return {columns, begin, values};
}

void SparseBitmap::run(const BitmapInput& input, float* y, std::size_t y_stride, const Epilogue& epilogue,
                       std::size_t block_begin, std::size_t block_end) const noexcept {
  const BitmapPack pack{.rows = rows_,
                        .columns = k_,
                        .lanes = lanes_,
                        .chunk_columns = chunk_columns_,
                        .chunks = chunks(),
                        .bits = bits_.data(),
                        .offset = offset_.data(),
                        .first = first_.data(),
                        .weights = weights_.data(),
                        .lines_ahead = lines_ahead_};
  kernels_->run(pack, input, block_begin, block_end, y, y_stride, epilogue);
}

}  // namespace sparse_run::cpu
