// Convolutions with sparse weights in f32, as sparse column kernels over plain NCHW.
#include <algorithm>
#include <vector>

#include "cpu/column/kernels.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/kernels/convolution.hpp"
#include "cpu/kernels/sparsity_threshold.hpp"
#include "cpu/parallel.hpp"
#include "cpu/sparse/columns.hpp"

namespace sparse_run::cpu {

namespace {

/// "4x128": vectors of a block, rows of a panel.
std::string variant_name(const SparseVariant& variant) { return fmt::format("{}x{}", variant.vectors, variant.k_tile); }

std::vector<SparseVariant> sparse_variants(const Convolution& conv, const NodeView& view) {
  return SparseColumns::candidates(view.zeros(1), conv.k(), static_cast<std::size_t>(conv.window.taps()),
                                   static_cast<std::size_t>(conv.window.lanes()));
}

/// Tasks are (image, group, row slice, lane slice). Lanes are cut first; rows only when the lanes are too few to feed
/// the threads, each slice a matrix of its own.
class SparseConvStep final : public Step {
 public:
  SparseConvStep(const Convolution& conv, const Csr& weights, const SparseVariant& variant, int threads)
      : conv_(conv), nnz_(weights.nnz()) {
    const auto lanes = static_cast<std::int64_t>(conv.window.lanes());
    const std::int64_t wanted = threads == 1 ? 1 : 4 * threads;
    const std::int64_t per_matrix = (wanted + conv.images * conv.groups - 1) / (conv.images * conv.groups);
    const auto step = static_cast<std::int64_t>(variant.vectors) * column_kernels(active_isa()).width;
    const std::int64_t blocks = (lanes + step - 1) / step;
    const std::int64_t lane_slices = std::clamp<std::int64_t>(per_matrix, 1, blocks);
    lane_slice_ = (blocks + lane_slices - 1) / lane_slices * step;
    const std::int64_t lane_count = (lanes + lane_slice_ - 1) / lane_slice_;
    row_slices_ = std::clamp<std::int64_t>((per_matrix + lane_count - 1) / lane_count, 1,
                                           std::max<std::int64_t>(1, conv.out_channels / 16));
    row_slice_ = (conv.out_channels + row_slices_ - 1) / row_slices_;
    row_slices_ = (conv.out_channels + row_slice_ - 1) / row_slice_;
    for (std::int64_t group = 0; group < conv.groups; ++group) {
      for (std::int64_t row = 0; row < conv.out_channels; row += row_slice_) {
        const std::int64_t first = group * conv.out_channels + row;
        const std::int64_t last = group * conv.out_channels + std::min(row + row_slice_, conv.out_channels);
        weights_.emplace_back(weights.slice_rows(static_cast<std::size_t>(first), static_cast<std::size_t>(last)), variant);
      }
    }
  }

  std::size_t weight_bytes() const override {
    std::size_t bytes = 0;
    for (const SparseColumns& slice : weights_) bytes += slice.bytes();
    return bytes;
  }
  bool skips_zeros() const override { return true; }
  double flops() const override {
    return 2.0 * static_cast<double>(conv_.images) * static_cast<double>(nnz_) *
           static_cast<double>(conv_.window.lanes());
  }

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    const float* bias = conv_.bias ? arguments.in<float>(2) : nullptr;
    const float* residual = conv_.residual ? arguments.in<float>(3) : nullptr;
    auto* y = arguments.out<float>(0);
    const auto lanes = static_cast<std::int64_t>(conv_.window.lanes());
    const std::int64_t lane_count = (lanes + lane_slice_ - 1) / lane_slice_;
    parallel_tasks(conv_.images * conv_.groups * row_slices_ * lane_count, [&](std::int64_t task) {
      const std::int64_t lane = task % lane_count * lane_slice_;
      const std::int64_t slice = task / lane_count % row_slices_;
      const std::int64_t matrix = task / (lane_count * row_slices_);  // image · groups + group
      const std::int64_t group = matrix % conv_.groups;
      const std::int64_t at = (matrix * conv_.out_channels + slice * row_slice_) * conv_.out_plane + lane;
      Epilogue epilogue;
      epilogue.bias = bias == nullptr ? nullptr : bias + group * conv_.out_channels + slice * row_slice_;
      epilogue.residual = residual == nullptr ? nullptr : residual + at;
      epilogue.residual_stride = static_cast<std::size_t>(conv_.out_plane);
      epilogue.activation = conv_.activation;
      weights_[static_cast<std::size_t>(group * row_slices_ + slice)].run(
          ColumnInput::windowed(x + matrix * conv_.in_channels * conv_.in_plane, conv_.window),
          static_cast<std::size_t>(lane), static_cast<std::size_t>(std::min(lane + lane_slice_, lanes)), y + at,
          static_cast<std::size_t>(conv_.out_plane), epilogue);
    });
  }

 private:
  Convolution conv_;
  std::vector<SparseColumns> weights_;  ///< [group][row slice]
  std::size_t nnz_;
  std::int64_t lane_slice_ = 0;
  std::int64_t row_slice_ = 0;
  std::int64_t row_slices_ = 0;
};

Verdict check_sparse(const NodeView& view, const Environment&) {
  Convolution conv;
  auto reason = describe_convolution(view, conv);
  if (reason) return Verdict::reject(std::move(*reason));
  const double zeros = view.zeros(1);
  if (zeros < kSparseWorthTrying) {
    return Verdict::reject(fmt::format("{:.0f}% zeros: not tried below {:.0f}%", 100 * zeros, 100 * kSparseWorthTrying));
  }
  if (conv.in_channels == 1) return Verdict::reject("depthwise");
  return Verdict::accept();
}

std::vector<std::string> variants_sparse(const NodeView& view, const Environment&) {
  Convolution conv;
  describe_convolution(view, conv);
  std::vector<std::string> names;
  for (const SparseVariant& variant : sparse_variants(conv, view)) names.push_back(variant_name(variant));
  return names;
}

std::unique_ptr<Step> build_sparse(const NodeView& view, const Environment& environment) {
  Convolution conv;
  describe_convolution(view, conv);
  const auto variants = sparse_variants(conv, view);
  const auto named = std::ranges::find(variants, environment.variant, variant_name);
  return std::make_unique<SparseConvStep>(conv, view.weight(1)->by_rows(),
                                          named == variants.end() ? variants.front() : *named, environment.threads);
}

Estimate estimate_sparse_convolution(const NodeView& view, const Environment& environment) {
  Convolution conv;
  describe_convolution(view, conv);
  Workload work = conv.workload();
  work.efficiency = kSparseEfficiency;
  return estimate_sparse(work, environment);
}

}  // namespace

void register_sparse_convolution_kernels(KernelTable& table) {
  const KernelEntry sparse{"cpu.conv.sparse_column.f32", check_sparse,    build_sparse, -1, true,
                           estimate_sparse_convolution,  variants_sparse};
  table.add("Conv", sparse);
  table.add("FusedConv", sparse, kInternalDomain);
}

}  // namespace sparse_run::cpu
