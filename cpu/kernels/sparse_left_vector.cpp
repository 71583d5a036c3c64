// Products of a sparse constant on the left with single vectors in f32: the weights are read once, inputs gathered.
#include "cpu/kernel_table.hpp"
#include "cpu/kernels/fused_activation.hpp"
#include "cpu/kernels/sparsity_threshold.hpp"
#include "cpu/parallel.hpp"
#include "cpu/sparse/rows.hpp"

namespace sparse_run::cpu {

namespace {

/// Y[matrix][rows][lanes] = W[rows][k] · X[matrix][k][lanes], then residual and activation.
struct LeftProduct {
  std::int64_t matrices = 0, rows = 0, k = 0, lanes = 0;
  bool transposed = false;  ///< the constant is [k][rows]
  int residual = -1;        ///< operand of the result's shape
  Activation activation;
};

std::optional<std::string> describe(const NodeView& view, LeftProduct& product) {
  const Node& node = view.node();
  if (!view.all_f32()) return "operands are not all f32";
  if (view.weight(0) == nullptr) return "the left operand is computed at run time";
  const Shape& weights = view.input_shape(0);
  const Shape& x = view.input_shape(1);
  const Shape& y = view.output_shape(0);
  if (weights.size() != 2 || x.size() < 2) return "operands are not matrices";
  if (node.int_or("transB", 0) != 0 || node.float_or("alpha", 1.0f) != 1.0f) return "transB or alpha";
  if (element_count(y) == 0 || element_count(weights) == 0) return "an operand is empty";
  product.transposed = node.int_or("transA", 0) != 0;
  product.rows = y[y.size() - 2];
  product.lanes = y.back();
  product.k = x[x.size() - 2];
  product.matrices = element_count(y) / (product.rows * product.lanes);
  const auto activation = fused_activation(node);
  if (!activation) return "no kernel for activation " + node.string_or("activation", "");
  product.activation = *activation;
  for (std::size_t i = 2; i < view.input_count(); ++i) {
    if (!view.has_input(i)) continue;
    if (i == 2 && node.op == "Gemm" && node.float_or("beta", 1.0f) != 1.0f) return "beta is not 1";
    if (view.input_shape(i) != y || product.residual >= 0) return "an added operand is not of the result's shape";
    product.residual = static_cast<int>(i);
  }
  const double zeros = view.zeros(0);
  if (zeros < kSparseWorthTrying) {
    return fmt::format("{:.0f}% zeros: not tried below {:.0f}%", 100 * zeros, 100 * kSparseWorthTrying);
  }
  return std::nullopt;
}

const Csr& rows_of(const NodeView& view, const LeftProduct& product) {
  return product.transposed ? view.weight(0)->by_columns() : view.weight(0)->by_rows();
}

/// Tasks are ranges of slices.
class LeftVectorStep final : public Step {
 public:
  LeftVectorStep(const LeftProduct& product, const Csr& weights) : product_(product), weights_(weights) {}

  std::size_t weight_bytes() const override { return weights_.bytes(); }
  bool skips_zeros() const override { return true; }
  double flops() const override {
    return 2.0 * static_cast<double>(weights_.nnz()) * static_cast<double>(product_.matrices);
  }

  void run(const StepArguments& arguments) const override {
    const LeftProduct& p = product_;
    const auto* x = arguments.in<float>(1);
    auto* y = arguments.out<float>(0);
    Epilogue epilogue;
    epilogue.residual = p.residual < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(p.residual));
    epilogue.residual_stride = static_cast<std::size_t>(p.rows);
    epilogue.activation = p.activation;
    parallel_ranges(static_cast<std::int64_t>(weights_.slices()), 32, [&](std::int64_t begin, std::int64_t end) {
      weights_.run(x, static_cast<std::size_t>(p.k), static_cast<std::size_t>(p.matrices), y,
                   static_cast<std::size_t>(p.rows), epilogue, static_cast<std::size_t>(begin),
                   static_cast<std::size_t>(end));
    });
  }

 private:
  LeftProduct product_;
  SparseRows weights_;
};

Verdict check_vector(const NodeView& view, const Environment&) {
  if (view.weight(0) == nullptr) return Verdict::pass_over();
  LeftProduct product;
  auto reason = describe(view, product);
  if (reason) return Verdict::reject(std::move(*reason));
  return product.lanes == 1 ? Verdict::accept() : Verdict::pass_over();
}

std::unique_ptr<Step> build_vector(const NodeView& view, const Environment&) {
  LeftProduct product;
  describe(view, product);
  return std::make_unique<LeftVectorStep>(product, rows_of(view, product));
}

Estimate estimate_vector(const NodeView& view, const Environment& environment) {
  LeftProduct product;
  describe(view, product);
  const auto weights = static_cast<double>(product.k) * static_cast<double>(product.rows);
  const auto matrices = static_cast<double>(product.matrices);
  Workload work;
  work.flops = 2 * weights * matrices;
  work.bytes = 4 * matrices * static_cast<double>(product.k + product.rows);
  work.sparse_bytes = 6 * weights;
  work.efficiency = kSparseRowsEfficiency;
  return estimate_sparse(work, environment);
}

}  // namespace

void register_sparse_left_kernels(KernelTable& table) {
  const KernelEntry vector{"cpu.matmul.sparse_left_vector.f32", check_vector, build_vector, -1, true, estimate_vector};
  table.add("MatMul", vector);
  table.add("Gemm", vector);
  table.add("FusedMatMul", vector, kInternalDomain);
}

}  // namespace sparse_run::cpu
