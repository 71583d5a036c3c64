// Dense matrix products: MatMul, Gemm and FusedMatMul in f32 through oneDNN, cut into slices that TBB runs.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/dense/onednn_matmul.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/kernels/fused_activation.hpp"
#include "cpu/parallel.hpp"
#include "cpu/row/row_kernels.hpp"

namespace sparse_run::cpu {

namespace {

/// The product of a node: batches of C[m][n] = alpha · A · B, then bias, residual and activation.
struct Product {
  OnednnMatmul::Shape shape;
  std::vector<std::int64_t> a_offsets, b_offsets;  ///< per batch, in floats
  float alpha = 1;
  int bias = -1;      ///< operand of [n] values
  int residual = -1;  ///< operand of the result's shape
  Activation activation;

  std::int64_t batches() const { return static_cast<std::int64_t>(a_offsets.size()); }
  double flops() const {
    return 2.0 * static_cast<double>(batches()) * static_cast<double>(shape.m) * static_cast<double>(shape.n) *
           static_cast<double>(shape.k);
  }
};

/// Offsets of each result batch's matrix in an operand whose leading dimensions broadcast.
std::vector<std::int64_t> batch_offsets(const Shape& operand, const Shape& result) {
  const std::size_t rank = result.size() - 2;
  const Shape batch(result.begin(), result.end() - 2);
  std::vector<std::int64_t> step(rank, 0);
  std::int64_t stride = operand[operand.size() - 1] * operand[operand.size() - 2];
  for (std::size_t i = 0; i + 2 < operand.size(); ++i) {  // from the innermost batch dimension outwards
    const std::size_t own = operand.size() - 3 - i;
    if (operand[own] != 1) step[rank - 1 - i] = stride;
    stride *= operand[own];
  }
  std::vector<std::int64_t> offsets;
  std::vector<std::int64_t> index(rank, 0);
  const std::int64_t count = element_count(batch);
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t offset = 0;
    for (std::size_t d = 0; d < rank; ++d) offset += index[d] * step[d];
    offsets.push_back(offset);
    for (std::size_t d = rank; d-- > 0;) {
      if (++index[d] < batch[d]) break;
      index[d] = 0;
    }
  }
  return offsets;
}

/// Is this operand one value per column of the result (or none at all)?
bool is_column_bias(const Shape& shape, std::int64_t n) {
  return !shape.empty() && shape.back() == n &&
         std::all_of(shape.begin(), shape.end() - 1, [](std::int64_t dim) { return dim == 1; });
}

/// Describes the node as a product, or says why it is none that this kernel computes.
std::optional<std::string> describe(const NodeView& view, Product& product) {
  const Node& node = view.node();
  if (!view.all_f32()) return "operands are not all f32";
  Shape a = view.input_shape(0);
  Shape b = view.input_shape(1);
  Shape y = view.output_shape(0);
  if (a.size() < 2 || b.size() < 2) return "an operand is a vector";
  if (element_count(y) == 0 || element_count(a) == 0) return "an operand is empty";
  const bool transpose_a = node.int_or("transA", 0) != 0;
  const bool transpose_b = node.int_or("transB", 0) != 0;
  product.alpha = node.float_or("alpha", 1.0f);
  // Leading dimensions of A over one matrix B are rows of one product.
  if (b.size() == 2 && !transpose_a && a.size() > 2) {
    const std::int64_t rows = element_count(a) / a.back();
    a = {rows, a.back()};
    y = {rows, y.back()};
  }
  const std::int64_t a_width = a.back();
  const std::int64_t b_width = b.back();
  OnednnMatmul::Shape& shape = product.shape;
  shape.m = y[y.size() - 2];
  shape.n = y.back();
  shape.k = transpose_a ? a[a.size() - 2] : a_width;
  shape.a_row = transpose_a ? 1 : a_width;
  shape.a_column = transpose_a ? a_width : 1;
  shape.b_row = transpose_b ? 1 : b_width;
  shape.b_column = transpose_b ? b_width : 1;
  shape.c_row = shape.n;
  product.a_offsets = batch_offsets(a, y);
  product.b_offsets = batch_offsets(b, y);
  const auto activation = fused_activation(node);
  if (!activation) return "no kernel for activation " + node.string_or("activation", "");
  product.activation = *activation;
  if (view.has_input(2)) {
    const Shape& c = view.input_shape(2);
    if (node.op == "Gemm" && node.float_or("beta", 1.0f) != 1.0f) return "beta is not 1";
    if (is_column_bias(c, shape.n)) {
      product.bias = 2;
    } else if (c == view.output_shape(0)) {
      product.residual = 2;
    } else {
      return "the added operand is neither a bias of the columns nor of the result's shape";
    }
  }
  if (view.has_input(3)) {
    if (view.input_shape(3) != view.output_shape(0)) return "the residual broadcasts";
    if (product.residual >= 0) return "two residuals";
    product.residual = 3;
  }
  return std::nullopt;
}

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
    const std::int64_t rows = std::clamp<std::int64_t>(shape.m / 48, 1, std::max<std::int64_t>(1, per_batch / column_count));
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
    const float* residual = product_.residual < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(product_.residual));
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
  auto reason = describe(view, product);
  return reason ? Verdict::reject(std::move(*reason)) : Verdict::accept();
}

std::unique_ptr<Step> build_product(const NodeView& view, const Environment& environment) {
  Product product;
  describe(view, product);
  return std::make_unique<ProductStep>(std::move(product), environment.threads);
}

Estimate estimate_product(const NodeView& view, const Environment& environment) {
  Product product;
  describe(view, product);
  Workload work;
  work.flops = product.flops();
  work.bytes = 4.0 * static_cast<double>(element_count(view.input_shape(0)) + element_count(view.input_shape(1)) +
                                         element_count(view.output_shape(0)));
  return estimate_dense(work, environment);
}

}  // namespace

void register_matmul_kernels(KernelTable& table) {
  register_sparse_matmul_kernels(table);
  const KernelEntry entry{"cpu.matmul.onednn.f32", check_product, build_product, -1, false, estimate_product};
  table.add("MatMul", entry);
  table.add("Gemm", entry);
  table.add("FusedMatMul", entry, kInternalDomain);
}

}  // namespace sparse_run::cpu
