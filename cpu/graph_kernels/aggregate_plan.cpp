// Chooses the form in which messages are computed.
#include "cpu/graph_kernels/aggregate_plan.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "cpu/graph_kernels/adjacency.hpp"

namespace sparse_run::cpu {

namespace {

using Op = RowExpression::Op;
using Step = RowExpression::Step;

constexpr std::size_t kBlockFloats = 8192;  // what a block of rows of one value may take of the inner caches

/// The steps of the operand that ends before `end`, as [begin, end).
std::size_t operand_begin(const std::vector<Step>& steps, std::size_t end) {
  std::size_t wanted = 1;
  while (wanted > 0) {
    const Op op = steps[--end].op;
    wanted -= 1;
    if (!RowExpression::is_leaf(op)) wanted += RowExpression::is_binary(op) ? 2 : 1;
  }
  return end;
}

/// A product as one operand of whole rows and the narrower factors beside it.
struct WeightedRows {
  std::size_t operand;
  RowExpression weight;
};

/// Takes a chain of products apart: every factor but one must be narrower than a row, and that one an operand.
std::optional<WeightedRows> weighted_rows(const Aggregate& aggregate) {
  const auto& steps = aggregate.message.steps;
  std::vector<std::pair<std::size_t, std::size_t>> pending = {{0, steps.size()}};
  std::vector<std::pair<std::size_t, std::size_t>> factors;
  while (!pending.empty()) {
    const auto [begin, end] = pending.back();
    pending.pop_back();
    if (steps[end - 1].op != Op::mul) {
      factors.emplace_back(begin, end);
      continue;
    }
    const std::size_t second = operand_begin(steps, end - 1);
    pending.emplace_back(begin, second);
    pending.emplace_back(second, end - 1);
  }
  const auto span_of = [&](std::size_t begin, std::size_t end) {
    RowSpan span = 0;
    for (std::size_t i = begin; i < end; ++i) {
      if (steps[i].op == Op::operand) span |= aggregate.spans[static_cast<std::size_t>(steps[i].argument)];
    }
    return span;
  };
  std::optional<std::size_t> rows;
  RowExpression weight;
  weight.numbers = aggregate.message.numbers;
  for (const auto& [begin, end] : factors) {
    const RowSpan span = span_of(begin, end);
    if ((span & kWidth) != 0 || span == aggregate.full()) {
      if (rows || end - begin != 1 || span != aggregate.full()) return std::nullopt;
      rows = static_cast<std::size_t>(steps[begin].argument);
      continue;
    }
    const bool first = weight.steps.empty();
    weight.steps.insert(weight.steps.end(), steps.begin() + static_cast<std::ptrdiff_t>(begin),
                        steps.begin() + static_cast<std::ptrdiff_t>(end));
    if (!first) weight.push(Op::mul);
  }
  if (!rows || weight.steps.empty()) return std::nullopt;
  if (aggregate.roles[*rows] == Aggregate::fixed) return std::nullopt;
  return WeightedRows{*rows, std::move(weight)};
}

}  // namespace

AggregatePlan::AggregatePlan(Aggregate given) : aggregate(std::move(given)) {
  const auto& steps = aggregate.message.steps;
  const bool adds = aggregate.reduction == Aggregate::Reduction::add;
  reduced = aggregate.full();
  if (steps.size() == 1 && steps[0].op == Op::number && adds) {
    form = MessageForm::number;
    reduced = 0;
  } else if (steps.size() == 1 && steps[0].op == Op::operand &&
             aggregate.roles[static_cast<std::size_t>(steps[0].argument)] != Aggregate::fixed) {
    form = MessageForm::rows;
    operand = static_cast<std::size_t>(steps[0].argument);
    reduced = aggregate.spans[operand];
  } else if (auto product = adds ? weighted_rows(aggregate) : std::nullopt) {
    form = MessageForm::weighted;
    operand = product->operand;
    weight = RowEvaluator(product->weight, aggregate, 0);
  } else {
    message = RowEvaluator(aggregate.message, aggregate, 0);
    reduced = message.span();
  }
  tail = RowEvaluator(aggregate.tail, aggregate, reduced);
  const auto whole = std::max<std::size_t>(1, static_cast<std::size_t>(aggregate.row_elements()));
  const std::size_t evaluated = form == MessageForm::weighted ? elements(weight.span()) : whole;
  edge_block = std::clamp<std::size_t>(kBlockFloats / evaluated, 4, 256);
  row_block = std::clamp<std::size_t>(kBlockFloats / whole, 1, 64);
}

std::size_t AggregatePlan::workspace_floats() const {
  std::size_t evaluated = 0;
  if (form == MessageForm::weighted) evaluated = weight.workspace_floats(edge_block);
  if (form == MessageForm::evaluated) evaluated = message.workspace_floats(edge_block);
  const std::size_t rows = edge_block + kRowsAhead;  // which row each edge of a block belongs to
  const std::size_t finished = tail.workspace_floats(row_block) + row_block * elements(reduced);
  return (evaluated + rows + finished + 15) / 16 * 16;
}

}  // namespace sparse_run::cpu
