// Products with sparse weights: a bitmap kernel for few rows, cuSPARSE for many.
#include <utility>

#include "gpu/cuda/kernels/products.hpp"
#include "gpu/cuda/steps/epilogue.hpp"
#include "gpu/cuda/steps/product_kernels.hpp"
#include "gpu/cuda/steps/product_problem.hpp"
#include "gpu/cuda/steps/sparse_weights.hpp"

namespace sparse_run::gpu::cuda {

namespace {

constexpr Index kFewRows = 64;
constexpr unsigned kThreads = 128;

std::string refuse_rows(const NodeView& view, const Gpu& gpu, std::optional<ProductProblem>& problem) {
  const GpuOptions& options = gpu.options();
  const double threshold = options.sparse_from < 0 ? sparse_from(options.precision) : options.sparse_from;
  std::string reason = refuse_sparse_weights(view, threshold);
  if (!reason.empty()) return reason;
  problem = product_problem(view, reason);
  if (!problem) return reason;
  if (!problem->batch_size.empty() || problem->transposed_a) return "its activations are not stored row by row";
  return problem->results() == 0 ? "its operands are empty" : "";
}

class BitmapProductStep final : public Step {
 public:
  BitmapProductStep(const ProductProblem& problem, const CsrWeights& weights, const std::shared_ptr<Gpu>& gpu)
      : problem_(problem), zeros_(weights.zeros()) {
    const BitmapWeights packed = BitmapWeights::of(weights);
    words_ = DeviceArray(gpu, packed.words);
    begins_ = DeviceArray(gpu, packed.begins);
    values_ = DeviceArray(gpu, packed.values);
  }
  std::string_view kernel() const override { return kBitmapProduct; }
  bool reads(std::size_t operand) const override { return operand != 1; }
  std::size_t weight_bytes() const override { return words_.bytes() + begins_.bytes() + values_.bytes(); }
  double flops() const override { return problem_.flops() * (1 - zeros_); }
  double zeros() const override { return zeros_; }
  void enqueue(const StepLaunch& launch) const override {
    const BitmapProduct product{launch.in<float>(0),
                                words_.as<unsigned>(),
                                begins_.as<unsigned>(),
                                values_.as<float>(),
                                problem_.bias ? launch.in<float>(*problem_.bias) : nullptr,
                                problem_.residual ? launch.in<float>(*problem_.residual) : nullptr,
                                launch.out<float>(),
                                problem_.m,
                                problem_.n,
                                problem_.k,
                                problem_.alpha,
                                problem_.activation.function,
                                problem_.activation.a,
                                problem_.activation.b};
    const Index groups = (problem_.m + kBitmapColumns - 1) / kBitmapColumns;
    launch.gpu.launch("bitmap_product",
                      shape_for_rows(problem_.n * groups, kThreads * kBitmapColumns * sizeof(float), kThreads),
                      launch.stream, product);
  }

 private:
  ProductProblem problem_;
  double zeros_;
  DeviceArray words_;
  DeviceArray begins_;
  DeviceArray values_;
};

void expect(const Gpu& gpu, int code, const char* what) {
  if (code != 0) gpu.fail("cuSPARSE", gpu.libraries().sparse.table->status_name(code), what);
}

/// The result's transpose is w times the transpose of the activations: in column-major order nothing is transposed.
class CsrProductStep final : public Step {
 public:
  CsrProductStep(const ProductProblem& problem, const CsrWeights& weights, std::shared_ptr<Gpu> gpu)
      : problem_(problem),
        gpu_(std::move(gpu)),
        zeros_(weights.zeros()),
        begins_(gpu_, weights.begins),
        columns_(gpu_, weights.column),
        values_(gpu_, weights.values) {
    const Sparse& table = *gpu_->libraries().sparse.table;
    expect(*gpu_,
           table.csr_create(&weights_, weights.rows, weights.columns, static_cast<std::int64_t>(weights.values.size()),
                            begins_.data(), columns_.data(), values_.data(), sparse::kIndex32, sparse::kIndex32,
                            sparse::kBaseZero, kTypeF32),
           "describing sparse weights");
    // Addresses are those of the execution; any will do to ask for the workspace.
    expect(
        *gpu_,
        table.dense_create(&operand_, problem.k, problem.m, problem.k, values_.data(), kTypeF32, sparse::kColumnMajor),
        "describing a matrix");
    expect(
        *gpu_,
        table.dense_create(&result_, problem.n, problem.m, problem.n, values_.data(), kTypeF32, sparse::kColumnMajor),
        "describing a matrix");
    expect(
        *gpu_,
        table.multiply_bytes(gpu_->sparse(), sparse::kNotTransposed, sparse::kNotTransposed, &problem_.alpha, weights_,
                             operand_, &kZero, result_, kTypeF32, sparse::kDefaultAlgorithm, &workspace_bytes_),
        "asking for the workspace of a sparse product");
    rest_.count = problem.results();
    rest_.channels = problem.n;
    rest_.activation = problem.activation;
  }
  ~CsrProductStep() override {
    const Sparse& table = *gpu_->libraries().sparse.table;
    if (result_ != nullptr) table.dense_destroy(result_);
    if (operand_ != nullptr) table.dense_destroy(operand_);
    if (weights_ != nullptr) table.csr_destroy(weights_);
  }
  std::string_view kernel() const override { return kCsrProduct; }
  bool reads(std::size_t operand) const override { return operand != 1; }
  std::size_t weight_bytes() const override { return begins_.bytes() + columns_.bytes() + values_.bytes(); }
  std::size_t scratch_bytes() const override { return workspace_bytes_; }
  double flops() const override { return problem_.flops() * (1 - zeros_); }
  double zeros() const override { return zeros_; }
  void enqueue(const StepLaunch& launch) const override {
    const Sparse& table = *gpu_->libraries().sparse.table;
    SparseHandle handle = launch.gpu.sparse();
    expect(*gpu_, table.set_stream(handle, launch.stream), "choosing a stream");
    expect(*gpu_, table.dense_values(operand_, const_cast<void*>(launch.in<void>(0))), "a sparse product");
    expect(*gpu_, table.dense_values(result_, launch.out<void>()), "a sparse product");
    expect(*gpu_,
           table.multiply(handle, sparse::kNotTransposed, sparse::kNotTransposed, &problem_.alpha, weights_, operand_,
                          &kZero, result_, kTypeF32, sparse::kDefaultAlgorithm, pointer_to(launch.scratch)),
           "a sparse product");
    rest_.enqueue(launch, problem_.bias ? launch.in<float>(*problem_.bias) : nullptr,
                  problem_.residual ? launch.in<float>(*problem_.residual) : nullptr);
  }

 private:
  static constexpr float kZero = 0;

  ProductProblem problem_;
  std::shared_ptr<Gpu> gpu_;
  double zeros_;
  DeviceArray begins_;
  DeviceArray columns_;
  DeviceArray values_;
  SparseMatrix weights_ = nullptr;
  SparseDense operand_ = nullptr;  ///< addresses of both are set anew for every execution
  SparseDense result_ = nullptr;
  std::size_t workspace_bytes_ = 0;
  EpilogueCall rest_;
};

template <class Built>
std::unique_ptr<Step> build(const NodeView& view, const std::shared_ptr<Gpu>& gpu) {
  std::string reason;
  const ProductProblem problem = *product_problem(view, reason);
  return std::make_unique<Built>(problem, *csr_weights(view, problem.transposed_b, 0, reason), gpu);
}

}  // namespace

std::string refuse_bitmap_product(const NodeView& view, const Gpu& gpu) {
  std::optional<ProductProblem> problem;
  if (std::string reason = refuse_rows(view, gpu, problem); !reason.empty()) return reason;
  if (problem->m > kFewRows) return fmt::format("it multiplies {} rows, more than {}", problem->m, kFewRows);
  return {};
}

std::unique_ptr<Step> build_bitmap_product(const NodeView& view, const std::shared_ptr<Gpu>& gpu) {
  return build<BitmapProductStep>(view, gpu);
}

std::string refuse_csr_product(const NodeView& view, const Gpu& gpu) {
  if (!gpu.libraries().sparse.table) return gpu.libraries().sparse.absence;
  std::optional<ProductProblem> problem;
  return refuse_rows(view, gpu, problem);
}

std::unique_ptr<Step> build_csr_product(const NodeView& view, const std::shared_ptr<Gpu>& gpu) {
  return build<CsrProductStep>(view, gpu);
}

}  // namespace sparse_run::gpu::cuda
