// Dense products through cuBLASLt, with bias, residual and activation in its epilogue where it has that.
#include <algorithm>
#include <array>
#include <utility>

#include "gpu/cuda/steps/epilogue.hpp"
#include "gpu/cuda/steps/half_operand.hpp"
#include "gpu/cuda/steps/kernel_table.hpp"
#include "gpu/cuda/steps/product_kernels.hpp"
#include "gpu/cuda/steps/product_problem.hpp"

namespace sparse_run::gpu::cuda {

namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

void expect(const Gpu& gpu, int code, const char* what) {
  if (code != 0) gpu.fail("cuBLASLt", gpu.libraries().blas.table->status_name(code), what);
}

/// A matrix as cuBLASLt sees it: column-major, so that row-major operands appear transposed.
class BlasLayout {
 public:
  BlasLayout(const Gpu& gpu, int type, Index rows, Index columns, const ProductProblem& problem, Index batch_step)
      : gpu_(&gpu) {
    const BlasLt& table = *gpu.libraries().blas.table;
    expect(gpu,
           table.matrix_create(&handle_, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns),
                               rows),
           "describing a matrix");
    if (problem.batch_size.empty()) return;
    const auto count = static_cast<std::int32_t>(problem.batches());
    const std::int64_t step = batch_step;
    expect(gpu, table.matrix_set(handle_, blas::kBatchCount, &count, sizeof(count)), "describing a batch");
    expect(gpu, table.matrix_set(handle_, blas::kBatchStride, &step, sizeof(step)), "describing a batch");
  }
  ~BlasLayout() {
    if (handle_ != nullptr) gpu_->libraries().blas.table->matrix_destroy(handle_);
  }
  BlasLayout(const BlasLayout&) = delete;
  BlasLayout& operator=(const BlasLayout&) = delete;
  BlasMatrix handle() const noexcept { return handle_; }

 private:
  const Gpu* gpu_;  // kept open by the step
  BlasMatrix handle_ = nullptr;
};

/// How much of bias and activation the library applies itself.
int epilogue_of(const ProductProblem& problem) {
  const bool bias = problem.bias.has_value();
  switch (problem.activation.function) {
    case Unary::relu:
      return bias ? blas::kEpilogueReluBias : blas::kEpilogueRelu;
    case Unary::gelu_tanh:
      return bias ? blas::kEpilogueGeluBias : blas::kEpilogueGelu;
    default:
      return bias ? blas::kEpilogueBias : blas::kEpilogueNone;
  }
}

Index first_or_zero(const std::vector<Index>& steps) { return steps.empty() ? 0 : steps[0]; }

class BlasProductStep final : public Step {
 public:
  BlasProductStep(const NodeView& view, const ProductProblem& problem, const KernelEntry& entry,
                  std::shared_ptr<Gpu> gpu)
      : problem_(problem),
        gpu_(std::move(gpu)),
        kernel_(entry.name),
        half_(is_half(entry.precision)),
        // The result's transpose is b's transpose times a's: the library's first operand is b.
        left_(*gpu_, operand_type(entry.precision), problem.transposed_b ? problem.k : problem.n,
              problem.transposed_b ? problem.n : problem.k, problem, first_or_zero(problem.batch_step_b)),
        right_(*gpu_, operand_type(entry.precision), problem.transposed_a ? problem.m : problem.k,
               problem.transposed_a ? problem.k : problem.m, problem, first_or_zero(problem.batch_step_a)),
        result_(*gpu_, kTypeF32, problem.n, problem.m, problem, problem.n * problem.m) {
    const BlasLt& table = *gpu_->libraries().blas.table;
    const int compute = entry.precision == Precision::tf32 ? blas::kComputeTf32 : blas::kComputeF32;
    expect(*gpu_, table.product_create(&product_, compute, kTypeF32), "describing a product");
    const std::int32_t left_transposed = problem.transposed_b;
    const std::int32_t right_transposed = problem.transposed_a;
    const std::int32_t epilogue = epilogue_of(problem);
    set(blas::kTransposeA, left_transposed);
    set(blas::kTransposeB, right_transposed);
    set(blas::kEpilogue, epilogue);
    const bool applies = epilogue != blas::kEpilogueNone && epilogue != blas::kEpilogueBias;
    rest_.count = applies ? 0 : problem.results();
    rest_.activation = problem.activation;
    if (half_) {
      rounded_a_ = HalfOperand(view, 0, entry.precision, gpu_, 0);
      rounded_b_ = HalfOperand(view, 1, entry.precision, gpu_, rounded_a_.scratch_bytes());
    }
  }
  ~BlasProductStep() override {
    if (product_ != nullptr) gpu_->libraries().blas.table->product_destroy(product_);
  }

  /// False when the library has no algorithm.
  bool find_algorithm() {
    const BlasLt& table = *gpu_->libraries().blas.table;
    if (problem_.bias) {  // any aligned address: the real one is known when it runs
      const DeviceArray probe(gpu_, std::vector<float>(1));
      set(blas::kBiasPointer, probe.data());
    }
    BlasPreference preference = nullptr;
    expect(*gpu_, table.preference_create(&preference), "describing a product");
    int count = 0;
    int code = table.preference_set(preference, blas::kMaxWorkspace, &kWorkspaceBytes, sizeof(kWorkspaceBytes));
    if (code == 0) {
      code = table.search(gpu_->blas(), product_, left_.handle(), right_.handle(), result_.handle(), result_.handle(),
                          preference, 1, &algorithm_, &count);
    }
    table.preference_destroy(preference);
    return code == 0 && count > 0 && algorithm_.state == 0;
  }

  std::string_view kernel() const override { return kernel_; }
  std::size_t scratch_bytes() const override { return workspace_offset() + algorithm_.workspace_bytes; }
  std::size_t weight_bytes() const override { return rounded_a_.weight_bytes() + rounded_b_.weight_bytes(); }
  bool reads(std::size_t operand) const override {
    return operand > 1 || !(operand == 0 ? rounded_a_ : rounded_b_).is_constant();
  }
  double flops() const override { return problem_.flops(); }
  void enqueue(const StepLaunch& launch) const override {
    const BlasLt& table = *gpu_->libraries().blas.table;
    if (problem_.bias) set(blas::kBiasPointer, launch.in<float>(*problem_.bias));
    const void* residual = problem_.residual ? launch.in<void>(*problem_.residual) : nullptr;
    const float beta = residual != nullptr ? 1.0f : 0.0f;
    void* y = launch.out<void>();
    const void* a = half_ ? rounded_a_.enqueue(launch) : launch.in<void>(0);
    const void* b = half_ ? rounded_b_.enqueue(launch) : launch.in<void>(1);
    expect(*gpu_,
           table.multiply(launch.gpu.blas(), product_, &problem_.alpha, b, left_.handle(), a, right_.handle(), &beta,
                          residual != nullptr ? residual : y, result_.handle(), y, result_.handle(), &algorithm_,
                          pointer_to(launch.scratch + workspace_offset()), algorithm_.workspace_bytes, launch.stream),
           "a product");
    rest_.enqueue(launch, nullptr, nullptr);
  }

 private:
  template <class Value>
  void set(int attribute, const Value& value) const {
    expect(*gpu_, gpu_->libraries().blas.table->product_set(product_, attribute, &value, sizeof(value)),
           "describing a product");
  }

  /// Behind the rounded operands.
  std::size_t workspace_offset() const { return rounded_a_.scratch_bytes() + rounded_b_.scratch_bytes(); }

  ProductProblem problem_;
  std::shared_ptr<Gpu> gpu_;
  std::string_view kernel_;
  bool half_;
  HalfOperand rounded_a_;
  HalfOperand rounded_b_;
  BlasLayout left_;
  BlasLayout right_;
  BlasLayout result_;
  BlasProduct product_ = nullptr;  ///< its bias address is set anew for every execution
  BlasAlgorithm algorithm_{};
  EpilogueCall rest_;
};

template <Precision precision>
std::string refuse(const NodeView& view, const Gpu& gpu) {
  if (!gpu.libraries().blas.table) return gpu.libraries().blas.absence;
  std::string reason;
  const auto problem = product_problem(view, reason);
  if (!problem) return reason;
  if (problem->batch_size.size() > 1) return "its batches are repeated along several axes";
  if (problem->results() == 0 || problem->k == 0) return "its operands are empty";
  for (const std::size_t operand : {0u, 1u}) {
    reason = is_half(precision) ? refuse_half_constant(view, operand, precision) : "";
    if (!reason.empty()) return reason;
  }
  return {};
}

template <Precision precision>
std::unique_ptr<Step> build(const NodeView& view, const std::shared_ptr<Gpu>& gpu);

template <Precision precision>
constexpr KernelEntry entry(std::string_view name) {
  return {name, refuse<precision>, build<precision>, precision};
}

constexpr std::array kEntries = {
    entry<Precision::f16>("gpu.matmul.cublaslt.f16"), entry<Precision::bf16>("gpu.matmul.cublaslt.bf16"),
    entry<Precision::tf32>("gpu.matmul.cublaslt.tf32"), entry<Precision::f32>("gpu.matmul.cublaslt.f32")};

template <Precision precision>
std::unique_ptr<Step> build(const NodeView& view, const std::shared_ptr<Gpu>& gpu) {
  const auto& chosen = *std::find_if(kEntries.begin(), kEntries.end(),
                                     [](const KernelEntry& one) { return one.precision == precision; });
  std::string reason;
  auto step = std::make_unique<BlasProductStep>(view, *product_problem(view, reason), chosen, gpu);
  if (!step->find_algorithm()) return nullptr;
  return step;
}

}  // namespace

std::span<const KernelEntry> blas_products() { return kEntries; }

}  // namespace sparse_run::gpu::cuda
