// From which share of zeros a sparse kernel is tried before the dense one.
#pragma once

namespace sparse_run::cpu {

/// An estimate, not measured per layer or machine: published and prototype figures put the crossover of f32 on AVX-512
/// near this share. Below it, one load per multiply-add costs more than the zeros it skips.
inline constexpr double kSparseColumnsFrom = 0.70;

}  // namespace sparse_run::cpu
