// Sparse weights compiled for columns: Y[rows][lanes] = W[rows][k] · X[k][lanes], with an epilogue.
#pragma once

#include <optional>
#include <vector>

#include "cpu/column/aligned.hpp"
#include "cpu/sparse/csr.hpp"
#include "cpu/sparse/kernels.hpp"
#include "cpu/sparse/weight_storage.hpp"

namespace sparse_run::cpu {

/// How sparse weights are cut. Results differ between variants by rounding only.
struct SparseVariant {
  int vectors = 4;           ///< lanes of a block, in vectors: 1 … kSparseVectors
  std::size_t k_tile = 128;  ///< columns of W whose rows of X lie in the panel at once
  bool strip = false;        ///< the panel holds each element of an image once (StripLayout), whole channels at a time
  WeightStorage storage = WeightStorage::f32;  ///< of weights; strips keep f32
  std::size_t alignment = 0;  ///< of a strip's rows, in lanes: each element once per column of taps; 0: none

  friend bool operator==(const SparseVariant&, const SparseVariant&) = default;
};

/// One compiled sparse weight matrix: the counterpart of DenseColumns. Immutable: any number of threads may run it at
/// once. To split the rows among threads, compile slices of them (Csr::slice_rows).
class SparseColumns {
 public:
  /// Throws Error(internal) for a variant outside its bounds: the panel and a row of zeros fit into
  /// kSparsePanelFloats. A strip variant needs the window it will be run with; rows and images may differ then
  /// (StripLayout::of), as they do between strips of one convolution.
  SparseColumns(const Csr& weights, SparseVariant variant, Isa isa = active_isa(), const Window* window = nullptr);

  /// Variants worth timing for weights of this share of zeros and `k` columns, the one expected to be fastest first,
  /// for input without a window or for one collected tap by tap. `taps` is the kernel area of a convolution (1
  /// otherwise): K tiles are whole channels where that fits.
  static std::vector<SparseVariant> candidates(double zeros, std::size_t k, std::size_t taps, std::size_t lanes,
                                               Isa isa = active_isa());
  /// The same for input through `window`: variants that read strips come first where they move less.
  static std::vector<SparseVariant> candidates(double zeros, std::size_t k, const Window& window,
                                               Isa isa = active_isa());

  std::size_t rows() const noexcept { return rows_; }
  std::size_t k() const noexcept { return k_; }
  std::size_t nnz() const noexcept { return nnz_; }
  Isa isa() const noexcept { return kernels_->isa; }
  const SparseVariant& variant() const noexcept { return variant_; }
  /// Blocks handed to threads should be multiples of this many lanes; any other count works.
  std::size_t lane_step() const noexcept {
    return static_cast<std::size_t>(variant_.vectors) * static_cast<std::size_t>(kernels_->width);
  }
  std::size_t bytes() const noexcept;
  /// Set for strip variants. Blocks handed to threads then best begin at multiples of lane_step() of its lanes.
  const StripLayout* strip() const noexcept { return strip_ ? &*strip_ : nullptr; }

  /// Computes lanes [lane_begin, lane_end) of all rows. y and epilogue.residual point at (row 0, lane lane_begin).
  /// Reads no element outside the input and writes none outside the result; needs no alignment (multiples of 64 bytes
  /// are fastest), no workspace but 90 KiB of stack. y must not overlap the input; residual may be y itself.
  void run(const ColumnInput& input, std::size_t lane_begin, std::size_t lane_end, float* y, std::size_t y_stride,
           const Epilogue& epilogue) const noexcept;
  void run(const ColumnInput& input, std::size_t lanes, float* y, std::size_t y_stride,
           const Epilogue& epilogue) const noexcept {
    run(input, 0, lanes, y, y_stride, epilogue);
  }

 private:
  std::size_t panel_floats(std::size_t columns) const noexcept;
  void add_tile(const Csr& weights, std::size_t k_begin, std::size_t k_end, bool every_row,
                std::vector<std::size_t>& next);

  std::size_t rows_, k_, nnz_;
  SparseVariant variant_;
  const SparseKernels* kernels_;
  std::optional<StripLayout> strip_;
  std::vector<SparseTile> tiles_;
  AlignedVector<SparseStep> steps_;
  AlignedVector<SparseHalfStep> half_steps_;  ///< in place of steps_ when stored as bf16
  AlignedVector<std::uint32_t> row_list_;
  std::vector<SparseRun> runs_;
};

}  // namespace sparse_run::cpu
