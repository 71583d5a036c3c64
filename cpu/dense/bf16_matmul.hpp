// Matrix products of bf16 operands with sums in f32 through oneDNN, on the calling thread alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "cpu/column/aligned.hpp"

namespace sparse_run::cpu {

/// True when the processor multiplies bf16 in hardware and kernels may use the instruction set that this needs.
bool has_bf16_products();

/// C[m][n] = A[m][k] · B[k][n]: A and B hold bf16 (the upper half of a float), C f32. Immutable: run() may be called
/// from several threads. Uses no OpenMP team.
class Bf16Matmul {
 public:
  struct Shape {
    std::int64_t m = 0, n = 0, k = 0;
    std::int64_t a_row = 0;  ///< elements from a row of A to the next; its columns are contiguous
    std::int64_t b_row = 0;  ///< the same of B; 0: B is packed
    std::int64_t c_row = 0;
  };

  /// `like`: a product with the same n and k whose packed B this one reads too. Error(internal) when oneDNN has no
  /// implementation.
  explicit Bf16Matmul(const Shape& shape, const Bf16Matmul* like = nullptr);
  ~Bf16Matmul();
  Bf16Matmul(Bf16Matmul&&) noexcept;
  Bf16Matmul& operator=(Bf16Matmul&&) noexcept;

  /// B[k][n] of f32 with any strides, rounded and in the order that run() wants. Only for packed B.
  AlignedVector<std::byte> pack(const float* b, std::int64_t b_row, std::int64_t b_column) const;
  void run(const std::uint16_t* a, const void* b, float* c) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sparse_run::cpu
