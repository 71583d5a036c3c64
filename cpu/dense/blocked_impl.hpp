// Fills the table of blocked kernels for one vector type; included once per instruction set.
#pragma once

#include "cpu/dense/blocked_conv_impl.hpp"
#include "cpu/dense/blocked_plane_impl.hpp"

namespace sparse_run::cpu {

template <class V>
constexpr BlockedKernels make_blocked_kernels(Isa isa) {
  return {.isa = isa,
          .conv_blocks = BlockedShape<V>::kBlocks,
          .conv_positions = BlockedShape<V>::kPositions,
          .convolution = blocked_convolution<V>,
          .depthwise = blocked_depthwise<V>,
          .pool = blocked_pool<V>,
          .sum = blocked_sum<V>,
          .to_block = to_block<V>,
          .from_block = from_block<V>};
}

}  // namespace sparse_run::cpu
