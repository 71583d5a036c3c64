// Fills the table of column kernels for one vector type; included once per instruction set.
#pragma once

#include "cpu/column/dense_impl.hpp"
#include "cpu/column/kernels.hpp"

namespace sparse_run::cpu {

template <class V>
constexpr ColumnKernels make_column_kernels(Isa isa) {
  return {.isa = isa,
          .width = V::width,
          .dense_rows = V::kTileRows,
          .dense_lanes = V::kTileVectors * V::width,
          .dense = dense_columns<V>,
          .activate = activate<V>};
}

}  // namespace sparse_run::cpu
