// Convolutions over one or two spatial dimensions in f32, dense weights, as column kernels over plain NCHW.
#include <algorithm>
#include <numeric>
#include <vector>

#include "cpu/column/dense.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/kernels/fused_activation.hpp"
#include "cpu/parallel.hpp"
#include "graph/ops/window.hpp"

namespace sparse_run::cpu {

namespace {

/// A Conv or FusedConv node as column kernels see it.
struct Convolution {
  std::int64_t images = 0, groups = 1;
  std::int64_t in_channels = 0, out_channels = 0;  ///< per group
  Window window;
  std::int64_t in_plane = 0, out_plane = 0;
  Activation activation;
  bool bias = false, residual = false;

  std::size_t k() const { return static_cast<std::size_t>(in_channels) * static_cast<std::size_t>(window.taps()); }
};

/// Describes the node, or says why it is none that column kernels compute.
std::optional<std::string> describe(const NodeView& view, Convolution& conv) {
  if (!view.all_f32()) return "operands are not all f32";
  const Tensor* weights = view.constant(1);
  if (weights == nullptr) return "the weights are computed at run time";
  const ConvGeometry geometry = ConvGeometry::forward(view.node(), view.input_shape(0), weights->shape());
  if (geometry.axes.empty() || geometry.axes.size() > 2) return "only one or two spatial dimensions";
  if (element_count(view.output_shape(0)) == 0 || weights->size() == 0) return "an operand is empty";
  if (element_count(view.input_shape(0)) == 0) return "the input is empty";
  WindowAxis height;  // a single row for one-dimensional convolutions
  height.input = height.kernel = height.output = 1;
  if (geometry.axes.size() == 2) height = geometry.axes[0];
  const WindowAxis& width = geometry.axes.back();
  constexpr std::int64_t kLargest = 1 << 30;
  for (const WindowAxis* axis : {static_cast<const WindowAxis*>(&height), &width}) {
    for (const std::int64_t size : {axis->input, axis->kernel, axis->stride, axis->dilation, axis->output}) {
      if (size > kLargest) return "a size exceeds 2^30";
    }
    if (axis->pad_begin < -kLargest || axis->pad_begin > kLargest) return "a padding exceeds 2^30";
  }
  const auto activation = fused_activation(view.node());
  if (!activation) return "no kernel for activation " + view.node().string_or("activation", "");
  conv.activation = *activation;
  conv.bias = view.has_input(2);
  conv.residual = view.has_input(3);
  if (conv.residual && view.input_shape(3) != view.output_shape(0)) return "the residual broadcasts";
  conv.images = geometry.batch;
  conv.groups = geometry.group;
  conv.in_channels = geometry.in_channels / geometry.group;
  conv.out_channels = geometry.out_channels / geometry.group;
  conv.in_plane = height.input * width.input;
  conv.out_plane = height.output * width.output;
  Window& window = conv.window;
  window.height = static_cast<int>(height.input);
  window.width = static_cast<int>(width.input);
  window.out_height = static_cast<int>(height.output);
  window.out_width = static_cast<int>(width.output);
  window.kernel_height = static_cast<int>(height.kernel);
  window.kernel_width = static_cast<int>(width.kernel);
  window.stride_height = static_cast<int>(height.stride);
  window.stride_width = static_cast<int>(width.stride);
  window.dilation_height = static_cast<int>(height.dilation);
  window.dilation_width = static_cast<int>(width.dilation);
  window.pad_top = static_cast<int>(height.pad_begin);
  window.pad_left = static_cast<int>(width.pad_begin);
  window.channel_stride = conv.in_plane;
  window.image_stride = 0;
  window.row_stride = width.input;
  return std::nullopt;
}

/// Tasks are (image, group, lane slice, row slice): enough of them to balance the threads, none smaller than a few
/// tiles of the kernel.
class DenseConvStep final : public Step {
 public:
  DenseConvStep(const Convolution& conv, const Tensor& weights, int threads) : conv_(conv) {
    const auto rows = static_cast<std::size_t>(conv.out_channels);
    const auto all = weights.data<float>();
    for (std::int64_t group = 0; group < conv.groups; ++group) {
      weights_.emplace_back(all.subspan(static_cast<std::size_t>(group) * rows * conv.k(), rows * conv.k()), rows,
                            conv.k());
    }
    const auto lanes = static_cast<std::int64_t>(conv.window.lanes());
    const auto lane_step = static_cast<std::int64_t>(weights_.front().lane_step());
    const auto row_step = static_cast<std::int64_t>(weights_.front().row_step());
    const std::int64_t wanted = threads == 1 ? 1 : 6 * threads;
    const std::int64_t per_matrix = std::max<std::int64_t>(1, wanted / (conv.images * conv.groups));
    const std::int64_t lane_slices = std::clamp<std::int64_t>(lanes / (2 * lane_step), 1, per_matrix);
    lane_slice_ = ((lanes + lane_slices - 1) / lane_slices + lane_step - 1) / lane_step * lane_step;
    const std::int64_t lane_count = (lanes + lane_slice_ - 1) / lane_slice_;
    const std::int64_t row_slices =
        std::clamp<std::int64_t>(conv.out_channels / (2 * row_step), 1, std::max<std::int64_t>(1, per_matrix / lane_count));
    row_slice_ = ((conv.out_channels + row_slices - 1) / row_slices + row_step - 1) / row_step * row_step;
  }

  std::size_t weight_bytes() const override {
    return std::accumulate(weights_.begin(), weights_.end(), std::size_t{0},
                           [](std::size_t sum, const DenseColumns& columns) { return sum + columns.bytes(); });
  }
  double flops() const override {
    return 2.0 * static_cast<double>(conv_.images * conv_.groups * conv_.out_channels) * static_cast<double>(conv_.k()) *
           static_cast<double>(conv_.window.lanes());
  }

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    const float* bias = conv_.bias ? arguments.in<float>(2) : nullptr;
    const float* residual = conv_.residual ? arguments.in<float>(3) : nullptr;
    auto* y = arguments.out<float>(0);
    const auto lanes = static_cast<std::int64_t>(conv_.window.lanes());
    const std::int64_t lane_count = (lanes + lane_slice_ - 1) / lane_slice_;
    const std::int64_t row_count = (conv_.out_channels + row_slice_ - 1) / row_slice_;
    parallel_tasks(conv_.images * conv_.groups * lane_count * row_count, [&](std::int64_t task) {
      const std::int64_t row = task % row_count * row_slice_;
      const std::int64_t lane = task / row_count % lane_count * lane_slice_;
      const std::int64_t matrix = task / (row_count * lane_count);  // image · groups + group
      const std::int64_t group = matrix % conv_.groups;
      const ColumnPart part{static_cast<std::size_t>(lane), static_cast<std::size_t>(std::min(lane + lane_slice_, lanes)),
                            static_cast<std::size_t>(row),
                            static_cast<std::size_t>(std::min(row + row_slice_, conv_.out_channels))};
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
  std::int64_t lane_slice_ = 0;
  std::int64_t row_slice_ = 0;
};

Verdict check_dense(const NodeView& view, const Environment&) {
  Convolution conv;
  auto reason = describe(view, conv);
  return reason ? Verdict::reject(std::move(*reason)) : Verdict::accept();
}

std::unique_ptr<Step> build_dense(const NodeView& view, const Environment& environment) {
  Convolution conv;
  describe(view, conv);
  return std::make_unique<DenseConvStep>(conv, *view.constant(1), environment.threads);
}

}  // namespace

void register_convolution_kernels(KernelTable& table) {
  const KernelEntry dense{"cpu.conv.column.f32", check_dense, build_dense};
  table.add("Conv", dense);
  table.add("FusedConv", dense, kInternalDomain);
}

}  // namespace sparse_run::cpu
