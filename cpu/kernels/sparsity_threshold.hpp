// What is assumed of sparse kernels before any is timed.
#pragma once

namespace sparse_run::cpu {

/// Below this share of zeros no sparse kernel is tried: one load per multiply-add costs more than the zeros it skips.
inline constexpr double kSparseWorthTrying = 0.40;

/// Share of the FMA peak that estimates assume of sparse column kernels in products. Cautious, since it decides alone
/// where timing is off: with dense kernels near 0.75, sparse ones are expected to win from about 60% zeros on.
inline constexpr double kSparseEfficiency = 0.30;

/// The same of convolutions, where it also decides whether a layer joins a region of blocked images before anything is
/// timed. Against those (0.88) it puts the crossover at 52% zeros: ResNet-50 at batch 1 took equally long both ways at
/// 50%, and 0.87 times as long on sparse kernels at 60%.
inline constexpr double kSparseConvolutionEfficiency = 0.42;

/// The same of products whose zeros come in groups of four rows: an activation is loaded once for four of them.
inline constexpr double kSparseBlockEfficiency = 0.55;

/// The same of kernels for single vectors: a gather for every vector of entries.
inline constexpr double kSparseRowsEfficiency = 0.06;

}  // namespace sparse_run::cpu
