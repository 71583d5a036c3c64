// The functions of cuSPARSE that are used, as a table that is filled at run time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gpu/cuda/api/driver.hpp"

namespace sparse_run::gpu::cuda {

using SparseHandle = void*;
using SparseMatrix = void*;
using SparseDense = void*;

namespace sparse {
inline constexpr int kNotTransposed = 0;
inline constexpr int kTransposed = 1;
inline constexpr int kIndex32 = 2;
inline constexpr int kBaseZero = 0;
inline constexpr int kColumnMajor = 1;
inline constexpr int kRowMajor = 2;
inline constexpr int kDefaultAlgorithm = 0;
}  // namespace sparse

/// Results are cusparseStatus_t. See Driver.
struct Sparse {
  int (*create)(SparseHandle* handle) = nullptr;
  int (*destroy)(SparseHandle handle) = nullptr;
  int (*set_stream)(SparseHandle handle, StreamHandle stream) = nullptr;
  const char* (*status_name)(int status) = nullptr;
  int (*csr_create)(SparseMatrix* matrix, std::int64_t rows, std::int64_t columns, std::int64_t non_zeros,
                    void* row_begins, void* columns_of, void* values, int begin_type, int column_type, int base,
                    int type) = nullptr;
  int (*csr_destroy)(SparseMatrix matrix) = nullptr;
  int (*dense_create)(SparseDense* matrix, std::int64_t rows, std::int64_t columns, std::int64_t leading, void* values,
                      int type, int order) = nullptr;
  int (*dense_destroy)(SparseDense matrix) = nullptr;
  int (*dense_values)(SparseDense matrix, void* values) = nullptr;
  int (*multiply_bytes)(SparseHandle handle, int op_a, int op_b, const void* alpha, SparseMatrix a, SparseDense b,
                        const void* beta, SparseDense c, int compute, int algorithm, std::size_t* bytes) = nullptr;
  int (*multiply)(SparseHandle handle, int op_a, int op_b, const void* alpha, SparseMatrix a, SparseDense b,
                  const void* beta, SparseDense c, int compute, int algorithm, void* workspace) = nullptr;

  int (*csr_pointers)(SparseMatrix matrix, void* row_begins, void* columns_of, void* values) = nullptr;
  int (*sort_bytes)(SparseHandle handle, int rows, int columns, int non_zeros, const int* rows_of,
                    const int* columns_of, std::size_t* bytes) = nullptr;
  int (*sort_by_row)(SparseHandle handle, int rows, int columns, int non_zeros, int* rows_of, int* columns_of,
                     int* permutation, void* workspace) = nullptr;
  int (*row_begins)(SparseHandle handle, const int* rows_of, int non_zeros, int rows, int* begins, int base) = nullptr;

  /// Calls visit(symbol, pointer) for every function.
  template <class Visit>
  void each(Visit&& visit) {
    visit("cusparseCreate", create);
    visit("cusparseDestroy", destroy);
    visit("cusparseSetStream", set_stream);
    visit("cusparseGetErrorName", status_name);
    visit("cusparseCreateCsr", csr_create);
    visit("cusparseDestroySpMat", csr_destroy);
    visit("cusparseCreateDnMat", dense_create);
    visit("cusparseDestroyDnMat", dense_destroy);
    visit("cusparseDnMatSetValues", dense_values);
    visit("cusparseSpMM_bufferSize", multiply_bytes);
    visit("cusparseSpMM", multiply);
    visit("cusparseCsrSetPointers", csr_pointers);
    visit("cusparseXcoosort_bufferSizeExt", sort_bytes);
    visit("cusparseXcoosortByRow", sort_by_row);
    visit("cusparseXcoo2csr", row_begins);
  }
};

}  // namespace sparse_run::gpu::cuda
