// Products with constant dense weights whose operands are rounded to bf16: sums, added operands and results are f32.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/dense/bf16_matmul.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/kernels/left_product.hpp"
#include "cpu/kernels/product.hpp"
#include "cpu/parallel.hpp"
#include "cpu/row/row_kernels.hpp"
#include "cpu/selection/estimate.hpp"

namespace sparse_run::cpu {

namespace {

/// Multiples of the f32 peak that matrix products reach: with tiles, and with vectors of pairs.
constexpr double kTileEfficiency = 4, kPairEfficiency = 1.2;
constexpr std::int64_t kRowSlice = 256, kFewestRows = 64;
constexpr std::int64_t kColumnStep = 64;  // columns that oneDNN packs together

double efficiency() { return cpu_features().amx_bf16 ? kTileEfficiency : kPairEfficiency; }

std::optional<std::string> refusal(const Environment& environment) {
  if (environment.precision != Precision::bf16) return "";
  if (!has_bf16_products()) return "no bf16 products with the instruction sets in use";
  return std::nullopt;
}

bool changes(const Activation& activation) {
  return activation.curve != Curve::clamp || !std::isinf(activation.low) || !std::isinf(activation.high);
}

/// Rounds `count` values, each thread a part.
void round_values(const float* x, std::uint16_t* y, std::int64_t count) {
  constexpr std::int64_t kPart = 8192;
  parallel_ranges((count + kPart - 1) / kPart, 2, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t first = begin * kPart, last = std::min(end * kPart, count);
    row_kernels().to_bf16(x + first, y + first, static_cast<std::size_t>(last - first));
  });
}

/// Rows times packed weights. Tasks are slices of rows where there are many, or else of columns: these leave results in
/// scratch first, because oneDNN takes tiles only for results whose rows lie one after the other.
class Bf16ProductStep final : public Step {
 public:
  Bf16ProductStep(Product product, const Tensor& weights, int threads) : product_(std::move(product)) {
    const OnednnMatmul::Shape& shape = product_.shape;
    if (shape.m >= kFewestRows * threads || shape.n < 2 * kColumnStep || threads == 1) {
      column_slice_ = shape.n;
      row_slice_ = std::min(shape.m, std::min(kRowSlice, ((shape.m + threads - 1) / threads + 15) / 16 * 16));
    } else {
      const std::int64_t slices = std::clamp<std::int64_t>(shape.n / kColumnStep, 1, threads);
      column_slice_ = ((shape.n + slices - 1) / slices + kColumnStep - 1) / kColumnStep * kColumnStep;
      row_slice_ = shape.m;
    }
    for (std::int64_t column = 0; column < shape.n; column += column_slice_) {
      ColumnSlice slice;
      Bf16Matmul::Shape part{row_slice_, std::min(column_slice_, shape.n - column), shape.k, shape.k, 0, 0};
      part.c_row = part.n;
      slice.whole = std::make_unique<Bf16Matmul>(part);
      part.m = shape.m % row_slice_;
      if (part.m != 0) slice.short_rows = std::make_unique<Bf16Matmul>(part, slice.whole.get());
      slice.weights =
          slice.whole->pack(weights.data<float>().data() + column * shape.b_column, shape.b_row, shape.b_column);
      slices_.push_back(std::move(slice));
    }
  }

  double flops() const override { return product_.flops(); }
  std::size_t weight_bytes() const override {
    std::size_t bytes = 0;
    for (const ColumnSlice& slice : slices_) bytes += slice.weights.size();
    return bytes;
  }
  std::size_t scratch_bytes() const override {
    return operand_bytes() + (column_slice_ < product_.shape.n
                                  ? static_cast<std::size_t>(product_.shape.m * product_.shape.n) * sizeof(float)
                                  : 0);
  }

  void run(const StepArguments& arguments) const override {
    const OnednnMatmul::Shape& shape = product_.shape;
    auto* const a = reinterpret_cast<std::uint16_t*>(arguments.scratch);
    auto* const y = arguments.out<float>(0);
    const float* bias = product_.bias < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(product_.bias));
    const float* residual =
        product_.residual < 0 ? nullptr : arguments.in<float>(static_cast<std::size_t>(product_.residual));
    round_values(arguments.in<float>(0), a, shape.m * shape.k);
    const RowKernels& rows = row_kernels();
    const auto columns = static_cast<std::int64_t>(slices_.size());
    parallel_tasks((shape.m + row_slice_ - 1) / row_slice_ * columns, [&](std::int64_t task) {
      const ColumnSlice& slice = slices_[static_cast<std::size_t>(task % columns)];
      const std::int64_t row = task / columns * row_slice_, column = task % columns * column_slice_;
      const std::int64_t m = std::min(row_slice_, shape.m - row), n = std::min(column_slice_, shape.n - column);
      const std::int64_t at = row * shape.n + column;
      float* const result =
          n == shape.n ? y + at
                       : reinterpret_cast<float*>(arguments.scratch + operand_bytes()) + column * shape.m + row * n;
      (m == row_slice_ ? slice.whole : slice.short_rows)->run(a + row * shape.k, slice.weights.data(), result);
      if (n != shape.n) {
        for (std::int64_t r = 0; r < m; ++r) std::copy_n(result + r * n, n, y + at + r * shape.n);
      }
      const auto width = static_cast<std::size_t>(shape.n), un = static_cast<std::size_t>(n);
      if (product_.alpha != 1.0f) {
        for (std::int64_t r = 0; r < m; ++r) {
          float* line = y + at + r * shape.n;
          rows.binary(Binary::mul, line, 1, &product_.alpha, 0, line, un);
        }
      }
      if (bias != nullptr || residual != nullptr || changes(product_.activation)) {
        rows.epilogue(product_.activation, bias == nullptr ? nullptr : bias + column,
                      residual == nullptr ? nullptr : residual + at, width, y + at, width, static_cast<std::size_t>(m),
                      un);
      }
    });
  }

 private:
  std::size_t operand_bytes() const {
    return (static_cast<std::size_t>(product_.shape.m * product_.shape.k) * sizeof(std::uint16_t) + 63) / 64 * 64;
  }

  struct ColumnSlice {
    std::unique_ptr<Bf16Matmul> whole, short_rows;
    AlignedVector<std::byte> weights;
  };

  Product product_;
  std::int64_t row_slice_ = 0, column_slice_ = 0;
  std::vector<ColumnSlice> slices_;
};

Verdict check_product(const NodeView& view, const Environment& environment) {
  if (auto reason = refusal(environment)) return Verdict::reject(std::move(*reason));
  Product product;
  if (auto reason = describe_product(view, product)) return Verdict::reject(std::move(*reason));
  if (view.constant(1) == nullptr) return Verdict::reject("the weights are computed at run time, or sparse");
  if (product.batches() != 1) return Verdict::reject("several matrices");
  if (product.shape.a_column != 1) return Verdict::reject("the rows are transposed");
  if (product.shape.k == 0) return Verdict::reject("an operand is empty");
  return Verdict::accept();
}

std::unique_ptr<Step> build_product(const NodeView& view, const Environment& environment) {
  Product product;
  describe_product(view, product);
  return std::make_unique<Bf16ProductStep>(std::move(product), *view.constant(1), environment.threads);
}

Estimate estimate_product(const NodeView& view, const Environment& environment) {
  Product product;
  describe_product(view, product);
  Workload work;
  work.flops = product.flops();
  work.bytes = 6.0 * static_cast<double>(element_count(view.input_shape(0))) +
               2.0 * static_cast<double>(element_count(view.input_shape(1))) +
               4.0 * static_cast<double>(element_count(view.output_shape(0)));
  work.efficiency = efficiency();
  return estimate_dense(work, environment);
}

/// Weights times lanes. Tasks are ranges of rows.
class Bf16LeftProductStep final : public Step {
 public:
  Bf16LeftProductStep(const LeftProduct& product, const Tensor& weights, int threads)
      : product_(product), weights_(static_cast<std::size_t>(product.rows * product.k)) {
    const auto values = weights.data<float>();
    if (product.transposed) {
      std::vector<float> row(static_cast<std::size_t>(product.k));
      for (std::int64_t r = 0; r < product.rows; ++r) {
        for (std::int64_t k = 0; k < product.k; ++k) {
          row[static_cast<std::size_t>(k)] = values[static_cast<std::size_t>(k * product.rows + r)];
        }
        row_kernels().to_bf16(row.data(), weights_.data() + r * product.k, row.size());
      }
    } else {
      row_kernels().to_bf16(values.data(), weights_.data(), weights_.size());
    }
    const std::int64_t slices = std::clamp<std::int64_t>(product.rows / 32, 1, threads);
    row_slice_ = (product.rows + slices - 1) / slices;
    whole_ = make(row_slice_);
    if (product.rows % row_slice_ != 0) short_ = make(product.rows % row_slice_);
  }

  double flops() const override {
    return 2.0 * static_cast<double>(product_.rows) * static_cast<double>(product_.k) *
           static_cast<double>(product_.lanes);
  }
  std::size_t weight_bytes() const override { return weights_.size() * sizeof(std::uint16_t); }
  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(product_.k * product_.lanes) * sizeof(std::uint16_t);
  }

  void run(const StepArguments& arguments) const override {
    const LeftProduct& p = product_;
    auto* const x = reinterpret_cast<std::uint16_t*>(arguments.scratch);
    auto* const y = arguments.out<float>(0);
    const float* bias = p.bias ? arguments.in<float>(2) : nullptr;
    const float* residual = p.residual ? arguments.in<float>(3) : nullptr;
    round_values(arguments.in<float>(1), x, p.k * p.lanes);
    const RowKernels& rows = row_kernels();
    const auto lanes = static_cast<std::size_t>(p.lanes);
    parallel_tasks((p.rows + row_slice_ - 1) / row_slice_, [&](std::int64_t task) {
      const std::int64_t first = task * row_slice_, count = std::min(row_slice_, p.rows - first);
      const std::int64_t at = first * p.lanes;
      (count == row_slice_ ? whole_ : short_)->run(weights_.data() + first * p.k, x, y + at);
      if (bias != nullptr) {
        for (std::int64_t r = 0; r < count; ++r) {
          float* line = y + at + r * p.lanes;
          rows.binary(Binary::add, line, 1, bias + first + r, 0, line, lanes);
        }
      }
      if (residual != nullptr || changes(p.activation)) {
        rows.epilogue(p.activation, nullptr, residual == nullptr ? nullptr : residual + at, lanes, y + at, lanes,
                      static_cast<std::size_t>(count), lanes);
      }
    });
  }

 private:
  std::unique_ptr<Bf16Matmul> make(std::int64_t rows) const {
    return std::make_unique<Bf16Matmul>(
        Bf16Matmul::Shape{rows, product_.lanes, product_.k, product_.k, product_.lanes, product_.lanes});
  }

  LeftProduct product_;
  AlignedVector<std::uint16_t> weights_;  ///< [rows][k]
  std::int64_t row_slice_ = 0;
  std::unique_ptr<Bf16Matmul> whole_, short_;
};

Verdict check_left(const NodeView& view, const Environment& environment) {
  if (auto reason = refusal(environment)) return Verdict::reject(std::move(*reason));
  LeftProduct product;
  if (auto reason = describe_left_product(view, product)) return Verdict::reject(std::move(*reason));
  if (view.constant(0) == nullptr) return Verdict::reject("the weights are sparse");
  return Verdict::accept();
}

std::unique_ptr<Step> build_left(const NodeView& view, const Environment& environment) {
  LeftProduct product;
  describe_left_product(view, product);
  return std::make_unique<Bf16LeftProductStep>(product, *view.constant(0), environment.threads);
}

Estimate estimate_left(const NodeView& view, const Environment& environment) {
  LeftProduct product;
  describe_left_product(view, product);
  const auto rows = static_cast<double>(product.rows), k = static_cast<double>(product.k),
             lanes = static_cast<double>(product.lanes);
  Workload work;
  work.flops = 2 * rows * k * lanes;
  work.bytes = 2 * rows * k + 6 * k * lanes + 4 * rows * lanes;
  work.efficiency = efficiency();
  return estimate_dense(work, environment);
}

}  // namespace

void register_bf16_product_kernels(KernelTable& table) {
  const KernelEntry rows{"cpu.matmul.onednn.bf16", check_product, build_product, -1, false, estimate_product};
  const KernelEntry lanes{"cpu.matmul.lanes.bf16", check_left, build_left, -1, false, estimate_left};
  table.add("MatMul", rows);
  table.add("Gemm", rows);
  table.add("FusedMatMul", rows, kInternalDomain);
  table.add("MatMul", lanes);
  table.add("FusedMatMul", lanes, kInternalDomain);
}

}  // namespace sparse_run::cpu
