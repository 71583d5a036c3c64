// Poolings, and convolutions by a plain kernel of our own.
#include "gpu/cuda/kernels/windows.hpp"

#include "gpu/cuda/steps/convolution.hpp"
#include "gpu/cuda/steps/kernel_table.hpp"

namespace sparse_run::gpu::cuda {

WindowSpan span_of(const WindowAxis& axis) {
  return {axis.input, axis.output, axis.kernel, axis.stride, axis.dilation, axis.pad_begin};
}

WindowAxis trivial_axis() {
  WindowAxis axis;
  axis.input = axis.kernel = axis.output = 1;
  return axis;
}

ConvolutionProblem ConvolutionProblem::of(const NodeView& view) {
  ConvolutionProblem problem;
  problem.geometry = ConvGeometry::forward(view.node(), view.in_shape(0), view.in_shape(1));
  if (problem.geometry.axes.size() == 1) {
    problem.geometry.axes.insert(problem.geometry.axes.begin(), trivial_axis());
  }
  problem.has_bias = view.has(2);
  problem.has_residual = view.has(3);
  problem.activation = fused_activation(view.node());
  return problem;
}

std::vector<std::int64_t> ConvolutionProblem::input_shape() const {
  std::vector<std::int64_t> shape{geometry.batch, geometry.in_channels};
  for (const WindowAxis& axis : geometry.axes) shape.push_back(axis.input);
  return shape;
}

std::vector<std::int64_t> ConvolutionProblem::weight_shape() const {
  std::vector<std::int64_t> shape{geometry.out_channels, geometry.in_channels / geometry.group};
  for (const WindowAxis& axis : geometry.axes) shape.push_back(axis.kernel);
  return shape;
}

std::vector<std::int64_t> ConvolutionProblem::output_shape() const { return geometry.output_shape(); }

double ConvolutionProblem::flops() const {
  const double taps = static_cast<double>(element_count(weight_shape())) / static_cast<double>(geometry.out_channels);
  return 2 * taps * static_cast<double>(element_count(output_shape()));
}

namespace {

class PoolStep final : public Step {
 public:
  explicit PoolStep(const NodeView& view) {
    const PoolGeometry geometry = PoolGeometry::sliding(view.node(), view.in_shape(0));
    const bool flat = geometry.axes.size() == 1;
    const WindowAxis rows = flat ? trivial_axis() : geometry.axes[0];
    const WindowAxis& columns = geometry.axes.back();
    pool_.planes = geometry.batch * geometry.channels;
    pool_.rows = span_of(rows);
    pool_.columns = span_of(columns);
    pool_.row_end = rows.input + rows.pad_end;
    pool_.column_end = columns.input + columns.pad_end;
    pool_.kind = view.node().op == "MaxPool"                       ? Pooling::maximum
                 : view.node().int_or("count_include_pad", 0) != 0 ? Pooling::average_padded
                                                                   : Pooling::average;
  }
  std::string_view kernel() const override { return "gpu.pool.f32"; }
  double flops() const override { return static_cast<double>(items() * pool_.rows.kernel * pool_.columns.kernel); }
  void enqueue(const StepLaunch& launch) const override {
    if (items() == 0) return;
    Pool2d pool = pool_;
    pool.x = launch.in<float>(0);
    pool.y = launch.out<float>();
    launch.gpu.launch("pool2d", shape_for_items(items()), launch.stream, pool);
  }

 private:
  Index items() const { return pool_.planes * pool_.rows.output * pool_.columns.output; }
  Pool2d pool_{};
};

std::string refuse_pool(const NodeView& view, const Gpu&) {
  if (std::string reason = unless_f32(view, 1); !reason.empty()) return reason;
  if (view.wants(1)) return "it does not tell where maxima lie";
  return view.in_shape(0).size() < 3 || view.in_shape(0).size() > 4 ? "it pools over one or two axes" : "";
}

std::unique_ptr<Step> build_pool(const NodeView& view, const std::shared_ptr<Gpu>&) {
  return std::make_unique<PoolStep>(view);
}

class PlainConvolutionStep final : public Step {
 public:
  explicit PlainConvolutionStep(const NodeView& view) : problem_(ConvolutionProblem::of(view)) {
    const ConvGeometry& geometry = problem_.geometry;
    convolution_.batch = geometry.batch;
    convolution_.channels = geometry.in_channels;
    convolution_.out_channels = geometry.out_channels;
    convolution_.groups = geometry.group;
    convolution_.rows = span_of(geometry.axes[0]);
    convolution_.columns = span_of(geometry.axes[1]);
    convolution_.function = problem_.activation.function;
    convolution_.a = problem_.activation.a;
    convolution_.b = problem_.activation.b;
  }
  std::string_view kernel() const override { return "gpu.conv.plain.f32"; }
  double flops() const override { return problem_.flops(); }
  void enqueue(const StepLaunch& launch) const override {
    Convolve2d one = convolution_;
    one.x = launch.in<float>(0);
    one.w = launch.in<float>(1);
    one.bias = launch.in<float>(2);
    one.residual = launch.in<float>(3);
    one.y = launch.out<float>();
    const Index items = one.batch * one.out_channels * one.rows.output * one.columns.output;
    if (items > 0) launch.gpu.launch("convolve2d", shape_for_items(items), launch.stream, one);
  }

 private:
  ConvolutionProblem problem_;
  Convolve2d convolution_{};
};

std::string refuse_plain(const NodeView& view, const Gpu&) {
  if (std::string reason = unless_f32(view, 4); !reason.empty()) return reason;
  return view.in_shape(0).size() < 3 || view.in_shape(0).size() > 4 ? "it convolves along one or two axes" : "";
}

std::unique_ptr<Step> build_plain(const NodeView& view, const std::shared_ptr<Gpu>&) {
  return std::make_unique<PlainConvolutionStep>(view);
}

}  // namespace

void register_windows(KernelTable& table) {
  for (const char* op : {"MaxPool", "AveragePool"}) table.add(op, {"gpu.pool.f32", refuse_pool, build_pool});
}

/// After cuDNN: where that is absent or has no engine.
void register_plain_convolution(KernelTable& table) {
  const KernelEntry entry{"gpu.conv.plain.f32", refuse_plain, build_plain};
  table.add("Conv", entry);
  table.add("FusedConv", entry, kInternalDomain);
}

}  // namespace sparse_run::gpu::cuda
