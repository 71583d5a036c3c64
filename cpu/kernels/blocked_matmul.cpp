// Products of rows with constant dense weights, packed once: MatMul, Gemm and FusedMatMul on the blocked kernel.
#include <algorithm>

#include "cpu/dense/blocked.hpp"
#include "cpu/dense/blocked_weights.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/kernels/blocked_split.hpp"
#include "cpu/kernels/product.hpp"
#include "cpu/parallel.hpp"
#include "cpu/selection/estimate.hpp"

namespace sparse_run::cpu {

namespace {

/// Rows to leave room for: the blocks of a tile would compete for the same sets of a first-level cache (64 of 64 bytes)
/// were they a multiple of 64 rows apart, or nearly so.
std::int64_t padded_rows(std::int64_t m) {
  constexpr std::int64_t kSets = 64, kApart = 8;
  if (m < kSets / 2) return m;
  const std::int64_t over = m % kSets;
  if (over < kApart) return m - over + kApart;
  return over > kSets - kApart ? m - over + kSets + kApart : m;
}

/// The rows of A are the positions of a 1×1 convolution: A is first copied to blocks [k / 16][row][16]; results are
/// stored in rows.
class BlockedProductStep final : public Step {
 public:
  BlockedProductStep(const Product& product, const Tensor& weights, const Environment& environment)
      : product_(product),
        kernels_(blocked_kernels(active_isa())),
        in_blocks_(blocks_of(product.shape.k)),
        weights_(pack_blocked_product(weights.data<float>().data(), product.shape.n, product.shape.b_column,
                                      product.shape.k, product.shape.b_row, product.alpha, active_isa())) {
    window_.width = window_.out_width = static_cast<int>(product.shape.m);
    window_.row_stride = window_.channel_stride = padded_rows(product.shape.m) * kBlockChannels;
    BlockedWork work;
    work.positions = product.shape.m;
    work.position_step = kernels_.conv_positions;
    work.blocks = blocks_of(product.shape.n);
    work.block_step = kernels_.conv_blocks;
    work.flops = product.flops();
    work.input_bytes = static_cast<double>(scratch_bytes());
    work.weight_bytes = static_cast<double>(weight_bytes());
    work.private_cache = static_cast<double>(environment.machine.cache_bytes(2, 1 << 20));
    split_ = split_blocked(work, environment.threads);
  }

  double flops() const override { return product_.flops(); }
  std::size_t weight_bytes() const override { return weights_.size() * sizeof(float); }
  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(in_blocks_ * window_.channel_stride) * sizeof(float);
  }

  void run(const StepArguments& arguments) const override {
    const OnednnMatmul::Shape& shape = product_.shape;
    const auto* a = arguments.in<float>(0);
    auto* y = arguments.out<float>(0);
    auto* x = reinterpret_cast<float*>(arguments.scratch);
    const std::int64_t block_floats = window_.channel_stride;
    parallel_ranges(
        in_blocks_, std::max<std::int64_t>(1, 16384 / block_floats), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t row = 0; row < shape.m; ++row) {
            const float* source = a + row * shape.a_row;
            for (std::int64_t block = begin; block < end; ++block) {
              float* out = x + block * block_floats + row * kBlockChannels;
              const std::int64_t first = block * kBlockChannels;
              if (first + kBlockChannels <= shape.k) {
                std::copy_n(source + first, kBlockChannels, out);
              } else {
                std::fill_n(std::copy(source + first, source + shape.k, out), first + kBlockChannels - shape.k, 0.0f);
              }
            }
          }
        });
    Epilogue epilogue;
    epilogue.bias = product_.bias < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(product_.bias));
    epilogue.residual =
        product_.residual < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(product_.residual));
    epilogue.activation = product_.activation;
    const BlockedPlace place{kBlockChannels, 0, shape.n};
    parallel_tasks(split_.tasks(), [&](std::int64_t i) {
      const BlockedSplit::Task task = split_.task(i);
      kernels_.convolution({window_,
                            x,
                            static_cast<int>(in_blocks_),
                            false,
                            weights_.data(),
                            static_cast<int>(shape.n),
                            y,
                            place,
                            epilogue,
                            {0, 1, task.position_begin, task.position_end, task.block_begin, task.block_end}});
    });
  }

 private:
  Product product_;
  const BlockedKernels& kernels_;
  std::int64_t in_blocks_;
  AlignedVector<float> weights_;
  Window window_;
  BlockedSplit split_;
};

Verdict check_blocked(const NodeView& view, const Environment&) {
  Product product;
  if (auto reason = describe_product(view, product)) return Verdict::reject(std::move(*reason));
  if (view.constant(1) == nullptr) return Verdict::reject("the weights are computed at run time, or sparse");
  if (product.batches() != 1) return Verdict::reject("several matrices");
  if (product.shape.a_column != 1) return Verdict::reject("the rows are transposed");
  constexpr std::int64_t kLargest = 1 << 24;  // kernels compute positions as int
  if (product.shape.m > kLargest || product.shape.n > kLargest || product.shape.k > kLargest) {
    return Verdict::reject("a dimension exceeds 2^24");
  }
  if (product.shape.n % kBlockChannels != 0) return Verdict::reject("the result's rows are not whole blocks of 16");
  if (product.shape.m < 4) return Verdict::reject("too few rows to share weights");
  return Verdict::accept();
}

std::unique_ptr<Step> build_blocked(const NodeView& view, const Environment& environment) {
  Product product;
  describe_product(view, product);
  return std::make_unique<BlockedProductStep>(product, *view.constant(1), environment);
}

Estimate estimate_blocked(const NodeView& view, const Environment& environment) {
  Product product;
  describe_product(view, product);
  Workload work;
  work.flops = product.flops();
  work.bytes = 4.0 * static_cast<double>(2 * element_count(view.input_shape(0)) + element_count(view.input_shape(1)) +
                                         element_count(view.output_shape(0)));
  work.efficiency = 0.8;
  return estimate_dense(work, environment);
}

}  // namespace

void register_blocked_matmul_kernels(KernelTable& table) {
  const KernelEntry entry{"cpu.matmul.blocked.f32", check_blocked, build_blocked, -1, false, estimate_blocked};
  table.add("MatMul", entry);
  table.add("Gemm", entry);
  table.add("FusedMatMul", entry, kInternalDomain);
}

}  // namespace sparse_run::cpu
