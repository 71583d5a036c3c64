// Dense matrix products: MatMul, Gemm and FusedMatMul in f32 through oneDNN, cut into slices that TBB runs.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/kernel_table.hpp"
#include "cpu/kernels/product.hpp"
#include "cpu/parallel.hpp"
#include "cpu/row/row_kernels.hpp"

namespace sparse_run::cpu {

namespace {

/// Tasks are (batch, row slice, column slice). Columns are cut first, so that each thread streams its own weights;
/// rows are cut when columns alone give too few or too uneven tasks.
class ProductStep final : public Step {
 public:
  ProductStep(Product product, int threads) : product_(std::move(product)) {
    const OnednnMatmul::Shape& shape = product_.shape;
    const std::int64_t wanted = threads == 1 ? 1 : 1 * threads;
    const std::int64_t per_batch = std::max<std::int64_t>(1, wanted / product_.batches());
    const std::int64_t columns = std::clamp<std::int64_t>(shape.n / 192, 1, per_batch);
    column_slice_ = (shape.n + columns - 1) / columns;
    if (columns > 1) column_slice_ = (column_slice_ + 15) / 16 * 16;
    const std::int64_t column_count = (shape.n + column_slice_ - 1) / column_slice_;
    const std::int64_t rows =
        std::clamp<std::int64_t>(shape.m / 48, 1, std::max<std::int64_t>(1, per_batch / column_count));
    row_slice_ = (shape.m + rows - 1) / rows;
    for (int tail = 0; tail < 4; ++tail) {
      const std::int64_t m = (tail & 1) != 0 ? shape.m % row_slice_ : std::min(row_slice_, shape.m);
      const std::int64_t n = (tail & 2) != 0 ? shape.n % column_slice_ : std::min(column_slice_, shape.n);
      if (m == 0 || n == 0) {
        slices_.emplace_back();
        continue;
      }
      OnednnMatmul::Shape part = shape;
      part.m = m;
      part.n = n;
      slices_.push_back(std::make_unique<OnednnMatmul>(part));
    }
  }

  double flops() const override { return product_.flops(); }

  void run(const StepArguments& arguments) const override {
    const OnednnMatmul::Shape& shape = product_.shape;
    const auto* a = arguments.in<float>(0);
    const auto* b = arguments.in<float>(1);
    auto* y = arguments.out<float>(0);
    const float* bias = product_.bias < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(product_.bias));
    const float* residual =
        product_.residual < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(product_.residual));
    const std::int64_t row_count = (shape.m + row_slice_ - 1) / row_slice_;
    const std::int64_t column_count = (shape.n + column_slice_ - 1) / column_slice_;
    const RowKernels& rows = row_kernels();
    parallel_tasks(product_.batches() * row_count * column_count, [&](std::int64_t task) {
      const std::int64_t batch = task / (row_count * column_count);
      const std::int64_t row = task / column_count % row_count * row_slice_;
      const std::int64_t column = task % column_count * column_slice_;
      const std::int64_t m = std::min(row_slice_, shape.m - row);
      const std::int64_t n = std::min(column_slice_, shape.n - column);
      const auto which = static_cast<std::size_t>((m == row_slice_ ? 0 : 1) + (n == column_slice_ ? 0 : 2));
      const std::int64_t at = batch * shape.m * shape.n + row * shape.n + column;
      slices_[which]->run(a + product_.a_offsets[static_cast<std::size_t>(batch)] + row * shape.a_row,
                          b + product_.b_offsets[static_cast<std::size_t>(batch)] + column * shape.b_column, y + at);
      const auto um = static_cast<std::size_t>(m);
      const auto un = static_cast<std::size_t>(n);
      const auto width = static_cast<std::size_t>(shape.n);
      if (product_.alpha != 1.0f) {
        for (std::size_t r = 0; r < um; ++r) {
          float* out = y + at + static_cast<std::int64_t>(r * width);
          rows.binary(Binary::mul, out, 1, &product_.alpha, 0, out, un);
        }
      }
      if (bias != nullptr || residual != nullptr || product_.activation.curve != Curve::clamp ||
          !std::isinf(product_.activation.low) || !std::isinf(product_.activation.high)) {
        rows.epilogue(product_.activation, bias == nullptr ? nullptr : bias + column,
                      residual == nullptr ? nullptr : residual + at, width, y + at, width, um, un);
      }
    });
  }

 private:
  Product product_;
  std::int64_t row_slice_ = 0;
  std::int64_t column_slice_ = 0;
  std::vector<std::unique_ptr<OnednnMatmul>> slices_;  ///< whole; short rows; short columns; both
};

Verdict check_product(const NodeView& view, const Environment&) {
  Product product;
  auto reason = describe_product(view, product);
  return reason ? Verdict::reject(std::move(*reason)) : Verdict::accept();
}

std::unique_ptr<Step> build_product(const NodeView& view, const Environment& environment) {
  Product product;
  describe_product(view, product);
  return std::make_unique<ProductStep>(std::move(product), environment.threads);
}

Estimate estimate_product(const NodeView& view, const Environment& environment) {
  Product product;
  describe_product(view, product);
  Workload work;
  work.flops = product.flops();
  work.bytes = 4.0 * static_cast<double>(element_count(view.input_shape(0)) + element_count(view.input_shape(1)) +
                                         element_count(view.output_shape(0)));
  return estimate_dense(work, environment);
}

}  // namespace

void register_matmul_kernels(KernelTable& table) {
  register_sparse_matmul_kernels(table);
  register_blocked_matmul_kernels(table);
  register_bf16_product_kernels(table);
  const KernelEntry entry{"cpu.matmul.onednn.f32", check_product, build_product, -1, false, estimate_product};
  table.add("MatMul", entry);
  table.add("Gemm", entry);
  table.add("FusedMatMul", entry, kInternalDomain);
}

}  // namespace sparse_run::cpu
