// The functions of cuBLASLt that are used, as a table that is filled at run time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gpu/cuda/api/driver.hpp"

namespace sparse_run::gpu::cuda {

using BlasHandle = void*;
using BlasProduct = void*;     ///< description of a product
using BlasMatrix = void*;      ///< layout of a matrix
using BlasPreference = void*;  ///< limits of the search for an algorithm

/// Element types, as all CUDA libraries number them.
inline constexpr int kTypeF32 = 0;
inline constexpr int kTypeF16 = 2;
inline constexpr int kTypeBf16 = 14;

namespace blas {
inline constexpr int kComputeF32 = 68;
inline constexpr int kComputeTf32 = 77;
inline constexpr int kTransposeA = 3;
inline constexpr int kTransposeB = 4;
inline constexpr int kEpilogue = 7;
inline constexpr int kBiasPointer = 8;
inline constexpr int kEpilogueNone = 1;
inline constexpr int kEpilogueRelu = 2;
inline constexpr int kEpilogueBias = 4;
inline constexpr int kEpilogueReluBias = 6;
inline constexpr int kEpilogueGelu = 32;  ///< the approximation by tanh
inline constexpr int kEpilogueGeluBias = 36;
inline constexpr int kBatchCount = 5;
inline constexpr int kBatchStride = 6;
inline constexpr int kMaxWorkspace = 1;
}  // namespace blas

/// What a search finds: an algorithm, and what it needs.
struct BlasAlgorithm {
  std::uint64_t data[8];
  std::size_t workspace_bytes;
  int state;
  float waves;
  int reserved[4];
};

/// Results are cublasStatus_t. Matrices are column-major. See Driver.
struct BlasLt {
  int (*create)(BlasHandle* handle) = nullptr;
  int (*destroy)(BlasHandle handle) = nullptr;
  const char* (*status_name)(int status) = nullptr;
  int (*product_create)(BlasProduct* product, int compute, int scale_type) = nullptr;
  int (*product_destroy)(BlasProduct product) = nullptr;
  int (*product_set)(BlasProduct product, int attribute, const void* value, std::size_t bytes) = nullptr;
  int (*matrix_create)(BlasMatrix* matrix, int type, std::uint64_t rows, std::uint64_t columns,
                       std::int64_t leading) = nullptr;
  int (*matrix_destroy)(BlasMatrix matrix) = nullptr;
  int (*matrix_set)(BlasMatrix matrix, int attribute, const void* value, std::size_t bytes) = nullptr;
  int (*preference_create)(BlasPreference* preference) = nullptr;
  int (*preference_destroy)(BlasPreference preference) = nullptr;
  int (*preference_set)(BlasPreference preference, int attribute, const void* value, std::size_t bytes) = nullptr;
  int (*search)(BlasHandle handle, BlasProduct product, BlasMatrix a, BlasMatrix b, BlasMatrix c, BlasMatrix d,
                BlasPreference preference, int wanted, BlasAlgorithm* found, int* count) = nullptr;
  int (*multiply)(BlasHandle handle, BlasProduct product, const void* alpha, const void* a, BlasMatrix layout_a,
                  const void* b, BlasMatrix layout_b, const void* beta, const void* c, BlasMatrix layout_c, void* d,
                  BlasMatrix layout_d, const BlasAlgorithm* algorithm, void* workspace, std::size_t workspace_bytes,
                  StreamHandle stream) = nullptr;

  /// Calls visit(symbol, pointer) for every function.
  template <class Visit>
  void each(Visit&& visit) {
    visit("cublasLtCreate", create);
    visit("cublasLtDestroy", destroy);
    visit("cublasLtGetStatusName", status_name);
    visit("cublasLtMatmulDescCreate", product_create);
    visit("cublasLtMatmulDescDestroy", product_destroy);
    visit("cublasLtMatmulDescSetAttribute", product_set);
    visit("cublasLtMatrixLayoutCreate", matrix_create);
    visit("cublasLtMatrixLayoutDestroy", matrix_destroy);
    visit("cublasLtMatrixLayoutSetAttribute", matrix_set);
    visit("cublasLtMatmulPreferenceCreate", preference_create);
    visit("cublasLtMatmulPreferenceDestroy", preference_destroy);
    visit("cublasLtMatmulPreferenceSetAttribute", preference_set);
    visit("cublasLtMatmulAlgoGetHeuristic", search);
    visit("cublasLtMatmul", multiply);
  }
};

}  // namespace sparse_run::gpu::cuda
