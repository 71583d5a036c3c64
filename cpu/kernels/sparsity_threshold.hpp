// What is assumed of sparse kernels before any is timed.
#pragma once

namespace sparse_run::cpu {

/// Below this share of zeros no sparse kernel is tried: one load per multiply-add costs more than the zeros it skips.
inline constexpr double kSparseWorthTrying = 0.40;

/// Share of the FMA peak that estimates assume of sparse column kernels. Cautious, since it decides alone where timing
/// is off: with dense kernels near 0.75, sparse ones are expected to win from about 60% zeros on.
inline constexpr double kSparseEfficiency = 0.30;

}  // namespace sparse_run::cpu
