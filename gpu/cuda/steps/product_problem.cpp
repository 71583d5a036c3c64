// Reading matrix products.
#include "gpu/cuda/steps/product_problem.hpp"

#include <algorithm>

#include "gpu/cuda/steps/kernel_table.hpp"

namespace sparse_run::gpu::cuda {

namespace {

bool is_bias(const Shape& shape, Index n) { return !shape.empty() && shape.back() == n && element_count(shape) == n; }

/// Steps of the batch axes of an operand with matrices of `matrix` elements, right-aligned to `rank` axes.
std::vector<Index> batch_steps(const Shape& batch, std::size_t rank, Index matrix) {
  std::vector<Index> steps(rank, 0);
  Index running = matrix;
  for (std::size_t back = 0; back < batch.size(); ++back) {
    const Index extent = batch[batch.size() - 1 - back];
    if (extent != 1) steps[rank - 1 - back] = running;
    running *= extent;
  }
  return steps;
}

/// Leaves out axes of size 1 and joins those that both operands run through in one step.
void join_axes(ProductProblem& problem, const Shape& batch, const std::vector<Index>& a, const std::vector<Index>& b) {
  for (std::size_t axis = 0; axis < batch.size(); ++axis) {
    if (batch[axis] == 1) continue;
    if (!problem.batch_size.empty() && problem.batch_step_a.back() == a[axis] * batch[axis] &&
        problem.batch_step_b.back() == b[axis] * batch[axis]) {
      problem.batch_size.back() *= batch[axis];
      problem.batch_step_a.back() = a[axis];
      problem.batch_step_b.back() = b[axis];
      continue;
    }
    problem.batch_size.push_back(batch[axis]);
    problem.batch_step_a.push_back(a[axis]);
    problem.batch_step_b.push_back(b[axis]);
  }
}

/// Takes batches of a for more rows where one b multiplies all of them.
void join_rows(ProductProblem& problem) {
  if (problem.batch_size.size() != 1 || problem.transposed_a) return;
  if (problem.batch_step_b[0] != 0 || problem.batch_step_a[0] != problem.m * problem.k) return;
  problem.m *= problem.batch_size[0];
  problem.batch_size.clear();
  problem.batch_step_a.clear();
  problem.batch_step_b.clear();
}

/// The third operand of a Gemm.
bool read_addend(const NodeView& view, ProductProblem& problem, std::string& reason) {
  if (!view.has(2)) return true;
  if (view.node().float_or("beta", 1) != 1) {
    reason = "beta is not 1";
    return false;
  }
  if (is_bias(view.in_shape(2), problem.n)) {
    problem.bias = 2;
  } else if (view.in_shape(2) == view.out_shape()) {
    problem.residual = 2;
  } else {
    reason = "what it adds is repeated along rows";
    return false;
  }
  return true;
}

}  // namespace

Index ProductProblem::batches() const {
  Index count = 1;
  for (const Index size : batch_size) count *= size;
  return count;
}

std::optional<ProductProblem> product_problem(const NodeView& view, std::string& reason) {
  reason = unless_f32(view, 4);
  if (!reason.empty()) return std::nullopt;
  const Node& node = view.node();
  ProductProblem problem;
  problem.transposed_a = node.int_or("transA", 0) != 0;
  problem.transposed_b = node.int_or("transB", 0) != 0;
  problem.alpha = node.float_or("alpha", 1);
  Shape a = view.in_shape(0);
  Shape b = view.in_shape(1);
  if (a.size() == 1) a.insert(a.begin(), 1);
  if (b.size() == 1) b.push_back(1);
  if (a.size() < 2 || b.size() < 2) {
    reason = "it multiplies matrices only";
    return std::nullopt;
  }
  problem.m = problem.transposed_a ? a[a.size() - 1] : a[a.size() - 2];
  problem.k = problem.transposed_a ? a[a.size() - 2] : a[a.size() - 1];
  problem.n = problem.transposed_b ? b[b.size() - 2] : b[b.size() - 1];
  const Shape batch_a(a.begin(), a.end() - 2);
  const Shape batch_b(b.begin(), b.end() - 2);
  const Shape batch = broadcast(batch_a, batch_b).value_or(Shape{});
  join_axes(problem, batch, batch_steps(batch_a, batch.size(), problem.m * problem.k),
            batch_steps(batch_b, batch.size(), problem.k * problem.n));
  if (problem.batch_size.size() > kMaxRank) {
    reason = "it has too many axes";
    return std::nullopt;
  }
  join_rows(problem);
  if (node.op == "Gemm") {
    if (!read_addend(view, problem, reason)) return std::nullopt;
  } else if (node.domain == kInternalDomain) {
    if (view.has(2)) {
      if (!is_bias(view.in_shape(2), problem.n)) {
        reason = "its bias is not one number per column";
        return std::nullopt;
      }
      problem.bias = 2;
    }
    if (view.has(3)) problem.residual = 3;
    problem.activation = fused_activation(node);
  }
  return problem;
}

}  // namespace sparse_run::gpu::cuda
