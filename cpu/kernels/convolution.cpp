// Convolutions over one or two spatial dimensions in f32, dense weights, as column kernels over plain NCHW.
#include <algorithm>
#include <numeric>
#include <vector>

#include "cpu/column/dense.hpp"
#include "cpu/column/depthwise.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/kernels/convolution.hpp"
#include "cpu/kernels/split.hpp"
#include "cpu/parallel.hpp"

namespace sparse_run::cpu {

namespace {

/// Tasks are (image, group, lane slice, row slice).
class DenseConvStep final : public Step {
 public:
  DenseConvStep(const Convolution& conv, const Tensor& weights, int threads) : conv_(conv) {
    const auto rows = static_cast<std::size_t>(conv.out_channels);
    const auto all = weights.data<float>();
    for (std::int64_t group = 0; group < conv.groups; ++group) {
      weights_.emplace_back(all.subspan(static_cast<std::size_t>(group) * rows * conv.k(), rows * conv.k()), rows,
                            conv.k());
    }
    SplitCost cost;
    cost.tile_lanes = static_cast<std::int64_t>(weights_.front().lane_step());
    cost.vector_lanes = column_kernels(active_isa()).width;
    cost.row_step = static_cast<std::int64_t>(weights_.front().row_step());
    cost.collect_rows = conv.window.is_plain() ? 4 : conv.window.stride_width > 1 ? 24 : 10;
    split_ = split_product(conv.images * conv.groups, conv.out_channels, static_cast<std::int64_t>(conv.window.lanes()),
                           threads, cost);
  }

  std::size_t weight_bytes() const override {
    return std::accumulate(weights_.begin(), weights_.end(), std::size_t{0},
                           [](std::size_t sum, const DenseColumns& columns) { return sum + columns.bytes(); });
  }
  double flops() const override {
    return 2.0 * static_cast<double>(conv_.images * conv_.groups * conv_.out_channels) *
           static_cast<double>(conv_.k()) * static_cast<double>(conv_.window.lanes());
  }

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    const float* bias = conv_.bias ? arguments.in<float>(2) : nullptr;
    const float* residual = conv_.residual ? arguments.in<float>(3) : nullptr;
    auto* y = arguments.out<float>(0);
    const auto lanes = static_cast<std::int64_t>(conv_.window.lanes());
    const std::int64_t lane_count = split_.lane_slices;
    const std::int64_t row_count = split_.row_slices;
    parallel_tasks(conv_.images * conv_.groups * lane_count * row_count, [&](std::int64_t task) {
      const std::int64_t row = task % row_count * split_.row_slice;
      const std::int64_t lane = task / row_count % lane_count * split_.lane_slice;
      const std::int64_t matrix = task / (row_count * lane_count);  // image · groups + group
      const std::int64_t group = matrix % conv_.groups;
      const ColumnPart part{static_cast<std::size_t>(lane),
                            static_cast<std::size_t>(std::min(lane + split_.lane_slice, lanes)),
                            static_cast<std::size_t>(row),
                            static_cast<std::size_t>(std::min(row + split_.row_slice, conv_.out_channels))};
      const std::int64_t at = matrix * conv_.out_channels * conv_.out_plane + lane;
      Epilogue epilogue;
      epilogue.bias = bias == nullptr ? nullptr : bias + group * conv_.out_channels;
      epilogue.residual = residual == nullptr ? nullptr : residual + at;
      epilogue.residual_stride = static_cast<std::size_t>(conv_.out_plane);
      epilogue.activation = conv_.activation;
      weights_[static_cast<std::size_t>(group)].run(
          ColumnInput::windowed(x + matrix * conv_.in_channels * conv_.in_plane, conv_.window), part, y + at,
          static_cast<std::size_t>(conv_.out_plane), epilogue);
    });
  }

 private:
  Convolution conv_;
  std::vector<DenseColumns> weights_;  ///< one per group
  Split split_;
};

Verdict check_dense(const NodeView& view, const Environment&) {
  Convolution conv;
  auto reason = describe_convolution(view, conv);
  return reason ? Verdict::reject(std::move(*reason)) : Verdict::accept();
}

std::unique_ptr<Step> build_dense(const NodeView& view, const Environment& environment) {
  Convolution conv;
  describe_convolution(view, conv);
  return std::make_unique<DenseConvStep>(conv, view.weight(1)->dense(), environment.threads);
}

Estimate estimate_dense_convolution(const NodeView& view, const Environment& environment) {
  Convolution conv;
  describe_convolution(view, conv);
  Workload work = conv.workload();
  work.efficiency = conv.window.is_plain() ? 0.75 : 0.65;
  return estimate_dense(work, environment);
}

/// Channels of one call of the depthwise kernel, where their order matters.
constexpr std::int64_t kChannelsAtOnce = 8;
/// Positions of each thread from which bands are worth it: smaller ones break up what the hardware fetches ahead.
constexpr std::int64_t kPlaneOfThread = 1024;

/// One input and one output channel per group: each channel convolves with its own taps. Tasks are ranges of planes; of
/// few images, bands of rows of all channels: layers before and after give each thread the same part of the positions,
/// which then stay in its cache.
class DepthwiseStep final : public Step {
 public:
  DepthwiseStep(const Convolution& conv, int threads) : conv_(conv), isa_(active_isa()), threads_(threads) {}

  double flops() const override {
    return 2.0 * static_cast<double>(conv_.images * conv_.groups) * static_cast<double>(conv_.k()) *
           static_cast<double>(conv_.window.lanes());
  }

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    const auto* weights = arguments.in<float>(1);
    auto* y = arguments.out<float>(0);
    Epilogue epilogue;
    epilogue.bias = conv_.bias ? arguments.in<float>(2) : nullptr;
    epilogue.activation = conv_.activation;
    const float* residual = conv_.residual ? arguments.in<float>(3) : nullptr;
    const std::int64_t work = conv_.out_plane * conv_.window.taps();
    const std::int64_t grain = std::max<std::int64_t>(1, 65536 / work);
    if (conv_.images < threads_ && conv_.out_plane >= kPlaneOfThread * threads_ &&
        conv_.images * conv_.groups > grain) {
      parallel_tasks(conv_.images * threads_, [&](std::int64_t task) {
        const std::int64_t image = task / threads_, band = task % threads_, height = conv_.window.out_height;
        const std::int64_t in_at = image * conv_.groups * conv_.in_plane;
        const std::int64_t out_at = image * conv_.groups * conv_.out_plane;
        const int row_begin = static_cast<int>(band * height / threads_);
        Epilogue own = epilogue;
        own.residual = residual == nullptr ? nullptr : residual + out_at;
        // neighbouring bands go through channels in opposite orders, not to write to both ends of a cache line at once
        for (std::int64_t done = 0; done < conv_.groups; done += kChannelsAtOnce) {
          const std::int64_t count = std::min(kChannelsAtOnce, conv_.groups - done);
          const std::int64_t first = band % 2 == 0 ? done : conv_.groups - done - count;
          run_depthwise({conv_.window,
                         x + in_at,
                         weights,
                         {y + out_at, conv_.out_plane, 0},
                         own,
                         static_cast<std::size_t>(first),
                         static_cast<std::size_t>(first + count),
                         row_begin,
                         static_cast<int>((band + 1) * height / threads_)},
                        isa_);
        }
      });
      return;
    }
    parallel_ranges(conv_.images * conv_.groups, grain, [&](std::int64_t begin, std::int64_t end) {
      while (begin < end) {  // one call per image
        const std::int64_t image = begin / conv_.groups;
        const std::int64_t last = std::min(end, (image + 1) * conv_.groups);
        const std::int64_t in_at = image * conv_.groups * conv_.in_plane;
        const std::int64_t out_at = image * conv_.groups * conv_.out_plane;
        Epilogue own = epilogue;
        own.residual = residual == nullptr ? nullptr : residual + out_at;
        run_depthwise({conv_.window,
                       x + in_at,
                       weights,
                       {y + out_at, conv_.out_plane, 0},
                       own,
                       static_cast<std::size_t>(begin - image * conv_.groups),
                       static_cast<std::size_t>(last - image * conv_.groups),
                       0,
                       conv_.window.out_height},
                      isa_);
        begin = last;
      }
    });
  }

 private:
  Convolution conv_;
  Isa isa_;
  int threads_;
};

Verdict check_depthwise(const NodeView& view, const Environment&) {
  Convolution conv;
  auto reason = describe_convolution(view, conv);
  if (reason) return Verdict::reject(std::move(*reason));
  if (conv.in_channels != 1 || conv.out_channels != 1) return Verdict::reject("channels are not convolved one by one");
  return Verdict::accept();
}

std::unique_ptr<Step> build_depthwise(const NodeView& view, const Environment& environment) {
  Convolution conv;
  describe_convolution(view, conv);
  return std::make_unique<DepthwiseStep>(conv, environment.threads);
}

}  // namespace

void register_convolution_kernels(KernelTable& table) {
  register_sparse_convolution_kernels(table);
  const KernelEntry depthwise{"cpu.conv.depthwise.f32", check_depthwise, build_depthwise};
  const KernelEntry dense{"cpu.conv.column.f32", check_dense, build_dense, -1, false, estimate_dense_convolution};
  for (const KernelEntry& entry : {depthwise, dense}) {
    table.add("Conv", entry);
    table.add("FusedConv", entry, kInternalDomain);
  }
}

}  // namespace sparse_run::cpu
