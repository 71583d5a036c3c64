// Convolutions with sparse weights in f32, as sparse column kernels over plain NCHW.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/column/kernels.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/kernels/convolution.hpp"
#include "cpu/kernels/sparse_split.hpp"
#include "cpu/kernels/sparse_variant.hpp"
#include "cpu/kernels/sparsity_threshold.hpp"
#include "cpu/parallel.hpp"

namespace sparse_run::cpu {

namespace {

/// Tasks are (image, group, lane slice, row slice): a thread that goes on to the next task mostly stays at its lanes,
/// which are the ones it wrote in the layer before.
class SparseConvStep final : public Step {
 public:
  /// `weights` has the rows of all groups.
  SparseConvStep(const Convolution& conv, const Csr& weights, const SparseVariant& variant, int threads)
      : conv_(conv), nnz_(weights.nnz()) {
    const auto width = static_cast<std::size_t>(column_kernels(active_isa()).width);
    const std::size_t step = static_cast<std::size_t>(variant.vectors) * width;
    const auto out_width = static_cast<std::size_t>(conv.window.out_width), lanes = conv.window.lanes();
    const auto layout = variant.strip ? StripLayout::of(conv.window, step, width, variant.alignment) : std::nullopt;
    const std::size_t pitch = layout ? static_cast<std::size_t>(layout->pitch) : out_width;
    const std::size_t flat = lanes / out_width * pitch;  // lanes as the kernel counts them
    const auto vectors = static_cast<std::int64_t>((flat + width - 1) / width);
    const double moved = layout ? static_cast<double>(conv.in_channels) * static_cast<double>(layout->channel_floats) /
                                      static_cast<double>(step)
                                : static_cast<double>(conv.k()) * (conv.window.stride_width > 1 ? 2 : 1);
    const SparseSplit split =
        split_sparse({.matrices = conv.images * conv.groups,
                      .rows = conv.out_channels,
                      .vectors = vectors,
                      .block_vectors = variant.vectors,
                      .entries = static_cast<double>(nnz_) / static_cast<double>(weights.rows),
                      .collected = moved,
                      .tiles = std::ceil(static_cast<double>(conv.k()) / static_cast<double>(variant.k_tile)),
                      .residual = conv.residual},
                     threads);
    for (std::int64_t i = 0; i < split.lane_slices; ++i) {
      const std::size_t begin = static_cast<std::size_t>(i * vectors / split.lane_slices) * width;
      lane_bounds_.push_back(begin / pitch * out_width + std::min(begin % pitch, out_width));
    }
    lane_bounds_.push_back(lanes);
    row_slices_ = split.row_slices;
    for (std::int64_t group = 0; group < conv.groups; ++group) {
      const auto rows = static_cast<std::size_t>(conv.out_channels), from = static_cast<std::size_t>(group) * rows;
      const Csr all = weights.slice_rows(from, from + rows);
      const std::vector<std::size_t> bounds = all.balanced_rows(static_cast<std::size_t>(row_slices_));
      for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
        weights_.emplace_back(all.slice_rows(bounds[i], bounds[i + 1]), variant, active_isa(), &conv_.window);
        row_begin_.push_back(static_cast<std::int64_t>(bounds[i]));
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
    const auto lane_count = static_cast<std::int64_t>(lane_bounds_.size()) - 1;
    parallel_tasks(conv_.images * conv_.groups * row_slices_ * lane_count, [&](std::int64_t task) {
      const std::int64_t slice = task % row_slices_;
      const auto lane_slice = static_cast<std::size_t>(task / row_slices_ % lane_count);
      const std::int64_t matrix = task / (lane_count * row_slices_);  // image · groups + group
      const std::int64_t group = matrix % conv_.groups;
      const auto own = static_cast<std::size_t>(group * row_slices_ + slice);
      const std::int64_t row = row_begin_[own];
      const std::int64_t at =
          (matrix * conv_.out_channels + row) * conv_.out_plane + static_cast<std::int64_t>(lane_bounds_[lane_slice]);
      Epilogue epilogue;
      epilogue.bias = bias == nullptr ? nullptr : bias + group * conv_.out_channels + row;
      epilogue.residual = residual == nullptr ? nullptr : residual + at;
      epilogue.residual_stride = static_cast<std::size_t>(conv_.out_plane);
      epilogue.activation = conv_.activation;
      weights_[own].run(ColumnInput::windowed(x + matrix * conv_.in_channels * conv_.in_plane, conv_.window),
                        lane_bounds_[lane_slice], lane_bounds_[lane_slice + 1], y + at,
                        static_cast<std::size_t>(conv_.out_plane), epilogue);
    });
  }

 private:
  Convolution conv_;
  std::vector<SparseColumns> weights_;   ///< [group][row slice]
  std::vector<std::int64_t> row_begin_;  ///< the same
  std::vector<std::size_t> lane_bounds_;
  std::size_t nnz_;
  std::int64_t row_slices_ = 0;
};

Verdict check_sparse(const NodeView& view, const Environment&) {
  Convolution conv;
  auto reason = describe_convolution(view, conv);
  if (reason) return Verdict::reject(std::move(*reason));
  const double zeros = view.zeros(1);
  if (zeros < kSparseWorthTrying) {
    return Verdict::reject(
        fmt::format("{:.0f}% zeros: not tried below {:.0f}%", 100 * zeros, 100 * kSparseWorthTrying));
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
  return std::make_unique<SparseConvStep>(conv, view.weight(1)->by_rows(),
                                          sparse_variant(conv, view, environment.variant), environment.threads);
}

Estimate estimate_sparse_convolution(const NodeView& view, const Environment& environment) {
  Convolution conv;
  describe_convolution(view, conv);
  Workload work = conv.workload();
  work.efficiency = kSparseConvolutionEfficiency;
  return estimate_sparse(work, environment);
}

}  // namespace

void register_sparse_convolution_kernels(KernelTable& table) {
  const KernelEntry sparse{"cpu.conv.sparse_column.f32", check_sparse,   build_sparse, -1, true,
                           estimate_sparse_convolution,  variants_sparse};
  table.add("Conv", sparse);
  table.add("FusedConv", sparse, kInternalDomain);
}

}  // namespace sparse_run::cpu
