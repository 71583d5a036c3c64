// Convolutions through cuDNN: fused with what follows where it has an engine for that.
#include "gpu/cuda/steps/dnn_plan.hpp"
#include "gpu/cuda/steps/epilogue.hpp"
#include "gpu/cuda/steps/half_operand.hpp"
#include "gpu/cuda/steps/kernel_table.hpp"

namespace sparse_run::gpu::cuda {

namespace {

std::string key_of(const ConvolutionProblem& problem, DnnFusion fusion, Precision precision) {
  std::string key = fmt::format("conv {} {} {} {} {} {} {} {} {}", to_string(precision), static_cast<int>(fusion),
                                problem.geometry.batch, problem.geometry.in_channels, problem.geometry.out_channels,
                                problem.geometry.group, problem.has_bias, problem.has_residual,
                                static_cast<int>(problem.activation.function));
  key += fmt::format(" {} {}", problem.activation.a, problem.activation.b);
  for (const WindowAxis& axis : problem.geometry.axes) {
    key += fmt::format(" {},{},{},{},{},{}", axis.input, axis.kernel, axis.stride, axis.dilation, axis.pad_begin,
                       axis.pad_end);
  }
  return key;
}

std::shared_ptr<const DnnPlan> shared_plan(Gpu& gpu, const ConvolutionProblem& problem, DnnFusion fusion,
                                           Precision precision) {
  return std::static_pointer_cast<const DnnPlan>(gpu.shared_plan(
      key_of(problem, fusion, precision), [&] { return DnnPlan::find(gpu, problem, fusion, precision); }));
}

class DnnConvolutionStep final : public Step {
 public:
  DnnConvolutionStep(const NodeView& view, const ConvolutionProblem& problem, std::shared_ptr<const DnnPlan> plan,
                     DnnFusion fusion, Precision precision, const std::shared_ptr<Gpu>& gpu)
      : problem_(problem),
        plan_(std::move(plan)),
        fused_(fusion == DnnFusion::everything),
        half_(is_half(precision)),
        kernel_(fmt::format("{}.{}", fused_ ? "gpu.conv.cudnn_fused" : "gpu.conv.cudnn", to_string(precision))) {
    epilogue_.count = element_count(problem.output_shape());
    epilogue_.channels = problem.geometry.out_channels;
    epilogue_.inner = epilogue_.count / std::max<Index>(1, problem.geometry.batch * epilogue_.channels);
    epilogue_.activation = problem.activation;
    if (half_) {
      rounded_x_ = HalfOperand(view, 0, precision, gpu, 0);
      rounded_w_ = HalfOperand(view, 1, precision, gpu, rounded_x_.scratch_bytes());
    }
  }
  std::string_view kernel() const override { return kernel_; }
  std::size_t scratch_bytes() const override { return workspace_offset() + plan_->workspace_bytes(); }
  std::size_t weight_bytes() const override { return rounded_x_.weight_bytes() + rounded_w_.weight_bytes(); }
  bool reads(std::size_t operand) const override {
    return operand > 1 || !(operand == 0 ? rounded_x_ : rounded_w_).is_constant();
  }
  double flops() const override { return problem_.flops(); }
  void enqueue(const StepLaunch& launch) const override {
    const void* x = half_ ? rounded_x_.enqueue(launch) : launch.in<void>(0);
    const void* w = half_ ? rounded_w_.enqueue(launch) : launch.in<void>(1);
    plan_->execute(launch.gpu, launch.stream, {x, w, launch.in<void>(2), launch.in<void>(3), launch.out<void>()},
                   launch.scratch + workspace_offset());
    if (!fused_) epilogue_.enqueue(launch, launch.in<float>(2), launch.in<float>(3));
  }

 private:
  /// Behind the rounded operands.
  std::size_t workspace_offset() const { return rounded_x_.scratch_bytes() + rounded_w_.scratch_bytes(); }

  ConvolutionProblem problem_;
  std::shared_ptr<const DnnPlan> plan_;  // shared with equal layers
  bool fused_;
  bool half_;
  std::string kernel_;
  HalfOperand rounded_x_;
  HalfOperand rounded_w_;
  EpilogueCall epilogue_;
};

template <Precision precision>
std::string refuse_dnn(const NodeView& view, const Gpu& gpu) {
  if (!gpu.libraries().dnn.table) return gpu.libraries().dnn.absence;
  if (std::string reason = unless_f32(view, 4); !reason.empty()) return reason;
  if (view.in_shape(0).size() < 3 || view.in_shape(0).size() > 5) return "it convolves along one to three axes";
  if (element_count(view.out_shape()) == 0 || element_count(view.in_shape(0)) == 0) return "its operand is empty";
  return is_half(precision) ? refuse_half_constant(view, 1, precision) : "";
}

template <Precision precision>
std::unique_ptr<Step> build_dnn(const NodeView& view, const std::shared_ptr<Gpu>& gpu) {
  const ConvolutionProblem problem = ConvolutionProblem::of(view);
  for (const DnnFusion fusion : {DnnFusion::everything, DnnFusion::convolution_only}) {
    if (fusion == DnnFusion::everything && !dnn_has(problem.activation)) continue;
    if (auto plan = shared_plan(*gpu, problem, fusion, precision)) {
      return std::make_unique<DnnConvolutionStep>(view, problem, std::move(plan), fusion, precision, gpu);
    }
  }
  return nullptr;
}

}  // namespace

void register_dnn_convolution(KernelTable& table) {
  const KernelEntry entries[] = {
      {"gpu.conv.cudnn.f16", refuse_dnn<Precision::f16>, build_dnn<Precision::f16>, Precision::f16},
      {"gpu.conv.cudnn.bf16", refuse_dnn<Precision::bf16>, build_dnn<Precision::bf16>, Precision::bf16},
      {"gpu.conv.cudnn.tf32", refuse_dnn<Precision::tf32>, build_dnn<Precision::tf32>, Precision::tf32},
      {"gpu.conv.cudnn.f32", refuse_dnn<Precision::f32>, build_dnn<Precision::f32>}};
  for (const KernelEntry& entry : entries) {
    table.add("Conv", entry);
    table.add("FusedConv", entry, kInternalDomain);
  }
}

}  // namespace sparse_run::gpu::cuda
