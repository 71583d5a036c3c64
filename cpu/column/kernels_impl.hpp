// Fills the table of column kernels for one vector type; included once per instruction set.
#pragma once

#include "cpu/column/dense_impl.hpp"
#include "cpu/column/depthwise_impl.hpp"
#include "cpu/column/few_lanes_impl.hpp"
#include "cpu/column/kernels.hpp"
#include "cpu/column/transpose_impl.hpp"

namespace sparse_run::cpu {

template <class V>
constexpr ColumnKernels make_column_kernels(Isa isa) {
  return {.isa = isa,
          .width = V::width,
          .dense_rows = V::kTileRows,
          .dense_lanes = V::kTileVectors * V::width,
          .dense = dense_columns<V>,
          .dense_few_lanes = dense_few_lanes<V>,
          .depthwise = depthwise<V>,
          .transpose = transpose<V>,
          .activate = activate<V>};
}

}  // namespace sparse_run::cpu
