// Picks the table of blocked kernels of an instruction set.
#include "cpu/dense/blocked.hpp"

namespace sparse_run::cpu {

const BlockedKernels& blocked_kernels(Isa isa) noexcept {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return kAvx512BlockedKernels;
  if (isa == Isa::avx2) return kAvx2BlockedKernels;
#endif
  (void)isa;
  return kPortableBlockedKernels;
}

bool blocked_window_fits(const Window& window) noexcept {
  constexpr long kWidestTile = 14;  // of all instruction sets
  if (window.stride_width > 2 || window.taps() > kBlockedTaps) return false;
  // a tile covers one output row, or two
  const long rows = window.stride_height + static_cast<long>(window.kernel_height - 1) * window.dilation_height + 1;
  const long columns =
      (kWidestTile - 1) * window.stride_width + static_cast<long>(window.kernel_width - 1) * window.dilation_width + 1;
  constexpr long kLargest = kBlockedStageFloats;
  if (rows > kLargest || columns > kLargest) return false;
  return rows * columns * kBlockChannels <= static_cast<long>(kBlockedStageFloats);
}

}  // namespace sparse_run::cpu
