// Predicted times of kernels: what ranks candidates before any is timed, and says where the choice would flip.
#pragma once

#include "cpu/step.hpp"

namespace sparse_run::cpu {

/// Predicted seconds of one run as a function of the share of weights that are not zero.
struct Estimate {
  double fixed = 0;        ///< whatever the weights are
  double per_density = 0;  ///< times the share of non-zeros; 0 for kernels that multiply by zeros too

  double seconds(double density) const noexcept { return fixed + per_density * density; }
};

/// What a kernel does for one run, and how well it is known to use the machine.
struct Workload {
  double flops = 0;          ///< were no weight zero
  double bytes = 0;          ///< activations read and written, and dense weights
  double sparse_bytes = 0;   ///< weights in sparse form were no weight zero; read once
  double efficiency = 0.7;   ///< share of the FMA peak the inner loop reaches on this kind of work
  double fixed_seconds = 0;  ///< anything else, as collecting or transposing operands
};

/// The roofline of a dense kernel: arithmetic or traffic, whichever takes longer.
Estimate estimate_dense(const Workload& work, const Environment& environment);
/// The same of a kernel that skips zeros: traffic of activations plus arithmetic and weights by density.
Estimate estimate_sparse(const Workload& work, const Environment& environment);

}  // namespace sparse_run::cpu
