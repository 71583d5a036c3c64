// Picks the aggregation kernels of an instruction set.
#include "cpu/graph_kernels/aggregate_kernels.hpp"

namespace sparse_run::cpu {

const AggregateKernels& aggregate_kernels(Isa isa) noexcept {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return kAvx512AggregateKernels;
  if (isa == Isa::avx2) return kAvx2AggregateKernels;
#endif
  (void)isa;
  return kPortableAggregateKernels;
}

const AggregateKernels& aggregate_kernels() noexcept {
  static const AggregateKernels& kernels = aggregate_kernels(active_isa());
  return kernels;
}

}  // namespace sparse_run::cpu
