// Reductions of f32 over neighbouring axes: rows where the last axis is among them, else sums of rows.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "cpu/kernel_table.hpp"
#include "cpu/parallel.hpp"
#include "graph/ops/reduce.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::int64_t kGrain = 16384;  // elements; below this a second thread costs more than it saves

enum class Reduction { sum, mean, sum_square, l1, l2, max, min };

std::optional<Reduction> reduction_of(std::string_view op) {
  if (op == "ReduceSum") return Reduction::sum;
  if (op == "ReduceMean") return Reduction::mean;
  if (op == "ReduceSumSquare") return Reduction::sum_square;
  if (op == "ReduceL1") return Reduction::l1;
  if (op == "ReduceL2") return Reduction::l2;
  if (op == "ReduceMax") return Reduction::max;
  if (op == "ReduceMin") return Reduction::min;
  return std::nullopt;
}

/// The operand as [outer][reduced][inner].
struct Extent {
  std::int64_t outer = 1, reduced = 1, inner = 1;
};

/// What one element adds; max and min keep NaN once they have met one.
template <Reduction R>
float combine(float so_far, float x) {
  if constexpr (R == Reduction::sum || R == Reduction::mean) return so_far + x;
  if constexpr (R == Reduction::sum_square || R == Reduction::l2) return so_far + x * x;
  if constexpr (R == Reduction::l1) return so_far + std::abs(x);
  if constexpr (R == Reduction::max) return x > so_far || x != x ? x : so_far;
  if constexpr (R == Reduction::min) return x < so_far || x != x ? x : so_far;
}

/// Joins two partial results.
template <Reduction R>
float join(float a, float b) {
  if constexpr (R == Reduction::max || R == Reduction::min) {
    return combine<R>(a, b);
  } else {
    return a + b;
  }
}

template <Reduction R>
constexpr float neutral() {
  if constexpr (R == Reduction::max) return -std::numeric_limits<float>::infinity();
  if constexpr (R == Reduction::min) return std::numeric_limits<float>::infinity();
  return 0;
}

/// Long sums are made of blocks, so that rounding grows with the blocks' length and number, not with their product.
constexpr std::int64_t kBlock = 256;

template <Reduction R>
float reduce_row(const float* x, std::int64_t n) {
  constexpr int kWays = 8;  // independent chains
  float total = neutral<R>();
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t end = std::min(n, begin + kBlock);
    float ways[kWays];
    std::fill_n(ways, kWays, neutral<R>());
    std::int64_t i = begin;
    for (; i + kWays <= end; i += kWays) {
      for (int k = 0; k < kWays; ++k) ways[k] = combine<R>(ways[k], x[i + k]);
    }
    for (; i < end; ++i) ways[0] = combine<R>(ways[0], x[i]);
    float block = ways[0];
    for (int k = 1; k < kWays; ++k) block = join<R>(block, ways[k]);
    total = join<R>(total, block);
  }
  return total;
}

template <Reduction R>
class ReduceStep final : public Step {
 public:
  explicit ReduceStep(Extent extent) : extent_(extent) {}

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    auto* y = arguments.out<float>(0);
    const auto [outer, reduced, inner] = extent_;
    const std::int64_t slab = reduced * inner;
    if (inner == 1) {
      parallel_ranges(outer, std::max<std::int64_t>(1, kGrain / reduced), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t o = begin; o < end; ++o) y[o] = finish(reduce_row<R>(x + o * slab, reduced));
      });
      return;
    }
    constexpr std::int64_t kWidth = 512;  // results kept in the innermost cache while the rows pass
    const std::int64_t pieces = (inner + kWidth - 1) / kWidth;
    parallel_ranges(outer * pieces, std::max<std::int64_t>(1, kGrain / (reduced * std::min(inner, kWidth))),
                    [&](std::int64_t begin, std::int64_t end) {
                      float block[kWidth];
                      for (std::int64_t task = begin; task < end; ++task) {
                        const std::int64_t from = task % pieces * kWidth;
                        const std::int64_t width = std::min(kWidth, inner - from);
                        const float* in = x + task / pieces * slab + from;
                        float* out = y + task / pieces * inner + from;
                        std::fill_n(out, width, neutral<R>());
                        for (std::int64_t first = 0; first < reduced; first += kBlock) {
                          std::fill_n(block, width, neutral<R>());
                          for (std::int64_t r = first; r < std::min(reduced, first + kBlock); ++r) {
                            for (std::int64_t i = 0; i < width; ++i) block[i] = combine<R>(block[i], in[r * inner + i]);
                          }
                          for (std::int64_t i = 0; i < width; ++i) out[i] = join<R>(out[i], block[i]);
                        }
                        for (std::int64_t i = 0; i < width; ++i) out[i] = finish(out[i]);
                      }
                    });
  }

 private:
  float finish(float value) const {
    if constexpr (R == Reduction::mean) return value / static_cast<float>(extent_.reduced);
    if constexpr (R == Reduction::l2) return std::sqrt(value);
    return value;
  }

  Extent extent_;
};

/// The reduced axes as one range of neighbouring dimensions; nullopt when others lie between them.
std::optional<Extent> extent_of(const NodeView& view) {
  std::optional<std::vector<std::int64_t>> operand;
  if (axes_are_operand(view.node()) && view.has_input(1)) operand = view.constant(1)->to_int64();
  const Shape& shape = view.input_shape(0);
  const auto axes = reduced_axes(view.node(), std::move(operand), shape.size());
  Extent extent;
  int phase = 0;  // before, within, after the reduced dimensions
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 1) continue;
    const bool reduced = std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(d)) != axes.end();
    if (reduced && phase == 2) return std::nullopt;
    if (reduced) phase = 1;
    if (!reduced && phase == 1) phase = 2;
    (phase == 0 ? extent.outer : phase == 1 ? extent.reduced : extent.inner) *= shape[d];
  }
  return extent;
}

Verdict check(const NodeView& view, const Environment&) {
  if (view.input_type(0).dtype != DType::f32) return Verdict::reject("the operand is not f32");
  if (axes_are_operand(view.node()) && view.has_input(1) && view.constant(1) == nullptr) {
    return Verdict::reject("the axes are computed at run time");
  }
  if (element_count(view.input_shape(0)) == 0) return Verdict::reject("the operand is empty");
  if (!extent_of(view)) return Verdict::reject("the reduced axes are not neighbours");
  return Verdict::accept();
}

std::unique_ptr<Step> build(const NodeView& view, const Environment&) {
  const Extent extent = *extent_of(view);
  switch (*reduction_of(view.node().op)) {
    case Reduction::sum:
      return std::make_unique<ReduceStep<Reduction::sum>>(extent);
    case Reduction::mean:
      return std::make_unique<ReduceStep<Reduction::mean>>(extent);
    case Reduction::sum_square:
      return std::make_unique<ReduceStep<Reduction::sum_square>>(extent);
    case Reduction::l1:
      return std::make_unique<ReduceStep<Reduction::l1>>(extent);
    case Reduction::l2:
      return std::make_unique<ReduceStep<Reduction::l2>>(extent);
    case Reduction::max:
      return std::make_unique<ReduceStep<Reduction::max>>(extent);
    case Reduction::min:
      return std::make_unique<ReduceStep<Reduction::min>>(extent);
  }
  throw_error(ErrorKind::internal, "no reduction {}", view.node().op);
}

}  // namespace

void register_reduce_kernels(KernelTable& table) {
  for (const char* op :
       {"ReduceSum", "ReduceMean", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMin"}) {
    table.add(op, {"cpu.reduce.row.f32", check, build});
  }
}

}  // namespace sparse_run::cpu
