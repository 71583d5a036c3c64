// Products of a few rows with a constant of pattern N:M on the right: places within groups take the place of columns.
#include <algorithm>

#include "cpu/kernel_table.hpp"
#include "cpu/kernels/sparse_product.hpp"
#include "cpu/parallel.hpp"
#include "cpu/selection/estimate.hpp"
#include "cpu/selection/group_pattern.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::int64_t kMostTokens = 32;   // more fill the lanes of vectors
constexpr double kGroupEfficiency = 0.25;  // of the FMA peak: a permutation for every multiply-add

/// Tasks are ranges of features.
class GroupProductStep final : public Step {
 public:
  GroupProductStep(const SparseProduct& product, const Csr& weights, GroupPattern pattern, WeightStorage storage,
                   int threads)
      : product_(product),
        weights_(weights, pattern, storage),
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
    const auto features = static_cast<std::size_t>(p.features);
    Epilogue epilogue;
    epilogue.bias = p.bias < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(p.bias));
    epilogue.residual = p.residual < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(p.residual));
    epilogue.residual_stride = features;
    epilogue.activation = p.activation;
    const auto slices = static_cast<std::int64_t>(weights_.slices());
    parallel_tasks(tasks_, [&](std::int64_t task) {
      weights_.run(x, static_cast<std::size_t>(p.k), static_cast<std::size_t>(p.tokens), y, features, epilogue,
                   static_cast<std::size_t>(task * slices / tasks_),
                   static_cast<std::size_t>((task + 1) * slices / tasks_));
    });
  }

 private:
  SparseProduct product_;
  SparseGroups weights_;
  std::int64_t tasks_;
};

Verdict check(const NodeView& view, const Environment&) {
  SparseProduct product;
  if (auto reason = describe_sparse_product(view, product)) return Verdict::reject(std::move(*reason));
  if (product.tokens > kMostTokens || !group_pattern(*view.weight(1), product.transposed)) return Verdict::pass_over();
  return Verdict::accept();
}

template <WeightStorage Storage>
std::unique_ptr<Step> build(const NodeView& view, const Environment& environment) {
  SparseProduct product;
  describe_sparse_product(view, product);
  return std::make_unique<GroupProductStep>(product, feature_rows(view, product),
                                            *group_pattern(*view.weight(1), product.transposed), Storage,
                                            environment.threads);
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
  work.sparse_bytes = (Storage == WeightStorage::f32 ? 4.25 : 2.25) * weights;
  work.efficiency = kGroupEfficiency;
  return estimate_sparse(work, environment);
}

Verdict check_bf16(const NodeView& view, const Environment& environment) {
  return environment.precision == Precision::bf16 ? check(view, environment) : Verdict::pass_over();
}

}  // namespace

void register_group_product_kernels(KernelTable& table) {
  const KernelEntry f32{"cpu.matmul.n_of_m.f32",     check, build<WeightStorage::f32>, -1, true,
                        estimate<WeightStorage::f32>};
  const KernelEntry bf16{"cpu.matmul.n_of_m.bf16",     check_bf16, build<WeightStorage::bf16>, -1, true,
                         estimate<WeightStorage::bf16>};
  for (const KernelEntry& entry : {f32, bf16}) {
    table.add("MatMul", entry);
    table.add("Gemm", entry);
    table.add("FusedMatMul", entry, kInternalDomain);
  }
}

}  // namespace sparse_run::cpu
