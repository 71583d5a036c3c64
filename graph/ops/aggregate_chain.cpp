// AggregateChain: attributes and type inference.
#include "graph/ops/aggregate_chain.hpp"

#include "graph/ops/operand_rules.hpp"
#include "graph/ops/subfamilies.hpp"

namespace sparse_run {

namespace {

constexpr std::size_t kStageNumbers = 5;

void infer_aggregate_chain(InferContext& context) {
  const AggregateChain chain = AggregateChain::of(context.node());
  infer_aggregate_operands(context, chain.aggregate);
  const std::int64_t nodes = chain.aggregate.nodes();
  std::int64_t width = chain.aggregate.row_elements();
  const auto expect_matrix = [&](std::int64_t operand, std::int64_t rows, std::int64_t columns) {
    const auto i = static_cast<std::size_t>(operand);
    expect_dtype(context, i, {DType::f32});
    const Shape* shape = expect_rank(context, i, 2);
    if (shape == nullptr) return kUnknownDim;
    expect_same_dim((*shape)[0], rows, "rows of an operand of a stage");
    return expect_same_dim((*shape)[1], columns, "columns of an operand of a stage");
  };
  for (const RowStage& stage : chain.stages) {
    const std::int64_t k = stage.rows == RowStage::kPrevious ? width : expect_matrix(stage.rows, nodes, kUnknownDim);
    const Shape* weights = expect_rank(context, static_cast<std::size_t>(stage.weights), 2);
    if (weights == nullptr) throw_error(ErrorKind::model, "the weights of a stage have no known shape");
    const std::int64_t n = (*weights)[stage.transposed ? 0 : 1];
    expect_dtype(context, static_cast<std::size_t>(stage.weights), {DType::f32});
    expect_same_dim((*weights)[stage.transposed ? 1 : 0], k, "inner dimensions of a stage");
    if (stage.bias != RowStage::kNone) {
      const auto i = static_cast<std::size_t>(stage.bias);
      const Shape* bias = context.shape(i);
      expect_dtype(context, i, {DType::f32});
      if (bias != nullptr && is_concrete(*bias) && n >= 0) {
        expect_same_dim(element_count(*bias), n, "length of a bias and columns");
      }
    }
    if (stage.residual >= 0) expect_matrix(stage.residual, nodes, n);
    if (stage.residual == RowStage::kPrevious) expect_same_dim(width, n, "columns of a residual and of a stage");
    width = n;
  }
  context.set_tensor(0, DType::f32, Shape{nodes, width});
}

std::string numbered(std::string_view attribute, std::size_t stage) {
  return std::string(attribute) + "_" + std::to_string(stage);
}

}  // namespace

AggregateChain AggregateChain::of(const Node& node) {
  AggregateChain chain;
  chain.aggregate = Aggregate::of(node);
  const auto numbers = node.ints_or("stages");
  if (numbers.empty() || numbers.size() % kStageNumbers != 0) throw_error(ErrorKind::model, "a chain has no stages");
  const auto operands = static_cast<std::int64_t>(node.inputs.size());
  const auto expect_operand = [&](std::int64_t number, std::int64_t least) {
    if (number < least || number >= operands ||
        (number >= 0 && node.inputs[static_cast<std::size_t>(number)] == kNoValue)) {
      throw_error(ErrorKind::model, "attribute stages refers to operand {} of {}", number, operands);
    }
  };
  for (std::size_t i = 0; i < numbers.size(); i += kStageNumbers) {
    RowStage stage{numbers[i], numbers[i + 1], numbers[i + 2], numbers[i + 3], numbers[i + 4] != 0, {}};
    expect_operand(stage.rows, RowStage::kPrevious);
    expect_operand(stage.weights, 0);
    if (stage.bias != RowStage::kNone) expect_operand(stage.bias, 0);
    expect_operand(stage.residual, RowStage::kNone);
    Node activation;
    activation.attributes["activation"] = node.string_or(numbered("activation", i / kStageNumbers), "");
    activation.attributes["activation_parameters"] =
        node.floats_or(numbered("activation_parameters", i / kStageNumbers));
    stage.activation = FusedActivation::of(activation);
    chain.stages.push_back(stage);
  }
  return chain;
}

void AggregateChain::store(Node& node) const {
  aggregate.store(node);
  node.op = "AggregateChain";
  std::vector<std::int64_t> numbers;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const RowStage& stage = stages[i];
    numbers.insert(numbers.end(), {stage.rows, stage.weights, stage.bias, stage.residual, stage.transposed ? 1 : 0});
    node.attributes[numbered("activation", i)] = std::string(stage.activation.name());
    node.attributes[numbered("activation_parameters", i)] = stage.activation.parameters();
  }
  node.attributes["stages"] = std::move(numbers);
}

void register_aggregate_chain_op(OpRegistry& registry) {
  registry.add({kInternalDomain, "AggregateChain", 1, 2, kUnlimited, 1, 1, infer_aggregate_chain});
}

}  // namespace sparse_run
