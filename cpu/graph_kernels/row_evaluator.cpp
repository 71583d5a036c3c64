// Blockwise evaluation of row expressions with a stack of slots.
#include "cpu/graph_kernels/row_evaluator.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "cpu/graph_kernels/aggregate_kernels.hpp"
#include "cpu/row/row_kernels.hpp"

namespace sparse_run::cpu {

namespace {

using Op = RowExpression::Op;

Activation activation_of(const RowExpression& expression, const RowExpression::Step& step) {
  const auto number = [&](std::int64_t offset) {
    return expression.numbers[static_cast<std::size_t>(step.argument + offset)];
  };
  switch (step.op) {
    case Op::relu:
      return Activation::relu();
    case Op::leaky_relu:
      return Activation::leaky_relu(number(0));
    case Op::clip:
      return Activation::clip(number(0), number(1));
    case Op::hard_swish:
      return Activation::of(Curve::hard_swish);
    case Op::sigmoid:
      return Activation::of(Curve::sigmoid);
    case Op::silu:
      return Activation::of(Curve::silu);
    case Op::gelu:
      return Activation::of(Curve::gelu);
    case Op::tanh:
      return Activation::of(Curve::tanh);
    default:
      return Activation::none();
  }
}

Binary binary_of(Op op) {
  switch (op) {
    case Op::sub:
      return Binary::sub;
    case Op::mul:
      return Binary::mul;
    case Op::div:
      return Binary::div;
    case Op::max:
      return Binary::max;
    case Op::min:
      return Binary::min;
    default:
      return Binary::add;
  }
}

/// A value on the stack while an expression is compiled.
struct Held {
  RowSpan span = 0;
  bool fixed = false;        ///< the same in all rows
  std::ptrdiff_t slot = -1;  ///< -1: it lies where the operand lies
};

/// One loop of a binary operation: its size and how far each operand moves with it.
struct Loop {
  std::size_t size, a, b;
};

}  // namespace

RowEvaluator::RowEvaluator(const RowExpression& expression, const Aggregate& aggregate, RowSpan first_span)
    : numbers_(expression.numbers),
      heads_(static_cast<std::size_t>(aggregate.heads)),
      width_(static_cast<std::size_t>(aggregate.width)) {
  std::vector<Held> stack;
  std::vector<std::size_t> free;
  const auto take_slot = [&] {
    if (free.empty()) free.push_back(slots_++);
    const std::size_t slot = free.back();
    free.pop_back();
    return slot;
  };
  for (const RowExpression::Step& step : expression.steps) {
    Compiled compiled{step, activation_of(expression, step)};
    Held held;
    if (RowExpression::is_leaf(step.op)) {
      const bool number = step.op == Op::number;
      const auto at = static_cast<std::size_t>(step.argument);
      const std::int64_t role = number ? std::int64_t{Aggregate::fixed} : aggregate.roles[at];
      held.span = number ? 0 : step.argument == 0 ? first_span : aggregate.spans[at];
      held.fixed = role == Aggregate::fixed;
      const bool gathers = role >= 0 || role == Aggregate::per_edge;  // edges come in the order of their targets
      held.slot = gathers ? static_cast<std::ptrdiff_t>(take_slot()) : -1;
    } else {
      const std::size_t operands = RowExpression::is_binary(step.op) ? 2 : 1;
      const std::span<const Held> read = std::span(stack).last(operands);
      for (const Held& operand : read) {
        held.span |= operand.span;
        held.fixed = &operand == read.data() ? operand.fixed : held.fixed && operand.fixed;
      }
      // in the place of an operand that is read at the very positions that are written; otherwise in a free place
      for (const Held& operand : read) {
        if (held.slot < 0 && operand.slot >= 0 && operand.span == held.span && operand.fixed == held.fixed) {
          held.slot = operand.slot;
        }
      }
      if (held.slot < 0) held.slot = static_cast<std::ptrdiff_t>(take_slot());
      for (const Held& operand : read) {
        if (operand.slot >= 0 && operand.slot != held.slot) free.push_back(static_cast<std::size_t>(operand.slot));
      }
      stack.resize(stack.size() - operands);
    }
    compiled.span = held.span;
    compiled.slot = held.slot < 0 ? 0 : static_cast<std::size_t>(held.slot);
    row_floats_ = std::max(row_floats_, elements(held.span));
    stack.push_back(held);
    steps_.push_back(compiled);
  }
  span_ = stack.empty() ? first_span : stack.back().span;
}

RowBlock RowEvaluator::leaf(const Compiled& compiled, const RowSource* sources, std::size_t rows, float* slot) const {
  if (compiled.step.op == Op::number) {
    return {numbers_.data() + compiled.step.argument, 0, 0};
  }
  const RowSource& source = sources[compiled.step.argument];
  const std::size_t n = elements(compiled.span);
  if (source.rows == nullptr) return {source.data, source.fixed ? 0 : n, compiled.span};
  aggregate_kernels().gather(slot, n, source.data, n, source.rows, rows);
  return {slot, n, compiled.span};
}

void RowEvaluator::unary(const Compiled& compiled, const RowBlock& a, std::size_t rows, float* y) const {
  const std::size_t n = elements(a.span) * (a.step == 0 ? 1 : rows);
  const auto apply = [&](Unary f) { aggregate_kernels().unary(f, a.data, y, n); };
  switch (compiled.step.op) {
    case Op::negate:
      return apply(Unary::negate);
    case Op::absolute:
      return apply(Unary::absolute);
    case Op::exponential:
      return apply(Unary::exponential);
    case Op::root:
      return apply(Unary::root);
    case Op::reciprocal:
      return apply(Unary::reciprocal);
    default:
      return row_kernels().map(compiled.activation, a.data, y, n);
  }
}

void RowEvaluator::binary(Op op, const RowBlock& a, const RowBlock& b, RowSpan span, std::size_t rows, float* y) const {
  const auto step_of = [&](RowSpan own, RowSpan part) {
    if ((own & part) == 0) return std::size_t{0};
    return part == kHeads && (own & kWidth) != 0 ? width_ : std::size_t{1};
  };
  // Loops over rows, heads and elements; those that both operands walk as one are merged.
  const std::array<Loop, 3> all = {
      Loop{a.step == 0 && b.step == 0 ? 1 : rows, a.step, b.step},
      Loop{(span & kHeads) != 0 ? heads_ : 1, step_of(a.span, kHeads), step_of(b.span, kHeads)},
      Loop{(span & kWidth) != 0 ? width_ : 1, step_of(a.span, kWidth), step_of(b.span, kWidth)}};
  std::array<Loop, 3> loops = {Loop{1, 0, 0}, Loop{1, 0, 0}, Loop{1, 1, 1}};
  std::size_t used = 3;
  for (std::size_t i = 3; i-- > 0;) {
    if (all[i].size == 1) continue;
    Loop* const inner = used < 3 ? &loops[used] : nullptr;
    if (inner != nullptr && all[i].a == inner->a * inner->size && all[i].b == inner->b * inner->size) {
      inner->size *= all[i].size;
    } else {
      loops[--used] = all[i];
    }
  }
  const auto& kernels = row_kernels();
  const Binary kind = binary_of(op);
  for (std::size_t i = 0; i < loops[0].size; ++i) {
    for (std::size_t j = 0; j < loops[1].size; ++j) {
      kernels.binary(kind, a.data + i * loops[0].a + j * loops[1].a, static_cast<int>(loops[2].a),
                     b.data + i * loops[0].b + j * loops[1].b, static_cast<int>(loops[2].b), y, loops[2].size);
      y += loops[2].size;
    }
  }
}

RowBlock RowEvaluator::run(const RowSource* sources, std::size_t rows, float* workspace, float* target) const {
  std::array<RowBlock, RowExpression::kMaxSteps> stack;
  std::size_t depth = 0;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Compiled& compiled = steps_[i];
    float* slot = workspace + compiled.slot * rows * row_floats_;
    const Op op = compiled.step.op;
    if (RowExpression::is_leaf(op)) {
      stack[depth++] = leaf(compiled, sources, rows, slot);
      continue;
    }
    const RowBlock a = stack[depth - (RowExpression::is_binary(op) ? 2 : 1)];
    RowBlock result{slot, elements(compiled.span), compiled.span};
    if (RowExpression::is_binary(op)) {
      const RowBlock b = stack[--depth];
      if (a.step == 0 && b.step == 0) {
        result.step = 0;
      } else if (i + 1 == steps_.size() && target != nullptr) {
        slot = target;
        result.data = target;
      }
      binary(op, a, b, compiled.span, rows, slot);
    } else {
      if (a.step == 0) {
        result.step = 0;
      } else if (i + 1 == steps_.size() && target != nullptr) {
        slot = target;
        result.data = target;
      }
      unary(compiled, a, rows, slot);
    }
    stack[depth - 1] = result;
  }
  return stack[0];
}

void expand_rows(const RowBlock& block, std::size_t heads, std::size_t width, std::size_t rows, float* y) {
  const std::size_t n = heads * width;
  if (block.data == y && block.step == n) return;
  const bool by_head = (block.span & kHeads) != 0;
  const bool by_element = (block.span & kWidth) != 0;
  for (std::size_t row = 0; row < rows; ++row, y += n) {
    const float* const x = block.data + row * block.step;
    for (std::size_t h = 0; h < heads; ++h) {
      const float* const part = x + (by_head ? h * (by_element ? width : 1) : 0);
      if (by_element) {
        std::memcpy(y + h * width, part, width * sizeof(float));
      } else {
        std::fill_n(y + h * width, width, part[0]);
      }
    }
  }
}

}  // namespace sparse_run::cpu
