// The kernels for weights of pattern N:M as function pointers, one set per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/column/epilogue.hpp"
#include "cpu/isa.hpp"

namespace sparse_run::cpu {

/// At most `kept` of every `of` neighbouring columns of a row have an entry; `of` is 4 or 8, `kept` at most half of it.
struct GroupPattern {
  int kept = 0, of = 4;

  friend bool operator==(const GroupPattern&, const GroupPattern&) = default;
};

/// A view of what SparseGroups owns. A slice is as many rows as a vector has lanes.
struct GroupPack {
  std::size_t rows, columns;
  GroupPattern pattern;
  const std::uint8_t* places;   ///< [slice][group][entry]: of each row, in 2 (of = 4) or 4 bits (of = 8)
  const float* weights;         ///< [slice][group][entry][row]; null when kept as bf16
  const std::uint16_t* halves;  ///< the same in bf16
};

struct GroupKernels {
  Isa isa;
  int width;
  /// Where in the places of one entry row `row` of a slice has its bits.
  int (*bit_of)(int of, int row);
  /// Rows of slices [slice_begin, slice_end) for any number of lanes: lane l of the input at x + l · x_stride.
  void (*run)(const GroupPack&, std::size_t slice_begin, std::size_t slice_end, const float* x, std::size_t x_stride,
              std::size_t lanes, float* y, std::size_t y_stride, const Epilogue&);
};

/// The kernels of a set that the processor must run (runnable_isas()).
const GroupKernels& group_kernels(Isa isa) noexcept;

// One per translation unit group_kernels_<isa>.cpp.
extern const GroupKernels kPortableGroupKernels;
extern const GroupKernels kAvx2GroupKernels;
extern const GroupKernels kAvx512GroupKernels;

}  // namespace sparse_run::cpu
