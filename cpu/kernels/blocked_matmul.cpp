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

/// How many rows are copied and multiplied at a time: few enough that the copy stays within the caches, so many that
/// reading the weights once more for each panel does not count.
std::int64_t rows_of_panel(std::int64_t m, std::int64_t k) {
  constexpr std::int64_t kCopyFloats = 2 << 20, kFewest = 1024;
  return std::min(m, std::max(kFewest, kCopyFloats / std::max<std::int64_t>(k, 1)));
}

/// The rows of A are the positions of a 1×1 convolution: panels of them are first copied to blocks [k / 16][row][16];
/// results are stored in rows.
class BlockedProductStep final : public Step {
 public:
  BlockedProductStep(const Product& product, const Tensor& weights, const Environment& environment)
      : product_(product),
        kernels_(blocked_kernels(active_isa())),
        in_blocks_(blocks_of(product.shape.k)),
        panel_(rows_of_panel(product.shape.m, product.shape.k)),
        weights_(pack_blocked_product(weights.data<float>().data(), product.shape.n, product.shape.b_column,
                                      product.shape.k, product.shape.b_row, product.alpha, active_isa())) {
    window_.row_stride = window_.channel_stride = padded_rows(panel_) * kBlockChannels;
    split_ = split_of(panel_, environment);
    const std::int64_t rest = product.shape.m % panel_;
    last_split_ = rest == 0 ? split_ : split_of(rest, environment);
  }

  double flops() const override { return product_.flops(); }
  std::size_t weight_bytes() const override { return weights_.size() * sizeof(float); }
  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(in_blocks_ * window_.channel_stride) * sizeof(float);
  }

  void run(const StepArguments& arguments) const override {
    for (std::int64_t first = 0; first < product_.shape.m; first += panel_) {
      const std::int64_t rows = std::min(panel_, product_.shape.m - first);
      auto* x = reinterpret_cast<float*>(arguments.scratch);
      copy_rows(arguments.in<float>(0) + first * product_.shape.a_row, rows, x);
      multiply(arguments, x, first, rows);
    }
  }

 private:
  BlockedSplit split_of(std::int64_t rows, const Environment& environment) const {
    BlockedWork work;
    work.positions = rows;
    work.position_step = kernels_.conv_positions;
    work.blocks = blocks_of(product_.shape.n);
    work.block_step = kernels_.conv_blocks;
    work.flops = product_.flops() * static_cast<double>(rows) / static_cast<double>(product_.shape.m);
    work.input_bytes = static_cast<double>(scratch_bytes());
    work.weight_bytes = static_cast<double>(weight_bytes());
    work.private_cache = static_cast<double>(environment.machine.cache_bytes(2, 1 << 20));
    return split_blocked(work, environment.threads);
  }

  /// `rows` rows of A to blocks.
  void copy_rows(const float* a, std::int64_t rows, float* x) const {
    const OnednnMatmul::Shape& shape = product_.shape;
    const std::int64_t block_floats = window_.channel_stride;
    parallel_ranges(
        in_blocks_, std::max<std::int64_t>(1, 16384 / block_floats), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t row = 0; row < rows; ++row) {
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
  }

  /// The products of the rows that `x` holds, of which the first is row `first` of the result.
  void multiply(const StepArguments& arguments, const float* x, std::int64_t first, std::int64_t rows) const {
    const std::int64_t n = product_.shape.n;
    Window window = window_;
    window.width = window.out_width = static_cast<int>(rows);
    Epilogue epilogue;
    epilogue.bias = product_.bias < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(product_.bias));
    epilogue.residual =
        product_.residual < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(product_.residual)) + first * n;
    epilogue.activation = product_.activation;
    const BlockedPlace place{kBlockChannels, 0, n};
    float* y = arguments.out<float>(0) + first * n;
    const BlockedSplit& split = rows == panel_ ? split_ : last_split_;
    parallel_tasks(split.tasks(), [&](std::int64_t i) {
      const BlockedSplit::Task task = split.task(i);
      kernels_.convolution({window,
                            x,
                            static_cast<int>(in_blocks_),
                            false,
                            weights_.data(),
                            static_cast<int>(n),
                            y,
                            place,
                            epilogue,
                            {0, 1, task.position_begin, task.position_end, task.block_begin, task.block_end}});
    });
  }

  Product product_;
  const BlockedKernels& kernels_;
  std::int64_t in_blocks_;
  std::int64_t panel_;  // rows copied at a time
  AlignedVector<float> weights_;
  Window window_;
  BlockedSplit split_, last_split_;  // of a panel, and of the rows that are left
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
