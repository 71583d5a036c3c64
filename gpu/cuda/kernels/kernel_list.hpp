// All kernels of the program: what kernels.cu compiles, and what tests run on the host.
#pragma once

#include "gpu/cuda/kernels/aggregate.hpp"
#include "gpu/cuda/kernels/embedding.hpp"
#include "gpu/cuda/kernels/movement.hpp"
#include "gpu/cuda/kernels/pointwise.hpp"
#include "gpu/cuda/kernels/products.hpp"
#include "gpu/cuda/kernels/rounding.hpp"
#include "gpu/cuda/kernels/rows.hpp"
#include "gpu/cuda/kernels/windows.hpp"

/// KERNEL(function, structure of its parameters): a kernel is the function over blocks, its only parameter the
/// structure.
#define SPARSE_RUN_CUDA_KERNELS(KERNEL)     \
  KERNEL(pointwise_unary, PointwiseUnary)   \
  KERNEL(pointwise_binary, PointwiseBinary) \
  KERNEL(pointwise_choice, PointwiseChoice) \
  KERNEL(epilogue, Epilogue)                \
  KERNEL(convert, Conversion)               \
  KERNEL(round_to_half, Rounding)           \
  KERNEL(strided_copy, StridedCopy)         \
  KERNEL(fill, Fill)                        \
  KERNEL(gather, Gather)                    \
  KERNEL(row_cache_lookup, RowCacheLookup)  \
  KERNEL(row_cache_copy, RowCacheCopy)      \
  KERNEL(resize, Resize)                    \
  KERNEL(softmax, Softmax)                  \
  KERNEL(normalization, Normalization)      \
  KERNEL(reduce, Reduce)                    \
  KERNEL(pool2d, Pool2d)                    \
  KERNEL(convolve2d, Convolve2d)            \
  KERNEL(product, Product)                  \
  KERNEL(bitmap_product, BitmapProduct)     \
  KERNEL(aggregate_rows, AggregateRows)     \
  KERNEL(edge_targets, EdgeTargets)         \
  KERNEL(edge_weights, EdgeWeights)         \
  KERNEL(attention, Attention)
