// Convolutions through cuDNN: fused with what follows where it has an engine for that.
#include "gpu/cuda/steps/dnn_plan.hpp"
#include "gpu/cuda/steps/epilogue.hpp"
#include "gpu/cuda/steps/kernel_table.hpp"

namespace sparse_run::gpu::cuda {

namespace {

std::string key_of(const ConvolutionProblem& problem, DnnFusion fusion) {
  std::string key = fmt::format("conv {} {} {} {} {} {} {} {}", static_cast<int>(fusion), problem.geometry.batch,
                                problem.geometry.in_channels, problem.geometry.out_channels, problem.geometry.group,
                                problem.has_bias, problem.has_residual, static_cast<int>(problem.activation.function));
  key += fmt::format(" {} {}", problem.activation.a, problem.activation.b);
  for (const WindowAxis& axis : problem.geometry.axes) {
    key += fmt::format(" {},{},{},{},{},{}", axis.input, axis.kernel, axis.stride, axis.dilation, axis.pad_begin,
                       axis.pad_end);
  }
  return key;
}

std::shared_ptr<const DnnPlan> shared_plan(Gpu& gpu, const ConvolutionProblem& problem, DnnFusion fusion) {
  return std::static_pointer_cast<const DnnPlan>(
      gpu.shared_plan(key_of(problem, fusion), [&] { return DnnPlan::find(gpu, problem, fusion); }));
}

class DnnConvolutionStep final : public Step {
 public:
  DnnConvolutionStep(const ConvolutionProblem& problem, std::shared_ptr<const DnnPlan> plan, DnnFusion fusion)
      : problem_(problem), plan_(std::move(plan)), fused_(fusion == DnnFusion::everything) {
    epilogue_.count = element_count(problem.output_shape());
    epilogue_.channels = problem.geometry.out_channels;
    epilogue_.inner = epilogue_.count / std::max<Index>(1, problem.geometry.batch * epilogue_.channels);
    epilogue_.activation = problem.activation;
  }
  std::string_view kernel() const override { return fused_ ? "gpu.conv.cudnn_fused.f32" : "gpu.conv.cudnn.f32"; }
  std::size_t scratch_bytes() const override { return plan_->workspace_bytes(); }
  double flops() const override { return problem_.flops(); }
  void enqueue(const StepLaunch& launch) const override {
    plan_->execute(launch.gpu, launch.stream,
                   {launch.in<void>(0), launch.in<void>(1), launch.in<void>(2), launch.in<void>(3), launch.out<void>()},
                   launch.scratch);
    if (!fused_) epilogue_.enqueue(launch, launch.in<float>(2), launch.in<float>(3));
  }

 private:
  ConvolutionProblem problem_;
  std::shared_ptr<const DnnPlan> plan_;  // shared with equal layers
  bool fused_;
  EpilogueCall epilogue_;
};

std::string refuse_dnn(const NodeView& view, const Gpu& gpu) {
  if (!gpu.libraries().dnn.table) return gpu.libraries().dnn.absence;
  if (std::string reason = unless_f32(view, 4); !reason.empty()) return reason;
  if (view.in_shape(0).size() < 3 || view.in_shape(0).size() > 5) return "it convolves along one to three axes";
  return element_count(view.out_shape()) == 0 || element_count(view.in_shape(0)) == 0 ? "its operand is empty" : "";
}

std::unique_ptr<Step> build_dnn(const NodeView& view, const std::shared_ptr<Gpu>& gpu) {
  const ConvolutionProblem problem = ConvolutionProblem::of(view);
  for (const DnnFusion fusion : {DnnFusion::everything, DnnFusion::convolution_only}) {
    if (fusion == DnnFusion::everything && !dnn_has(problem.activation)) continue;
    if (auto plan = shared_plan(*gpu, problem, fusion)) {
      return std::make_unique<DnnConvolutionStep>(problem, std::move(plan), fusion);
    }
  }
  return nullptr;
}

}  // namespace

void register_dnn_convolution(KernelTable& table) {
  const KernelEntry entry{"gpu.conv.cudnn.f32", refuse_dnn, build_dnn};
  table.add("Conv", entry);
  table.add("FusedConv", entry, kInternalDomain);
}

}  // namespace sparse_run::gpu::cuda
