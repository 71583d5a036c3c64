// Whether layers run depth-first in columns.
#pragma once

namespace sparse_run::cpu {

enum class ColumnMode {
  automatic,  ///< in chains, cut where that is predicted to be fastest
  layers,     ///< with the same kernels, but layer by layer
  off,        ///< not at all: each layer with the kernel chosen for it alone
};

}  // namespace sparse_run::cpu
