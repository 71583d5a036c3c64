// Computes the dense products of aggregated rows while a block of rows is in cache: AggregateChain.
//
// Looked for: a SparseAggregate read by one product with constant weights, that one read by the next, and so on. What
// stands between them (bias, residual, activation) is in the products already. The aggregated rows, as large as the
// features of all nodes, are never stored then.
#include <algorithm>

#include "graph/ops/aggregate_chain.hpp"
#include "graph/passes/fuse.hpp"
#include "graph/passes/match.hpp"
#include "graph/passes/passes.hpp"

namespace sparse_run {

namespace {

/// Below this the aggregated rows stay in the caches by themselves, and products are better cut by columns.
constexpr std::int64_t kSmallElements = std::int64_t{1} << 20;
constexpr std::size_t kMostStages = 4;
/// Weights with more zeros are left to sparse kernels.
constexpr double kDenseZeros = 0.5;

bool is_product(const Node& node) {
  return node.is("MatMul") || node.is("Gemm") || node.is("FusedMatMul", kInternalDomain);
}

bool is_matrix(const GraphBuilder& graph, ValueId id) {
  const Type& type = type_of(graph, id);
  return type.is_concrete() && type.dtype == DType::f32 && type.shape->size() == 2;
}

bool are_dense_weights(const GraphBuilder& graph, ValueId id) {
  const Tensor* weights = constant_of(graph, id);
  if (weights == nullptr || weights->dtype() != DType::f32 || weights->rank() != 2 || weights->size() == 0)
    return false;
  const auto elements = weights->data<float>();
  const auto zeros = std::ranges::count(elements, 0.0f);
  return static_cast<double>(zeros) <= kDenseZeros * static_cast<double>(elements.size());
}

/// A chain on its way: its operands, and where it has come to.
class Chain {
 public:
  Chain(const GraphBuilder& graph, NodeId aggregate) : graph_(graph), last_(aggregate) {
    const Node& node = graph.node(aggregate);
    chain_.aggregate = Aggregate::of(node);
    operands_ = node.inputs;
    result_ = node.outputs[0];
  }

  /// Takes in the product that alone reads the result so far.
  bool absorb() {
    const auto reader = chain_.stages.size() < kMostStages ? sole_reader(graph_, result_) : std::nullopt;
    if (!reader) return false;
    const Node& product = graph_.node(*reader);
    if (!is_product(product) || product.int_or("transA", 0) != 0 || product.float_or("alpha", 1) != 1 ||
        product.float_or("beta", 1) != 1) {
      return false;
    }
    if (!is_matrix(graph_, product.inputs[0]) || !are_dense_weights(graph_, product.inputs[1])) return false;
    if (!is_matrix(graph_, product.outputs[0])) return false;
    const bool goes_on = product.inputs[0] == result_;
    const ValueId bias = product.inputs.size() > 2 ? product.inputs[2] : kNoValue;
    const ValueId residual = product.inputs.size() > 3 ? product.inputs[3] : kNoValue;
    if (bias == result_ || (!goes_on && residual != result_)) return false;
    const Shape& output = *type_of(graph_, product.outputs[0]).shape;
    const Type* bias_type = bias == kNoValue ? nullptr : &type_of(graph_, bias);
    if (bias_type != nullptr && (!bias_type->is_concrete() || element_count(*bias_type->shape) != output[1] ||
                                 bias_type->shape->empty() || bias_type->shape->back() != output[1])) {
      return false;
    }
    if (residual != kNoValue && *type_of(graph_, residual).shape != output) return false;
    RowStage stage;
    stage.rows = operand(product.inputs[0]);
    stage.weights = operand(product.inputs[1]);
    stage.bias = operand(bias);
    stage.residual = operand(residual);
    stage.transposed = product.int_or("transB", 0) != 0;
    stage.activation = FusedActivation::of(product);
    chain_.stages.push_back(stage);
    absorbed_.push_back(last_);
    last_ = *reader;
    result_ = product.outputs[0];
    return true;
  }

  bool empty() const { return chain_.stages.empty(); }

  void put(GraphBuilder& graph) const {
    const std::string name = graph_.node(absorbed_.front()).name;
    for (const NodeId id : absorbed_) graph.remove_node(id);
    Node& node = graph.node(last_);
    chain_.store(node);
    node.name = name;
    node.inputs = operands_;
  }

 private:
  std::int64_t operand(ValueId id) {
    if (id == kNoValue) return RowStage::kNone;
    if (id == result_) return RowStage::kPrevious;
    operands_.push_back(id);
    return static_cast<std::int64_t>(operands_.size()) - 1;
  }

  const GraphBuilder& graph_;
  AggregateChain chain_;
  std::vector<ValueId> operands_;
  ValueId result_ = kNoValue;
  NodeId last_;
  std::vector<NodeId> absorbed_;
};

class FuseAggregate final : public Pass {
 public:
  std::string_view name() const noexcept override { return "fuse-aggregate"; }
  std::string_view purpose() const noexcept override {
    return "multiplies sums over the edges of a graph with weights while they are in cache";
  }

  std::size_t run(GraphBuilder& graph) const override {
    std::size_t rewrites = 0;
    for (NodeId id = 0; id < graph.node_count(); ++id) {
      if (graph.removed(id) || !std::as_const(graph).node(id).is("SparseAggregate", kInternalDomain)) continue;
      const Type& type = type_of(graph, std::as_const(graph).node(id).outputs[0]);
      if (!type.is_concrete() || type.shape->size() != 2 || element_count(*type.shape) < kSmallElements) continue;
      Chain chain(graph, id);
      while (chain.absorb()) {
      }
      if (chain.empty()) continue;
      chain.put(graph);
      ++rewrites;
    }
    return rewrites;
  }
};

}  // namespace

std::unique_ptr<Pass> make_fuse_aggregate() { return std::make_unique<FuseAggregate>(); }

}  // namespace sparse_run
