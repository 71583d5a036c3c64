// Products of blocks of aggregated rows through oneDNN, one stage's result being the next one's operand in cache.
#include "cpu/graph_kernels/row_chain.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "cpu/kernels/fused_activation.hpp"
#include "cpu/row/row_kernels.hpp"

namespace sparse_run::cpu {

namespace {

std::optional<Activation> activation_of(const FusedActivation& activation) {
  return activation.kind == FusedActivation::Kind::none ? std::optional(Activation::none())
                                                        : activation_named(activation.name(), activation.parameters());
}

}  // namespace

bool RowChain::runs_activations(const AggregateChain& chain) {
  return std::ranges::all_of(chain.stages,
                             [](const RowStage& stage) { return activation_of(stage.activation).has_value(); });
}

RowChain::RowChain(const AggregateChain& chain, const std::vector<Shape>& shapes, std::int64_t block_rows)
    : nodes_(chain.aggregate.nodes()), block_(std::min(block_rows, chain.aggregate.nodes())) {
  std::int64_t width = chain.aggregate.row_elements();
  widest_ = width;
  for (const RowStage& given : chain.stages) {
    Stage stage;
    stage.stage = given;
    stage.activation = *activation_of(given.activation);
    stage.k = given.rows == RowStage::kPrevious ? width : shapes[static_cast<std::size_t>(given.rows)][1];
    const Shape& weights = shapes[static_cast<std::size_t>(given.weights)];
    stage.n = weights[given.transposed ? 0 : 1];
    OnednnMatmul::Shape shape;
    shape.k = stage.k;
    shape.n = stage.n;
    shape.a_row = stage.k;
    shape.b_row = given.transposed ? 1 : stage.n;
    shape.b_column = given.transposed ? stage.k : 1;
    shape.c_row = stage.n;
    shape.m = block_;
    stage.whole = std::make_unique<OnednnMatmul>(shape);
    shape.m = nodes_ % block_;
    if (shape.m != 0) stage.last = std::make_unique<OnednnMatmul>(shape);
    flops_ += 2.0 * static_cast<double>(stage.k) * static_cast<double>(stage.n);
    width = stage.n;
    widest_ = std::max(widest_, width);
    stages_.push_back(std::move(stage));
  }
}

void RowChain::run(const float* const* operands, std::int64_t first, std::int64_t rows, float* buffers,
                   float* y) const {
  const float* previous = buffers;
  std::size_t next = 1;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = stages_[i];
    const auto chosen = [&](std::int64_t operand, std::int64_t columns) {
      return operand == RowStage::kPrevious ? previous : operands[operand] + first * columns;
    };
    float* const result = i + 1 == stages_.size() ? y + first * stage.n : buffers + next * buffer_floats();
    (rows == block_ ? stage.whole : stage.last)
        ->run(chosen(stage.stage.rows, stage.k), operands[stage.stage.weights], result);
    const float* const bias = stage.stage.bias == RowStage::kNone ? nullptr : operands[stage.stage.bias];
    const float* const residual =
        stage.stage.residual == RowStage::kNone ? nullptr : chosen(stage.stage.residual, stage.n);
    const auto n = static_cast<std::size_t>(stage.n);
    row_kernels().epilogue(stage.activation, bias, residual, n, result, n, static_cast<std::size_t>(rows), n);
    previous = result;
    next = 1 - next;
  }
}

}  // namespace sparse_run::cpu
