// Transposes blocks of a matrix in registers: templates over a vector type.
#pragma once

#include <cstddef>

#include "cpu/column/vec.hpp"

namespace sparse_run::cpu {

/// out[c][r] = in[r][c] for `rows` × `columns` floats. Whole squares go through registers, edges are masked.
template <class V>
void transpose(const float* in, std::size_t in_stride, std::size_t rows, std::size_t columns, float* out,
               std::size_t out_stride) {
  constexpr std::size_t kSide = V::width;
  for (std::size_t row = 0; row < rows; row += kSide) {
    const int high = static_cast<int>(rows - row < kSide ? rows - row : kSide);
    for (std::size_t column = 0; column < columns; column += kSide) {
      const int wide = static_cast<int>(columns - column < kSide ? columns - column : kSide);
      const float* from = in + row * in_stride + column;
      float* to = out + column * out_stride + row;
      typename V::F block[kSide];
      if (high == V::width && wide == V::width) {
#pragma GCC unroll 16
        for (std::size_t i = 0; i < kSide; ++i) block[i] = V::load(from + i * in_stride);
        V::transpose(block);
#pragma GCC unroll 16
        for (std::size_t i = 0; i < kSide; ++i) V::store(to + i * out_stride, block[i]);
      } else {
        const auto in_mask = V::lanes(wide), out_mask = V::lanes(high);
        for (int i = 0; i < V::width; ++i) {
          block[i] = i < high ? V::load(from + static_cast<std::size_t>(i) * in_stride, in_mask) : V::zero();
        }
        V::transpose(block);
        for (int i = 0; i < wide; ++i) V::store(to + static_cast<std::size_t>(i) * out_stride, block[i], out_mask);
      }
    }
  }
}

}  // namespace sparse_run::cpu
