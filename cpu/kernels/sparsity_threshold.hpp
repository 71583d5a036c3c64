// From which share of zeros a sparse kernel is tried before the dense one.
#pragma once

namespace sparse_run::cpu {

/// Measured on an AVX-512 server, f32: the sparse column kernel passes the dense one between 65% and 72% zeros over
/// the shapes of ResNet-50 and BERT; below, one load per multiply-add costs more than the zeros it skips.
inline constexpr double kSparseColumnsFrom = 0.70;

}  // namespace sparse_run::cpu
