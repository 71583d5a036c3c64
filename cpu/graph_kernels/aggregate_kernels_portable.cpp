// The aggregation kernels for portable.
#include "cpu/graph_kernels/aggregate_kernels_impl.hpp"

namespace sparse_run::cpu {

constinit const AggregateKernels kPortableAggregateKernels = make_aggregate_kernels<Portable>();

}  // namespace sparse_run::cpu
