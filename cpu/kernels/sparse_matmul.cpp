// Products with a sparse constant on the right in f32: tokens become lanes, features become rows of the sparse kernel.
#include <algorithm>
#include <vector>

#include "cpu/column/kernels.hpp"
#include "cpu/column/transpose.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/kernels/sparse_product.hpp"
#include "cpu/kernels/sparsity_threshold.hpp"
#include "cpu/kernels/weight_blocks.hpp"
#include "cpu/parallel.hpp"
#include "cpu/row/row_kernels.hpp"
#include "cpu/sparse/blocks.hpp"
#include "cpu/sparse/columns.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::int64_t kFewestTokens = 3;  // fewer leave most lanes of a vector empty

/// "4x128": vectors of a block, rows of a panel.
std::string variant_name(const SparseVariant& variant) { return fmt::format("{}x{}", variant.vectors, variant.k_tile); }

std::vector<SparseVariant> sparse_variants(const NodeView& view, const SparseProduct& product) {
  return SparseColumns::candidates(view.zeros(1), static_cast<std::size_t>(product.k), 1,
                                   static_cast<std::size_t>(product.tokens));
}

/// The operand is transposed once into [k][tokens]; tasks are (feature slice, token slice), each leaving its block in
/// a transposed corner of scratch and then, with residual and activation, in the result. `Weights` is SparseColumns or
/// SparseBlocks, `make(rows)` one of them; `step` the lanes it takes at once.
template <class Weights>
class SparseProductStep final : public Step {
 public:
  template <class Make>
  SparseProductStep(const SparseProduct& product, const Csr& weights, std::int64_t step, int threads, const Make& make)
      : product_(product), nnz_(weights.nnz()) {
    const std::int64_t wanted = threads == 1 ? 1 : 4 * threads;
    const std::int64_t token_blocks = (product.tokens + step - 1) / step;
    const std::int64_t token_slices = std::min(wanted, token_blocks);
    token_slice_ = (token_blocks + token_slices - 1) / token_slices * step;
    token_slices_ = (product.tokens + token_slice_ - 1) / token_slice_;
    const std::int64_t feature_slices = std::clamp<std::int64_t>((wanted + token_slices_ - 1) / token_slices_, 1,
                                                                 std::max<std::int64_t>(1, product.features / 32));
    feature_slice_ = ((product.features + feature_slices - 1) / feature_slices + 15) / 16 * 16;
    for (std::int64_t row = 0; row < product.features; row += feature_slice_) {
      slices_.push_back(make(weights.slice_rows(
          static_cast<std::size_t>(row), static_cast<std::size_t>(std::min(row + feature_slice_, product.features)))));
    }
    pitch_ = (product.tokens + 15) / 16 * 16;
    if (pitch_ % 256 == 0) pitch_ += 16;  // keep rows of the operand out of the same cache sets
  }

  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>((product_.k + product_.features) * pitch_) * sizeof(float);
  }
  std::size_t weight_bytes() const override {
    std::size_t bytes = 0;
    for (const Weights& slice : slices_) bytes += slice.bytes();
    return bytes;
  }
  bool skips_zeros() const override { return true; }
  double flops() const override { return 2.0 * static_cast<double>(nnz_) * static_cast<double>(product_.tokens); }

  void run(const StepArguments& arguments) const override {
    const SparseProduct& p = product_;
    const auto* x = arguments.in<float>(0);
    auto* y = arguments.out<float>(0);
    const float* bias = p.bias < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(p.bias));
    const float* residual = p.residual < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(p.residual));
    auto* const operand = reinterpret_cast<float*>(arguments.scratch);
    float* const result = operand + p.k * pitch_;
    const Isa isa = active_isa();
    const auto width = static_cast<std::size_t>(p.k);
    const auto features = static_cast<std::size_t>(p.features);
    const auto pitch = static_cast<std::size_t>(pitch_);
    const std::int64_t strips = (p.k + 63) / 64;
    parallel_ranges(strips, std::max<std::int64_t>(1, 256 / std::max<std::int64_t>(1, p.tokens)),
                    [&](std::int64_t begin, std::int64_t end) {
                      const std::int64_t first = begin * 64;
                      const std::int64_t last = std::min(end * 64, p.k);
                      run_transpose(x + first, width, static_cast<std::size_t>(p.tokens),
                                    static_cast<std::size_t>(last - first), operand + first * pitch_, pitch, isa);
                    });
    parallel_tasks(static_cast<std::int64_t>(slices_.size()) * token_slices_, [&](std::int64_t task) {
      const std::int64_t slice = task / token_slices_;
      const std::int64_t token = task % token_slices_ * token_slice_;
      const std::int64_t token_end = std::min(token + token_slice_, p.tokens);
      const std::int64_t feature = slice * feature_slice_;
      const std::int64_t count = std::min(feature_slice_, p.features - feature);
      Epilogue epilogue;
      epilogue.bias = bias == nullptr ? nullptr : bias + feature;
      if (residual == nullptr) epilogue.activation = p.activation;
      float* const corner = result + feature * pitch_ + token;
      slices_[static_cast<std::size_t>(slice)].run(ColumnInput::rows(operand, pitch_), static_cast<std::size_t>(token),
                                                   static_cast<std::size_t>(token_end), corner, pitch, epilogue);
      float* const out = y + token * p.features + feature;
      run_transpose(corner, pitch, static_cast<std::size_t>(count), static_cast<std::size_t>(token_end - token), out,
                    features, isa);
      if (residual != nullptr) {
        row_kernels().epilogue(p.activation, nullptr, residual + token * p.features + feature, features, out, features,
                               static_cast<std::size_t>(token_end - token), static_cast<std::size_t>(count));
      }
    });
  }

 private:
  SparseProduct product_;
  std::size_t nnz_;
  std::vector<Weights> slices_;  ///< by features
  std::int64_t feature_slice_ = 0;
  std::int64_t token_slice_ = 0;
  std::int64_t token_slices_ = 0;
  std::int64_t pitch_ = 0;  ///< floats from a row of the transposed matrices to the next
};

Verdict check_sparse(const NodeView& view, const Environment&) {
  SparseProduct product;
  if (auto reason = describe_sparse_product(view, product)) return Verdict::reject(std::move(*reason));
  if (product.tokens < kFewestTokens) {
    return Verdict::reject(fmt::format("{} rows: too few to fill vectors", product.tokens));
  }
  return Verdict::accept();
}

std::vector<std::string> variants_sparse(const NodeView& view, const Environment&) {
  SparseProduct product;
  describe_sparse_product(view, product);
  std::vector<std::string> names;
  for (const SparseVariant& variant : sparse_variants(view, product)) names.push_back(variant_name(variant));
  return names;
}

template <WeightStorage Storage>
std::unique_ptr<Step> build_sparse(const NodeView& view, const Environment& environment) {
  SparseProduct product;
  describe_sparse_product(view, product);
  const auto variants = sparse_variants(view, product);
  const auto named = std::ranges::find(variants, environment.variant, variant_name);
  SparseVariant variant = named == variants.end() ? variants.front() : *named;
  variant.storage = Storage;
  return std::make_unique<SparseProductStep<SparseColumns>>(
      product, feature_rows(view, product), std::int64_t{variant.vectors} * column_kernels(active_isa()).width,
      environment.threads, [&](const Csr& slice) { return SparseColumns(slice, variant); });
}

Verdict check_blocks(const NodeView& view, const Environment& environment) {
  const Verdict general = check_sparse(view, environment);
  if (!general.accepted()) return Verdict::pass_over();
  SparseProduct product;
  describe_sparse_product(view, product);
  if (!neighbours_share_zeros(*view.weight(1), product.transposed)) return Verdict::pass_over();
  return zeros_in_blocks(feature_rows(view, product)) ? Verdict::accept() : Verdict::pass_over();
}

std::unique_ptr<Step> build_blocks(const NodeView& view, const Environment& environment) {
  SparseProduct product;
  describe_sparse_product(view, product);
  const SparseBlockKernels& kernels = sparse_block_kernels(active_isa());
  return std::make_unique<SparseProductStep<SparseBlocks>>(
      product, feature_rows(view, product), std::int64_t{kernels.vectors} * kernels.width, environment.threads,
      [](const Csr& slice) { return SparseBlocks(slice); });
}

Estimate estimate_with(const NodeView& view, const Environment& environment, double efficiency,
                       double weight_bytes = 6) {
  SparseProduct product;
  describe_sparse_product(view, product);
  const auto weights = static_cast<double>(product.k) * static_cast<double>(product.features);
  const auto tokens = static_cast<double>(product.tokens);
  const std::int64_t width = column_kernels(active_isa()).width;
  Workload work;
  work.flops = 2 * weights * static_cast<double>((product.tokens + width - 1) / width * width);  // in whole vectors
  work.bytes = 4 * 3 * tokens * static_cast<double>(product.k + product.features);  // transposed on the way
  work.sparse_bytes = weight_bytes * weights;
  work.efficiency = efficiency;
  return estimate_sparse(work, environment);
}

Estimate estimate_sparse_product(const NodeView& view, const Environment& environment) {
  return estimate_with(view, environment, kSparseEfficiency);
}
Estimate estimate_bf16(const NodeView& view, const Environment& environment) {
  return estimate_with(view, environment, kSparseEfficiency, 4);
}
Verdict check_bf16(const NodeView& view, const Environment& environment) {
  return environment.precision == Precision::bf16 ? check_sparse(view, environment) : Verdict::pass_over();
}
Estimate estimate_blocks(const NodeView& view, const Environment& environment) {
  return estimate_with(view, environment, kSparseBlockEfficiency);
}

}  // namespace

void register_sparse_matmul_kernels(KernelTable& table) {
  const KernelEntry sparse{"cpu.matmul.sparse_column.f32", check_sparse,   build_sparse<WeightStorage::f32>, -1, true,
                           estimate_sparse_product,        variants_sparse};
  table.add("MatMul", sparse);
  table.add("Gemm", sparse);
  table.add("FusedMatMul", sparse, kInternalDomain);
  const KernelEntry bf16{"cpu.matmul.sparse_column.bf16",
                         check_bf16,
                         build_sparse<WeightStorage::bf16>,
                         -1,
                         true,
                         estimate_bf16,
                         variants_sparse};
  table.add("MatMul", bf16);
  table.add("Gemm", bf16);
  table.add("FusedMatMul", bf16, kInternalDomain);
  const KernelEntry blocks{"cpu.matmul.block_column.f32", check_blocks, build_blocks, -1, true, estimate_blocks};
  table.add("MatMul", blocks);
  table.add("Gemm", blocks);
  table.add("FusedMatMul", blocks, kInternalDomain);
  register_sparse_rows_product_kernels(table);
  register_bitmap_product_kernels(table);
  register_group_product_kernels(table);
  register_sparse_left_product_kernels(table);
  register_sparse_left_kernels(table);
}

}  // namespace sparse_run::cpu
