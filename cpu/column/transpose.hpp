// Transposition between [token][channel] and [channel][token].
#pragma once

#include <cstddef>

#include "cpu/isa.hpp"

namespace sparse_run::cpu {

/// out[c][r] = in[r][c] for `rows` × `columns` floats, row r of the input at in + r · in_stride, row c of the output at
/// out + c · out_stride. No alignment needed, nothing touched outside the two matrices, which must not overlap. Split
/// over threads by ranges of rows or columns, best in multiples of 16.
void run_transpose(const float* in, std::size_t in_stride, std::size_t rows, std::size_t columns, float* out,
                   std::size_t out_stride, Isa isa) noexcept;

}  // namespace sparse_run::cpu
