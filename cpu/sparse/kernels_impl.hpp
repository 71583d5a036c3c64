// Fills the table of sparse kernels for one vector type; included once per instruction set.
#pragma once

#include "cpu/sparse/columns_impl.hpp"
#include "cpu/sparse/kernels.hpp"
#include "cpu/sparse/rows_impl.hpp"

namespace sparse_run::cpu {

template <class V>
constexpr SparseKernels make_sparse_kernels(Isa isa) {
  return {.isa = isa, .width = V::width, .columns = sparse_columns<V>, .rows = sparse_rows<V>};
}

}  // namespace sparse_run::cpu
