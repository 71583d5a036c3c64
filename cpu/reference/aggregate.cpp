// Reference kernel of SparseAggregate: edge after edge, element after element.
#include "graph/ops/aggregate.hpp"

#include <vector>

#include "cpu/reference/elements.hpp"
#include "cpu/reference/families.hpp"

namespace sparse_run::reference {

namespace {

/// The value of an expression whose leaves `leaf(operand)` gives.
template <class Leaf>
double evaluate(const RowExpression& expression, const Leaf& leaf) {
  std::vector<double> stack;
  for (const RowExpression::Step& step : expression.steps) {
    if (step.op == RowExpression::Op::operand) {
      stack.push_back(leaf(static_cast<std::size_t>(step.argument)));
    } else if (step.op == RowExpression::Op::number) {
      stack.push_back(expression.numbers[static_cast<std::size_t>(step.argument)]);
    } else {
      double second = 0;
      if (RowExpression::is_binary(step.op)) {
        second = stack.back();
        stack.pop_back();
      }
      stack.back() = expression.apply(step, stack.back(), second);
    }
  }
  return stack.back();
}

float combine(Aggregate::Reduction reduction, float sum, float message) {
  if (reduction == Aggregate::Reduction::add) return sum + message;
  const bool replaces = reduction == Aggregate::Reduction::max ? message > sum : message < sum;
  return replaces || message != message ? message : sum;
}

void sparse_aggregate(Context& context) {
  const Aggregate aggregate = Aggregate::of(context.node());
  const auto operand_count = context.input_count();
  std::vector<std::vector<std::int64_t>> indices(operand_count);
  for (std::size_t i = 0; i < operand_count; ++i) {
    if (aggregate.roles[i] == Aggregate::index) indices[i] = context.input(i).to_int64();
  }
  for (std::int64_t& target : indices[0]) target = checked_index(target, aggregate.nodes());
  const std::int64_t width = aggregate.row_elements();
  const auto element = [&](std::size_t operand, std::int64_t row, std::int64_t i) -> double {
    const RowSpan span = aggregate.spans[operand];
    const std::int64_t at = row * aggregate.elements(span) + aggregate.position(span, i);
    return context.input(operand).data<float>()[static_cast<std::size_t>(at)];
  };
  Tensor& output = context.output(0);
  const auto y = output.data<float>();
  std::fill(y.begin(), y.end(), aggregate.initial);
  const auto edge_count = static_cast<std::int64_t>(indices[0].size());
  for (std::int64_t e = 0; e < edge_count; ++e) {
    for (std::int64_t i = 0; i < width; ++i) {
      const double message = evaluate(aggregate.message, [&](std::size_t operand) {
        const std::int64_t role = aggregate.roles[operand];
        if (role < 0) return element(operand, role == Aggregate::per_edge ? e : 0, i);
        const std::int64_t row = indices[static_cast<std::size_t>(role)][static_cast<std::size_t>(e)];
        return element(operand, checked_index(row, context.input(operand).dim(0)), i);
      });
      float& sum = y[static_cast<std::size_t>(indices[0][static_cast<std::size_t>(e)] * width + i)];
      sum = combine(aggregate.reduction, sum, static_cast<float>(message));
    }
  }
  if (aggregate.tail.steps.empty()) return;
  for (std::int64_t n = 0; n < aggregate.nodes(); ++n) {
    for (std::int64_t i = 0; i < width; ++i) {
      float& result = y[static_cast<std::size_t>(n * width + i)];
      result = static_cast<float>(evaluate(aggregate.tail, [&](std::size_t operand) {
        if (operand == 0) return static_cast<double>(result);
        return element(operand, aggregate.roles[operand] == Aggregate::per_node ? n : 0, i);
      }));
    }
  }
}

}  // namespace

void register_aggregate(Table& table) { table.add("SparseAggregate", sparse_aggregate, kInternalDomain); }

}  // namespace sparse_run::reference
