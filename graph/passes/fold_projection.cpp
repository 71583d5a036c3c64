// Folds Σ_d (x W)[n, g, d] · c[g, d] into a product of x with fewer columns: x (W c).
//
// Looked for: rows times constant weights, cut into groups, each times constants and added up, as attention along the
// edges of a graph scores its nodes. The narrow product reads the operand once, where the original writes and reads
// tensors as wide as the wide product.
#include <cmath>

#include "graph/passes/channel_affine.hpp"
#include "graph/passes/match.hpp"
#include "graph/passes/passes.hpp"

namespace sparse_run {

namespace {

/// Elements of the wide product from which the narrow one is worth having: smaller ones stay in the caches.
constexpr std::int64_t kSmallElements = std::int64_t{1} << 20;

/// x [rows, depth] times weights [depth, width], plus a bias.
struct Projection {
  ValueId x = kNoValue;
  std::int64_t depth = 0, width = 0;
  std::vector<double> weights;  ///< [depth][width]
  std::vector<double> bias;     ///< [width], or empty
};

bool all_finite(const std::vector<double>& values) {
  for (const double value : values) {
    if (!std::isfinite(value)) return false;  // zeros beside it would become NaN
  }
  return true;
}

std::optional<Projection> projection_of(const GraphBuilder& graph, const Node& product) {
  const bool gemm = product.is("Gemm");
  if (!gemm && !product.is("MatMul")) return std::nullopt;
  if (gemm && (product.int_or("transA", 0) != 0 || product.float_or("alpha", 1) != 1)) return std::nullopt;
  const Type& x = type_of(graph, product.inputs[0]);
  const Tensor* weights = constant_of(graph, product.inputs[1]);
  if (!x.is_concrete() || x.dtype != DType::f32 || x.shape->size() != 2) return std::nullopt;
  if (weights == nullptr || weights->rank() != 2 || weights->dtype() != DType::f32) return std::nullopt;
  const bool transposed = gemm && product.int_or("transB", 0) != 0;
  Projection found;
  found.x = product.inputs[0];
  found.depth = weights->shape()[transposed ? 1 : 0];
  found.width = weights->shape()[transposed ? 0 : 1];
  const auto values = float_values(weights);
  if (!values || (*x.shape)[1] != found.depth) return std::nullopt;
  found.weights = *values;
  if (transposed) {
    for (std::int64_t k = 0; k < found.depth; ++k) {
      for (std::int64_t j = 0; j < found.width; ++j) {
        found.weights[static_cast<std::size_t>(k * found.width + j)] =
            (*values)[static_cast<std::size_t>(j * found.depth + k)];
      }
    }
  }
  if (product.inputs.size() > 2 && product.inputs[2] != kNoValue) {
    const Tensor* bias = constant_of(graph, product.inputs[2]);
    if (bias == nullptr || bias->size() != found.width || product.float_or("beta", 1) != 1) return std::nullopt;
    if (bias->shape().back() != found.width) return std::nullopt;  // a column would be added to rows instead
    const auto added = float_values(bias);
    if (!added) return std::nullopt;
    found.bias = *added;
  }
  if (!all_finite(found.weights) || !all_finite(found.bias)) return std::nullopt;
  return found;
}

/// A constant broadcast over `shape`, whose first dimension it does not vary along; without that dimension.
std::optional<std::vector<double>> spread(const Tensor* constant, const Shape& shape) {
  if (constant == nullptr || constant->dtype() != DType::f32 || constant->rank() > shape.size()) return std::nullopt;
  const auto values = float_values(constant);
  if (!values || !all_finite(*values)) return std::nullopt;
  const std::size_t missing = shape.size() - constant->rank();
  if (missing == 0 && constant->shape()[0] != 1) return std::nullopt;
  for (std::size_t d = 0; d < constant->rank(); ++d) {
    if (constant->shape()[d] != 1 && constant->shape()[d] != shape[d + missing]) return std::nullopt;
  }
  std::int64_t count = 1;
  for (std::size_t d = 1; d < shape.size(); ++d) count *= shape[d];
  std::vector<double> result(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t rest = i, at = 0, stride = 1;
    for (std::size_t d = shape.size(); d-- > 1;) {
      const std::int64_t index = rest % shape[d];
      rest /= shape[d];
      if (d < missing) continue;
      const std::int64_t extent = constant->shape()[d - missing];
      at += (extent == 1 ? 0 : index) * stride;
      stride *= extent;
    }
    result[static_cast<std::size_t>(i)] = (*values)[static_cast<std::size_t>(at)];
  }
  return result;
}

class FoldProjection final : public Pass {
 public:
  std::string_view name() const noexcept override { return "fold-projection"; }
  std::string_view purpose() const noexcept override {
    return "turns a wide product whose groups of columns are weighted and added up into a narrow product";
  }

  std::size_t run(GraphBuilder& graph) const override {
    std::size_t rewrites = 0;
    const std::size_t count = graph.node_count();
    for (NodeId id = 0; id < count; ++id) {
      if (!graph.removed(id) && fold(graph, id)) ++rewrites;
    }
    return rewrites;
  }

 private:
  static bool fold(GraphBuilder& graph, NodeId id) {
    const Node sum = std::as_const(graph).node(id);
    if (!sum.is("ReduceSum")) return false;
    const Node* weighted = sole_producer_of(graph, sum.inputs[0], "Mul");
    const Type result = type_of(graph, sum.outputs[0]);
    if (weighted == nullptr || !result.is_concrete()) return false;
    for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
      const ValueId groups = weighted->inputs[side];
      const Type shaped = type_of(graph, groups);
      const Node* cut = producer_of(graph, groups, "Reshape");
      if (cut == nullptr || !shaped.is_concrete() || shaped.shape->size() < 2) continue;
      const Shape& shape = *shaped.shape;
      const auto axes = axes_of(graph, sum);
      const auto last = static_cast<std::int64_t>(shape.size()) - 1;
      if (!axes || axes->size() != 1 || ((*axes)[0] != last && (*axes)[0] != -1)) continue;
      const Type wide = type_of(graph, cut->inputs[0]);
      const Node* product = producer_of(graph, cut->inputs[0]);
      if (product == nullptr || !wide.is_concrete() || wide.shape->size() != 2 || (*wide.shape)[0] != shape[0])
        continue;
      if (element_count(*wide.shape) < kSmallElements || type_of(graph, sum.inputs[0]).shape != shaped.shape) continue;
      const auto coefficients = spread(constant_of(graph, weighted->inputs[1 - side]), shape);
      if (!coefficients) continue;
      const auto projection = projection_of(graph, *product);
      // A wider operand would cost more to read than what is saved.
      if (!projection || projection->depth > projection->width) continue;
      narrow(graph, id, *projection, *coefficients, shape.back(), result);
      return true;
    }
    return false;
  }

  static void narrow(GraphBuilder& graph, NodeId id, const Projection& from, const std::vector<double>& coefficients,
                     std::int64_t group, const Type& result) {
    const Node sum = std::as_const(graph).node(id);
    const std::int64_t groups = from.width / group;
    const auto total = [&](const double* row, std::int64_t g) {
      double dot = 0;
      for (std::int64_t j = g * group; j < (g + 1) * group; ++j)
        dot += row[j] * coefficients[static_cast<std::size_t>(j)];
      return static_cast<float>(dot);
    };
    Tensor weights = Tensor::allocate(DType::f32, {from.depth, groups});
    for (std::int64_t k = 0; k < from.depth; ++k) {
      for (std::int64_t g = 0; g < groups; ++g) {
        weights.data<float>()[static_cast<std::size_t>(k * groups + g)] =
            total(from.weights.data() + k * from.width, g);
      }
    }
    Node product;
    product.name = sum.name;
    product.op = "Gemm";
    product.opset = sum.opset;
    product.inputs = {from.x, graph.add_constant("", std::move(weights))};
    if (!from.bias.empty()) {
      Tensor bias = Tensor::allocate(DType::f32, {groups});
      for (std::int64_t g = 0; g < groups; ++g)
        bias.data<float>()[static_cast<std::size_t>(g)] = total(from.bias.data(), g);
      product.inputs.push_back(graph.add_constant("", std::move(bias)));
    }
    const std::int64_t rows = (*type_of(graph, from.x).shape)[0];
    const ValueId narrow = graph.add_value("", Type::tensor(DType::f32, Shape{rows, groups}));
    product.outputs = {narrow};
    graph.add_node(std::move(product));

    Tensor target = Tensor::of<std::int64_t>({static_cast<std::int64_t>(result.shape->size())}, *result.shape);
    const ValueId shape = graph.add_constant("", std::move(target));
    Node& reshape = graph.node(id);
    reshape.op = "Reshape";
    reshape.attributes.clear();
    reshape.inputs = {narrow, shape};
  }
};

}  // namespace

std::unique_ptr<Pass> make_fold_projection() { return std::make_unique<FoldProjection>(); }

}  // namespace sparse_run
