// Sums and extrema of rows along the edges of a graph.
#pragma once

#include "gpu/cuda/kernels/block.hpp"
#include "gpu/cuda/kernels/scalar_math.hpp"

namespace sparse_run::gpu::cuda {

/// An operand of an aggregation: rows of floats, of which each part of a result's row reads one element.
struct AggregateOperand {
  enum class Rows : int { unused, gathered, per_edge, per_node, fixed };
  const float* data;
  const void* index;  ///< of gathered rows: one number per edge
  bool wide;          ///< the index is i64, not i32
  Index extent;       ///< of gathered rows: how many there are
  Rows rows;
  Index row_elements;
  Index head_step;  ///< steps within a row: one head further, and one element of a head further
  Index width_step;
};

inline constexpr int kMostAggregateOperands = 8;
inline constexpr int kAggregateStack = 34;  ///< an expression of 64 steps has at most 32 leaves

/// A step of a row expression: pushes an operand or a number, or replaces one or two values by a function of them.
struct AggregateCode {
  enum class Kind : int { operand, number, binary, unary };
  Kind kind;
  int which;  ///< operand, or the function
  float a;    ///< the number, or parameters of the function
  float b;
};

/// y[n] = tail(initial reduced with message(e) for the edges e of row n, in ascending order). Edges of row n are
/// order[begins[n]] … order[begins[n + 1] - 1]. One thread per element of the result. An index out of range counts as a
/// row of zeros and sets *fault to 1 + e · kMostAggregateOperands + operand. Without `order`, y holds the reduced rows
/// already.
struct AggregateRows {
  AggregateOperand operands[kMostAggregateOperands];
  const AggregateCode* message;
  int message_steps;
  const AggregateCode* tail;
  int tail_steps;
  const int* begins;
  const int* order;
  float* y;
  Index nodes;
  Index row;      ///< elements of a result's row
  Index width;    ///< of them per head
  int reduction;  ///< 0: sum, 1: maximum, 2: minimum
  float initial;
  unsigned long long* fault;
};

SPARSE_RUN_DEVICE float aggregate_leaf(const AggregateRows& p, int operand, Index edge, Index node, Index element) {
  const AggregateOperand& from = p.operands[operand];
  Index row = 0;
  if (from.rows == AggregateOperand::Rows::per_edge) row = edge;
  if (from.rows == AggregateOperand::Rows::per_node) row = node;
  if (from.rows == AggregateOperand::Rows::gathered) {
    row = from.wide ? static_cast<const Index*>(from.index)[edge] : static_cast<const int*>(from.index)[edge];
    if (row < 0) row += from.extent;
    if (row < 0 || row >= from.extent) {
      *p.fault =
          static_cast<unsigned long long>(edge) * kMostAggregateOperands + static_cast<unsigned long long>(operand) + 1;
      return 0.0f;
    }
  }
  return from.data[row * from.row_elements + element / p.width * from.head_step + element % p.width * from.width_step];
}

SPARSE_RUN_DEVICE float aggregate_value(const AggregateRows& p, const AggregateCode* code, int steps, bool is_tail,
                                        float reduced, Index edge, Index node, Index element) {
  float stack[kAggregateStack];
  int depth = 0;
  for (int i = 0; i < steps; ++i) {
    const AggregateCode one = code[i];
    switch (one.kind) {
      case AggregateCode::Kind::operand:
        stack[depth++] = is_tail && one.which == 0 ? reduced : aggregate_leaf(p, one.which, edge, node, element);
        break;
      case AggregateCode::Kind::number:
        stack[depth++] = one.a;
        break;
      case AggregateCode::Kind::binary:
        --depth;
        stack[depth - 1] = apply(static_cast<Binary>(one.which), stack[depth - 1], stack[depth]);
        break;
      case AggregateCode::Kind::unary:
        stack[depth - 1] = apply(static_cast<Unary>(one.which), stack[depth - 1], one.a, one.b);
        break;
    }
  }
  return stack[0];
}

SPARSE_RUN_DEVICE void aggregate_rows(const AggregateRows& p, const Block& block) {
  block.each_item(p.nodes * p.row, [&](Index i) {
    const Index node = i / p.row;
    const Index element = i % p.row;
    float reduced = p.initial;
    if (p.order == nullptr) {
      reduced = p.y[i];
    } else {
      for (int j = p.begins[node]; j < p.begins[node + 1]; ++j) {
        const float message = aggregate_value(p, p.message, p.message_steps, false, 0.0f, p.order[j], node, element);
        if (p.reduction == 0) {
          reduced += message;
        } else if (message != message || (p.reduction == 1 ? message > reduced : message < reduced)) {
          reduced = message;
        }
      }
    }
    p.y[i] = p.tail_steps == 0 ? reduced : aggregate_value(p, p.tail, p.tail_steps, true, reduced, 0, node, element);
  });
}

/// rows[e] = the row that edge e goes to, order[e] = edges[e] = e. A target out of range becomes row 0 and sets *fault
/// to 1 + e · kMostAggregateOperands.
struct EdgeTargets {
  const void* targets;
  bool wide;
  Index edges;
  Index nodes;
  int* rows;
  int* ids;
  int* order;
  unsigned long long* fault;
};

SPARSE_RUN_DEVICE void edge_targets(const EdgeTargets& p, const Block& block) {
  block.each_item(p.edges, [&](Index e) {
    Index row = p.wide ? static_cast<const Index*>(p.targets)[e] : static_cast<const int*>(p.targets)[e];
    if (row < 0) row += p.nodes;
    if (row < 0 || row >= p.nodes) {
      *p.fault = static_cast<unsigned long long>(e) * kMostAggregateOperands + 1;
      row = 0;
    }
    p.rows[e] = static_cast<int>(row);
    p.ids[e] = static_cast<int>(e);
    p.order[e] = static_cast<int>(e);
  });
}

/// values[j] = weights[order[j] · step]: weights of edges in the order of their rows.
struct EdgeWeights {
  const float* weights;
  Index step;  ///< 0: one weight for all edges
  const int* order;
  float* values;
  Index edges;
};

SPARSE_RUN_DEVICE void edge_weights(const EdgeWeights& p, const Block& block) {
  block.each_item(p.edges, [&](Index j) { p.values[j] = p.weights[p.order[j] * p.step]; });
}

}  // namespace sparse_run::gpu::cuda
