// One row-major matrix product through oneDNN, on the calling thread alone.
#pragma once

#include <cstdint>
#include <memory>

namespace sparse_run::cpu {

/// C[m][n] = Σ_k A[m][k]·B[k][n] in f32 with fixed sizes and strides (in floats); either stride of A or B must be 1, C's
/// rows are contiguous. Immutable: run() may be called from several threads. Uses no OpenMP team.
class OnednnMatmul {
 public:
  struct Shape {
    std::int64_t m = 0, n = 0, k = 0;
    std::int64_t a_row = 0, a_column = 1;  ///< strides of A between rows and between columns
    std::int64_t b_row = 0, b_column = 1;
    std::int64_t c_row = 0;
    bool operator==(const Shape&) const = default;
  };

  /// Error(internal) when oneDNN has no implementation.
  explicit OnednnMatmul(const Shape& shape);
  ~OnednnMatmul();
  OnednnMatmul(OnednnMatmul&&) noexcept;
  OnednnMatmul& operator=(OnednnMatmul&&) noexcept;

  void run(const float* a, const float* b, float* c) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sparse_run::cpu
