// Products of a few rows with a sparse constant on the right in f32: bound by reading the weights, which are read once.
#include <algorithm>

#include "cpu/kernel_table.hpp"
#include "cpu/kernels/sparse_product.hpp"
#include "cpu/kernels/sparsity_threshold.hpp"
#include "cpu/parallel.hpp"
#include "cpu/selection/estimate.hpp"
#include "cpu/sparse/rows.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::int64_t kMostTokens = 11;  // more fill the lanes of vectors

/// Tasks are ranges of features.
class SparseRowsProductStep final : public Step {
 public:
  SparseRowsProductStep(const SparseProduct& product, const Csr& weights, WeightStorage storage, int threads)
      : product_(product),
        weights_(weights, storage),
        tasks_(std::min<std::int64_t>(static_cast<std::int64_t>(weights_.slices()), threads == 1 ? 1 : 4 * threads)) {}

  std::size_t weight_bytes() const override { return weights_.bytes(); }
  bool skips_zeros() const override { return true; }
  double flops() const override {
    return 2.0 * static_cast<double>(weights_.nnz()) * static_cast<double>(product_.tokens);
  }

  void run(const StepArguments& arguments) const override {
    const SparseProduct& p = product_;
    const auto* x = arguments.in<float>(0);
    auto* y = arguments.out<float>(0);
    Epilogue epilogue;
    epilogue.bias = p.bias < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(p.bias));
    epilogue.residual = p.residual < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(p.residual));
    epilogue.residual_stride = static_cast<std::size_t>(p.features);
    epilogue.activation = p.activation;
    const auto slices = static_cast<std::int64_t>(weights_.slices());
    parallel_tasks(tasks_, [&](std::int64_t task) {
      weights_.run(x, static_cast<std::size_t>(p.k), static_cast<std::size_t>(p.tokens), y,
                   static_cast<std::size_t>(p.features), epilogue, static_cast<std::size_t>(task * slices / tasks_),
                   static_cast<std::size_t>((task + 1) * slices / tasks_));
    });
  }

 private:
  SparseProduct product_;
  SparseRows weights_;
  std::int64_t tasks_;
};

Verdict check(const NodeView& view, const Environment&) {
  SparseProduct product;
  if (auto reason = describe_sparse_product(view, product)) return Verdict::reject(std::move(*reason));
  if (product.tokens > kMostTokens) {
    return Verdict::reject(fmt::format("{} rows: each would read the weights again", product.tokens));
  }
  return Verdict::accept();
}

Verdict check_bf16(const NodeView& view, const Environment& environment) {
  return environment.precision == Precision::bf16 ? check(view, environment) : Verdict::pass_over();
}

template <WeightStorage Storage>
std::unique_ptr<Step> build(const NodeView& view, const Environment& environment) {
  SparseProduct product;
  describe_sparse_product(view, product);
  return std::make_unique<SparseRowsProductStep>(product, feature_rows(view, product), Storage, environment.threads);
}

template <WeightStorage Storage>
Estimate estimate(const NodeView& view, const Environment& environment) {
  SparseProduct product;
  describe_sparse_product(view, product);
  const auto weights = static_cast<double>(product.k) * static_cast<double>(product.features);
  const auto tokens = static_cast<double>(product.tokens);
  Workload work;
  work.flops = 2 * weights * tokens;
  work.bytes = 4 * tokens * static_cast<double>(product.k + product.features);
  work.sparse_bytes = (Storage == WeightStorage::f32 ? 6 : 4) * weights;
  work.efficiency = kSparseEfficiency / 4;  // operands are gathered one by one
  return estimate_sparse(work, environment);
}

}  // namespace

void register_sparse_rows_product_kernels(KernelTable& table) {
  const KernelEntry f32{"cpu.matmul.sparse_rows.f32", check, build<WeightStorage::f32>, -1, true,
                        estimate<WeightStorage::f32>};
  const KernelEntry bf16{"cpu.matmul.sparse_rows.bf16", check_bf16, build<WeightStorage::bf16>, -1, true,
                         estimate<WeightStorage::bf16>};
  for (const KernelEntry& entry : {f32, bf16}) {
    table.add("MatMul", entry);
    table.add("Gemm", entry);
    table.add("FusedMatMul", entry, kInternalDomain);
  }
}

}  // namespace sparse_run::cpu
