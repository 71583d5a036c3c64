// The block kernels for every processor.
#include "cpu/sparse/blocks_impl.hpp"

namespace sparse_run::cpu {

constinit const SparseBlockKernels kPortableSparseBlockKernels = make_sparse_block_kernels<Portable>(Isa::portable);

}  // namespace sparse_run::cpu
