// Fills the table of strip kernels for one vector type; included once per instruction set.
#pragma once

#include "cpu/column/strip_dense_impl.hpp"
#include "cpu/column/strip_pool_impl.hpp"
#include "cpu/column/strip_sparse_impl.hpp"

namespace sparse_run::cpu {

template <class V>
constexpr StripKernels make_strip_kernels(Isa isa) {
  return {.isa = isa,
          .width = V::width,
          .most_vectors = V::kRegisters >= 32 ? kStripVectors : 4,
          .sparse = strip_sparse<V>,
          .dense = strip_dense<V>,
          .depthwise = strip_depthwise<V>,
          .pool = strip_pool<V>};
}

}  // namespace sparse_run::cpu
