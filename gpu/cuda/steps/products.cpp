// Products by a plain kernel of our own, and the order in which ways to multiply are preferred.
#include "gpu/cuda/kernels/products.hpp"

#include <algorithm>

#include "gpu/cuda/steps/product_kernels.hpp"
#include "gpu/cuda/steps/product_problem.hpp"

namespace sparse_run::gpu::cuda {

namespace {

class PlainProductStep final : public Step {
 public:
  explicit PlainProductStep(const ProductProblem& problem) : problem_(problem) {
    product_.m = problem.m;
    product_.n = problem.n;
    product_.k = problem.k;
    product_.a_row = problem.transposed_a ? 1 : problem.k;
    product_.a_column = problem.transposed_a ? problem.m : 1;
    product_.b_row = problem.transposed_b ? 1 : problem.n;
    product_.b_column = problem.transposed_b ? problem.k : 1;
    product_.batch_rank = static_cast<int>(problem.batch_size.size());
    product_.batches = problem.batches();
    std::copy(problem.batch_size.begin(), problem.batch_size.end(), product_.batch_size);
    std::copy(problem.batch_step_a.begin(), problem.batch_step_a.end(), product_.a_batch);
    std::copy(problem.batch_step_b.begin(), problem.batch_step_b.end(), product_.b_batch);
    product_.alpha = problem.alpha;
    product_.function = problem.activation.function;
    product_.parameter_a = problem.activation.a;
    product_.parameter_b = problem.activation.b;
  }
  std::string_view kernel() const override { return kPlainProduct; }
  double flops() const override { return problem_.flops(); }
  void enqueue(const StepLaunch& launch) const override {
    if (problem_.results() == 0) return;
    Product product = product_;
    product.a = launch.in<float>(0);
    product.b = launch.in<float>(1);
    product.bias = problem_.bias ? launch.in<float>(*problem_.bias) : nullptr;
    product.residual = problem_.residual ? launch.in<float>(*problem_.residual) : nullptr;
    product.y = launch.out<float>();
    launch.gpu.launch("product", shape_for_items(problem_.results()), launch.stream, product);
  }

 private:
  ProductProblem problem_;
  Product product_{};
};

std::string refuse_plain(const NodeView& view, const Gpu&) {
  std::string reason;
  return product_problem(view, reason) ? std::string() : reason;
}

std::unique_ptr<Step> build_plain(const NodeView& view, const std::shared_ptr<Gpu>&) {
  std::string reason;
  return std::make_unique<PlainProductStep>(*product_problem(view, reason));
}

}  // namespace

void register_products(KernelTable& table) {
  std::vector<KernelEntry> entries = {{kBitmapProduct, refuse_bitmap_product, build_bitmap_product},
                                      {kCsrProduct, refuse_csr_product, build_csr_product}};
  entries.insert(entries.end(), blas_products().begin(), blas_products().end());
  entries.push_back({kPlainProduct, refuse_plain, build_plain});
  for (const KernelEntry& entry : entries) {
    table.add("MatMul", entry);
    table.add("Gemm", entry);
    table.add("FusedMatMul", entry, kInternalDomain);
  }
}

}  // namespace sparse_run::gpu::cuda
