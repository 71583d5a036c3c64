// The ways to multiply matrices, as the table of kernels lists them.
#pragma once

#include <span>

#include "gpu/cuda/steps/kernel_table.hpp"

namespace sparse_run::gpu::cuda {

inline constexpr std::string_view kPlainProduct = "gpu.matmul.plain.f32";
inline constexpr std::string_view kBitmapProduct = "gpu.spmm.bitmap.f32";
inline constexpr std::string_view kCsrProduct = "gpu.spmm.cusparse.f32";

/// Dense products through cuBLASLt, best precision last: "gpu.matmul.cublaslt.f16", ".bf16", ".tf32", ".f32".
std::span<const KernelEntry> blas_products();

/// Constant weights as bits and non-zeros: for few rows of activations.
std::string refuse_bitmap_product(const NodeView& view, const Gpu& gpu);
std::unique_ptr<Step> build_bitmap_product(const NodeView& view, const std::shared_ptr<Gpu>& gpu);

/// Constant weights as compressed rows, through cuSPARSE: for many rows of activations.
std::string refuse_csr_product(const NodeView& view, const Gpu& gpu);
std::unique_ptr<Step> build_csr_product(const NodeView& view, const std::shared_ptr<Gpu>& gpu);

}  // namespace sparse_run::gpu::cuda
