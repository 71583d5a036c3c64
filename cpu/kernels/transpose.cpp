// Transpose where it exchanges two runs of neighbouring dimensions, in f32: squares go through vector registers.
#include "cpu/kernels/transpose.hpp"

#include <algorithm>
#include <vector>

#include "cpu/column/transpose.hpp"
#include "cpu/parallel.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::int64_t kBlock = 64;
constexpr std::int64_t kBlocksOfTask = 4;

/// Y[matrix][columns][rows] = X[matrix][rows][columns].
struct Matrices {
  std::int64_t count = 1, rows = 1, columns = 1;
};

/// Leading dimensions stay, and the others are rotated: NCHW to NHWC, or the last two exchanged.
std::optional<Matrices> matrices_of(const NodeView& view) {
  const Shape& shape = view.input_shape(0);
  std::vector<std::int64_t> order = view.node().ints_or("perm");
  if (order.empty()) {
    for (std::size_t i = shape.size(); i-- > 0;) order.push_back(static_cast<std::int64_t>(i));
  }
  std::size_t same = 0;
  while (same < order.size() && order[same] == static_cast<std::int64_t>(same)) ++same;
  if (same == order.size()) return std::nullopt;
  const auto first = static_cast<std::size_t>(order[same]);  // of the columns
  const std::size_t rotated = order.size() - same;
  for (std::size_t i = 0; i < rotated; ++i) {
    if (order[same + i] != static_cast<std::int64_t>(same + (first - same + i) % rotated)) return std::nullopt;
  }
  Matrices matrices;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    (d < same ? matrices.count : d < first ? matrices.rows : matrices.columns) *= shape[d];
  }
  return matrices;
}

/// Tasks are runs of blocks.
class TransposeStep final : public Step {
 public:
  explicit TransposeStep(const Matrices& matrices) : matrices_(matrices) {}

  void run(const StepArguments& arguments) const override {
    const auto [count, rows, columns] = matrices_;
    const auto* x = arguments.in<float>(0);
    auto* y = arguments.out<float>(0);
    const std::int64_t high = (rows + kBlock - 1) / kBlock, wide = (columns + kBlock - 1) / kBlock;
    const Isa isa = active_isa();
    parallel_ranges(count * high * wide, kBlocksOfTask, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) {
        const std::int64_t matrix = block / (high * wide), row = block / wide % high * kBlock,
                           column = block % wide * kBlock;
        run_transpose(x + (matrix * rows + row) * columns + column, static_cast<std::size_t>(columns),
                      static_cast<std::size_t>(std::min(kBlock, rows - row)),
                      static_cast<std::size_t>(std::min(kBlock, columns - column)),
                      y + (matrix * columns + column) * rows + row, static_cast<std::size_t>(rows), isa);
      }
    });
  }

 private:
  Matrices matrices_;
};

Verdict check(const NodeView& view, const Environment&) {
  if (!view.all_f32() || element_count(view.input_shape(0)) == 0) return Verdict::pass_over();
  const auto matrices = matrices_of(view);
  // Of very narrow matrices whole runs are copied elsewhere.
  return matrices && matrices->rows >= 4 && matrices->columns >= 4 ? Verdict::accept() : Verdict::pass_over();
}

std::unique_ptr<Step> build(const NodeView& view, const Environment&) {
  return std::make_unique<TransposeStep>(*matrices_of(view));
}

}  // namespace

void register_transpose_kernels(KernelTable& table) {
  table.add("Transpose", {"cpu.transpose.registers.f32", check, build});
}

}  // namespace sparse_run::cpu
