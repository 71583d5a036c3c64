// Products of a few rows with a sparse constant on the right in f32, a bit per weight: entries expand in registers, and
// weights of activations that are zero are not read.
#include <algorithm>

#include "cpu/kernel_table.hpp"
#include "cpu/kernels/sparse_product.hpp"
#include "cpu/parallel.hpp"
#include "cpu/selection/estimate.hpp"
#include "cpu/selection/trial.hpp"
#include "cpu/sparse/bitmap.hpp"
#include "graph/onnx/file_pages.hpp"

namespace sparse_run::cpu {

namespace {

/// Below, the bits cost as much as the zeros save, unless zeros of activations are skipped too.
constexpr double kFewestZeros = 0.2;
/// Above, a bit for every element takes more room than a place for every entry.
constexpr double kMostZeros = 0.94;
/// Cycles to expand a vector of entries, and to multiply it by one lane.
constexpr double kExpandCycles = 2, kLaneCycles = 0.6, kClock = 2.8e9;

/// A single row that comes out of a ReLU: about half of it is zero.
bool skips_activations(const NodeView& view, const SparseProduct& product) {
  return product.tokens == 1 && is_rectified(view, 0);
}

/// Tasks are ranges of features.
class BitmapProductStep final : public Step {
 public:
  BitmapProductStep(const SparseProduct& product, SparseBitmap weights, int threads)
      : product_(product),
        weights_(std::move(weights)),
        tasks_(std::min<std::int64_t>(static_cast<std::int64_t>(weights_.blocks()), threads == 1 ? 1 : 4 * threads)) {}

  std::size_t scratch_bytes() const override { return weights_.workspace_bytes(); }
  std::size_t weight_bytes() const override { return weights_.bytes(); }
  bool skips_zeros() const override { return true; }
  double flops() const override {
    return 2.0 * static_cast<double>(weights_.nnz()) * static_cast<double>(product_.tokens);
  }

  void run(const StepArguments& arguments) const override {
    const SparseProduct& p = product_;
    const auto features = static_cast<std::size_t>(p.features);
    const BitmapInput input = weights_.gather(arguments.in<float>(0), static_cast<std::size_t>(p.k), arguments.scratch);
    auto* y = arguments.out<float>(0);
    Epilogue epilogue;
    epilogue.bias = p.bias < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(p.bias));
    epilogue.residual = p.residual < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(p.residual));
    epilogue.residual_stride = features;
    epilogue.activation = p.activation;
    const auto blocks = static_cast<std::int64_t>(weights_.blocks());
    parallel_tasks(tasks_, [&](std::int64_t task) {
      weights_.run(input, y, features, epilogue, static_cast<std::size_t>(task * blocks / tasks_),
                   static_cast<std::size_t>((task + 1) * blocks / tasks_));
    });
  }

 private:
  SparseProduct product_;
  SparseBitmap weights_;
  std::int64_t tasks_;
};

Verdict check(const NodeView& view, const Environment&) {
  SparseProduct product;
  if (auto reason = describe_sparse_product(view, product, 0)) return Verdict::reject(std::move(*reason));
  if (product.tokens > static_cast<std::int64_t>(kBitmapLanes)) return Verdict::pass_over();
  const double zeros = view.zeros(1);
  if (zeros > kMostZeros) {
    return Verdict::reject(
        fmt::format("{:.0f}% zeros: a bit for each is more than a place for each entry", 100 * zeros));
  }
  if (zeros < kFewestZeros && !skips_activations(view, product)) {
    return Verdict::reject(fmt::format("{:.0f}% zeros: not tried below {:.0f}%", 100 * zeros, 100 * kFewestZeros));
  }
  return Verdict::accept();
}

/// Dense constants are read as they lie: where few weights are zero, a sparse matrix would be twice as large as they.
SparseBitmap pack(const NodeView& view, const SparseProduct& product) {
  const auto lanes = static_cast<std::size_t>(product.tokens), k = static_cast<std::size_t>(product.k),
             features = static_cast<std::size_t>(product.features);
  const Tensor* dense = view.constant(1);
  if (dense == nullptr) return SparseBitmap(feature_rows(view, product), lanes);
  const auto values = dense->data<float>();
  SparseBitmap packed({values.data(), features, k, product.transposed ? k : 1, product.transposed ? 1 : features},
                      static_cast<std::size_t>(view.weight(1)->nonzeros()), lanes);
  onnx::discard_file_pages(std::as_bytes(values));
  return packed;
}

std::unique_ptr<Step> build(const NodeView& view, const Environment& environment) {
  SparseProduct product;
  describe_sparse_product(view, product, 0);
  return std::make_unique<BitmapProductStep>(product, pack(view, product), environment.threads);
}

Estimate estimate(const NodeView& view, const Environment& environment) {
  SparseProduct product;
  describe_sparse_product(view, product, 0);
  const auto weights = static_cast<double>(product.k) * static_cast<double>(product.features);
  const auto tokens = static_cast<double>(product.tokens);
  const double active = skips_activations(view, product) ? 0.5 : 1;
  Workload work;
  work.bytes = 4 * tokens * static_cast<double>(product.k + product.features) + 0.14 * weights;
  work.sparse_bytes = 4 * active * weights;
  work.fixed_seconds = active * weights / bitmap_kernels(active_isa()).width * (kExpandCycles + kLaneCycles * tokens) /
                       (kClock * environment.threads);
  return estimate_sparse(work, environment);
}

}  // namespace

void register_bitmap_product_kernels(KernelTable& table) {
  const KernelEntry bitmap{"cpu.matmul.bitmap.f32", check, build, -1, true, estimate};
  table.add("MatMul", bitmap);
  table.add("Gemm", bitmap);
  table.add("FusedMatMul", bitmap, kInternalDomain);
}

}  // namespace sparse_run::cpu
