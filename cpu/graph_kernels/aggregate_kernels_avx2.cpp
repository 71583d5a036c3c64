// The aggregation kernels for avx2.
#include "cpu/graph_kernels/aggregate_kernels_impl.hpp"

#if defined(__x86_64__)
namespace sparse_run::cpu {

constinit const AggregateKernels kAvx2AggregateKernels = make_aggregate_kernels<Avx2>();

}  // namespace sparse_run::cpu
#endif
