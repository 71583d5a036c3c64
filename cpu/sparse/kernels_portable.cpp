// The sparse kernels for any processor.
#include "cpu/sparse/kernels_impl.hpp"

namespace sparse_run::cpu {

constinit const SparseKernels kPortableSparseKernels = make_sparse_kernels<Portable>(Isa::portable);

}  // namespace sparse_run::cpu
