// Products with a sparse constant on the left in f32: the lanes of the right operand are the kernel's lanes.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/column/kernels.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/kernels/left_product.hpp"
#include "cpu/kernels/sparse_split.hpp"
#include "cpu/kernels/sparsity_threshold.hpp"
#include "cpu/kernels/weight_blocks.hpp"
#include "cpu/parallel.hpp"
#include "cpu/sparse/blocks.hpp"
#include "cpu/sparse/columns.hpp"

namespace sparse_run::cpu {

namespace {

std::optional<std::string> describe(const NodeView& view, LeftProduct& product) {
  if (auto reason = describe_left_product(view, product)) return reason;
  const double zeros = view.zeros(0);
  if (zeros < kSparseWorthTrying) {
    return fmt::format("{:.0f}% zeros: not tried below {:.0f}%", 100 * zeros, 100 * kSparseWorthTrying);
  }
  return std::nullopt;
}

/// Tasks are (lane slice, row slice): a thread mostly stays at its lanes from one layer to the next. `Weights` is
/// SparseColumns or SparseBlocks, `make(rows)` one of them.
template <class Weights>
class LeftProductStep final : public Step {
 public:
  template <class Make>
  LeftProductStep(const LeftProduct& product, const Csr& weights, std::int64_t block_vectors, std::int64_t k_tile,
                  int threads, const Make& make)
      : product_(product), nnz_(weights.nnz()) {
    const auto lanes = static_cast<std::size_t>(product.lanes);
    const auto width = static_cast<std::int64_t>(column_kernels(active_isa()).width);
    const std::int64_t vectors = (product.lanes + width - 1) / width;
    const SparseSplit split =
        split_sparse({.rows = product.rows,
                      .vectors = vectors,
                      .block_vectors = block_vectors,
                      .entries = static_cast<double>(weights.nnz()) / static_cast<double>(weights.rows),
                      .collected = static_cast<double>(product.k),
                      .tiles = std::ceil(static_cast<double>(product.k) / static_cast<double>(k_tile)),
                      .residual = product.residual},
                     threads);
    for (std::int64_t i = 0; i < split.lane_slices; ++i) {
      lane_bounds_.push_back(static_cast<std::size_t>(i * vectors / split.lane_slices * width));
    }
    lane_bounds_.push_back(lanes);
    row_bounds_ = weights.balanced_rows(static_cast<std::size_t>(split.row_slices));
    for (std::size_t i = 1; i + 1 < row_bounds_.size(); ++i) row_bounds_[i] -= row_bounds_[i] % row_step<Weights>;
    for (std::size_t i = 0; i + 1 < row_bounds_.size(); ++i) {
      weights_.push_back(make(weights.slice_rows(row_bounds_[i], row_bounds_[i + 1])));
    }
  }

  std::size_t weight_bytes() const override {
    std::size_t bytes = 0;
    for (const Weights& slice : weights_) bytes += slice.bytes();
    return bytes;
  }
  bool skips_zeros() const override { return true; }
  double flops() const override { return 2.0 * static_cast<double>(nnz_) * static_cast<double>(product_.lanes); }

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(1);
    auto* y = arguments.out<float>(0);
    const float* bias = product_.bias ? arguments.in<float>(2) : nullptr;
    const float* residual = product_.residual ? arguments.in<float>(3) : nullptr;
    const auto stride = static_cast<std::size_t>(product_.lanes);
    const auto row_slices = static_cast<std::int64_t>(weights_.size());
    parallel_tasks(row_slices * (static_cast<std::int64_t>(lane_bounds_.size()) - 1), [&](std::int64_t task) {
      const auto slice = static_cast<std::size_t>(task % row_slices),
                 part = static_cast<std::size_t>(task / row_slices);
      const std::size_t row = row_bounds_[slice], at = row * stride + lane_bounds_[part];
      Epilogue epilogue;
      epilogue.bias = bias == nullptr ? nullptr : bias + row;
      epilogue.residual = residual == nullptr ? nullptr : residual + at;
      epilogue.residual_stride = stride;
      epilogue.activation = product_.activation;
      weights_[slice].run(ColumnInput::rows(x, product_.lanes), lane_bounds_[part], lane_bounds_[part + 1], y + at,
                          stride, epilogue);
    });
  }

 private:
  LeftProduct product_;
  std::size_t nnz_;
  std::vector<Weights> weights_;  ///< by rows
  std::vector<std::size_t> row_bounds_, lane_bounds_;
};

Verdict check(const NodeView& view, const Environment&) {
  LeftProduct product;
  auto reason = describe(view, product);
  return reason ? Verdict::reject(std::move(*reason)) : Verdict::accept();
}

/// "4x128": vectors of a block, rows of a panel.
std::string variant_name(const SparseVariant& variant) { return fmt::format("{}x{}", variant.vectors, variant.k_tile); }

std::vector<SparseVariant> sparse_variants(const NodeView& view, const LeftProduct& product) {
  return SparseColumns::candidates(view.zeros(0), static_cast<std::size_t>(product.k), 1,
                                   static_cast<std::size_t>(product.lanes));
}

std::vector<std::string> variants(const NodeView& view, const Environment&) {
  LeftProduct product;
  describe(view, product);
  std::vector<std::string> names;
  for (const SparseVariant& variant : sparse_variants(view, product)) names.push_back(variant_name(variant));
  return names;
}

const Csr& rows_of(const NodeView& view, const LeftProduct& product) {
  return product.transposed ? view.weight(0)->by_columns() : view.weight(0)->by_rows();
}

template <WeightStorage Storage>
std::unique_ptr<Step> build(const NodeView& view, const Environment& environment) {
  LeftProduct product;
  describe(view, product);
  const auto known = sparse_variants(view, product);
  const auto named = std::ranges::find(known, environment.variant, variant_name);
  SparseVariant variant = named == known.end() ? known.front() : *named;
  variant.storage = Storage;
  return std::make_unique<LeftProductStep<SparseColumns>>(
      product, rows_of(view, product), variant.vectors, static_cast<std::int64_t>(variant.k_tile), environment.threads,
      [&](const Csr& slice) { return SparseColumns(slice, variant); });
}

Verdict check_blocks(const NodeView& view, const Environment&) {
  LeftProduct product;
  if (auto reason = describe(view, product)) return Verdict::reject(std::move(*reason));
  if (!neighbours_share_zeros(*view.weight(0), !product.transposed)) return Verdict::pass_over();
  return zeros_in_blocks(rows_of(view, product)) ? Verdict::accept() : Verdict::pass_over();
}

std::unique_ptr<Step> build_blocks(const NodeView& view, const Environment& environment) {
  LeftProduct product;
  describe(view, product);
  const SparseBlockKernels& kernels = sparse_block_kernels(active_isa());
  const std::int64_t k_tile = static_cast<std::int64_t>(kSparseBlockPanelFloats) / (kernels.vectors * kernels.width);
  return std::make_unique<LeftProductStep<SparseBlocks>>(product, rows_of(view, product), kernels.vectors, k_tile,
                                                         environment.threads,
                                                         [](const Csr& slice) { return SparseBlocks(slice); });
}

Estimate estimate_with(const NodeView& view, const Environment& environment, double efficiency,
                       double weight_bytes = 6) {
  LeftProduct product;
  describe(view, product);
  const auto weights = static_cast<double>(product.k) * static_cast<double>(product.rows);
  const auto lanes = static_cast<double>(product.lanes);
  Workload work;
  work.flops = 2 * weights * lanes;
  work.bytes = 4 * lanes * static_cast<double>(product.k + product.rows);
  work.sparse_bytes = weight_bytes * weights;
  work.efficiency = efficiency;
  return estimate_sparse(work, environment);
}

Estimate estimate(const NodeView& view, const Environment& environment) {
  return estimate_with(view, environment, kSparseEfficiency);
}
Estimate estimate_bf16(const NodeView& view, const Environment& environment) {
  return estimate_with(view, environment, kSparseEfficiency, 4);
}
Verdict check_bf16(const NodeView& view, const Environment& environment) {
  return environment.precision == Precision::bf16 ? check(view, environment) : Verdict::pass_over();
}
Estimate estimate_blocks(const NodeView& view, const Environment& environment) {
  return estimate_with(view, environment, kSparseBlockEfficiency);
}

}  // namespace

void register_sparse_left_product_kernels(KernelTable& table) {
  const KernelEntry sparse{
      "cpu.matmul.sparse_lanes.f32", check, build<WeightStorage::f32>, -1, true, estimate, variants};
  table.add("MatMul", sparse);
  table.add("FusedMatMul", sparse, kInternalDomain);
  const KernelEntry bf16{
      "cpu.matmul.sparse_lanes.bf16", check_bf16, build<WeightStorage::bf16>, -1, true, estimate_bf16, variants};
  table.add("MatMul", bf16);
  table.add("FusedMatMul", bf16, kInternalDomain);
  const KernelEntry blocks{"cpu.matmul.block_lanes.f32", check_blocks, build_blocks, -1, true, estimate_blocks};
  table.add("MatMul", blocks);
  table.add("FusedMatMul", blocks, kInternalDomain);
}

}  // namespace sparse_run::cpu
