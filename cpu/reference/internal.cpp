// Reference kernels of the operators that passes create: the plain operators one after the other.
#include <algorithm>
#include <cmath>

#include "cpu/reference/families.hpp"
#include "graph/ops/aggregate_chain.hpp"
#include "graph/ops/fused_activation.hpp"

namespace sparse_run::reference {

namespace {

/// Runs one plain operator on tensors; an absent tensor stands for an omitted operand.
Tensor run(Context& context, std::string_view op, std::vector<Tensor> operands,
           std::map<std::string, Attribute, std::less<>> attributes = {}) {
  Node node;
  node.name = context.node().name;
  node.op = op;
  node.opset = 22;
  node.attributes = std::move(attributes);
  std::vector<Value> inputs;
  for (Tensor& operand : operands) {
    node.inputs.push_back(operand.empty_handle() ? kNoValue : static_cast<ValueId>(inputs.size()));
    inputs.emplace_back(std::move(operand));
  }
  while (!node.inputs.empty() && node.inputs.back() == kNoValue) {
    node.inputs.pop_back();
    inputs.pop_back();
  }
  node.outputs = {static_cast<ValueId>(inputs.size())};
  return run_node(node, inputs, {}, context.random())[0].tensor;
}

Tensor optional_input(Context& context, std::size_t i) { return context.has_input(i) ? context.input(i) : Tensor(); }

/// output = activation(result + residual), element by element.
void finish(Context& context, const Tensor& result, std::size_t residual_index) {
  const FusedActivation activation = FusedActivation::of(context.node());
  Tensor sum = result;
  if (context.has_input(residual_index)) sum = run(context, "Add", {sum, context.input(residual_index)});
  Tensor& output = context.output(0);
  visit_float(output.dtype(), [&]<class T>() {
    std::ranges::transform(sum.data<T>(), output.data<T>().begin(), [&](T x) {
      return static_cast<T>(static_cast<Compute<T>>(activation.apply(static_cast<double>(static_cast<Compute<T>>(x)))));
    });
  });
}

void fused_conv(Context& context) {
  auto attributes = context.node().attributes;
  attributes.erase("activation");
  attributes.erase("activation_parameters");
  const Tensor result =
      run(context, "Conv", {context.input(0), context.input(1), optional_input(context, 2)}, std::move(attributes));
  finish(context, result, 3);
}

Tensor last_two_swapped(Context& context, const Tensor& tensor) {
  std::vector<std::int64_t> perm(tensor.rank());
  for (std::size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<std::int64_t>(i);
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return run(context, "Transpose", {tensor}, {{"perm", std::move(perm)}});
}

Tensor scaled(Context& context, const Tensor& tensor, float factor) {
  if (factor == 1) return tensor;
  Tensor scalar = Tensor::allocate(tensor.dtype(), {});
  visit_float(tensor.dtype(), [&]<class T>() { scalar.data<T>()[0] = static_cast<T>(factor); });
  return run(context, "Mul", {tensor, scalar});
}

void fused_matmul(Context& context) {
  const Node& node = context.node();
  Tensor a = context.input(0);
  Tensor b = context.input(1);
  if (node.int_or("transA", 0) != 0) a = last_two_swapped(context, a);
  if (node.int_or("transB", 0) != 0) b = last_two_swapped(context, b);
  Tensor result = scaled(context, run(context, "MatMul", {a, b}), node.float_or("alpha", 1));
  if (context.has_input(2)) result = run(context, "Add", {result, context.input(2)});
  finish(context, result, 3);
}

/// [B, S, H·D] → [B, H, S, D]
Tensor split_heads(Context& context, const Tensor& tensor, std::int64_t heads) {
  const Tensor split = tensor.reshaped({tensor.dim(0), tensor.dim(1), heads, tensor.dim(2) / heads});
  return run(context, "Transpose", {split}, {{"perm", std::vector<std::int64_t>{0, 2, 1, 3}}});
}

/// Of operands [B, S, H·D]; operand 3 of the node is the mask.
Tensor attend(Context& context, const Tensor& queries, const Tensor& keys, const Tensor& values) {
  const Node& node = context.node();
  const std::int64_t heads = node.get<std::int64_t>("num_heads");
  const Tensor q = split_heads(context, queries, heads);
  const Tensor k = last_two_swapped(context, split_heads(context, keys, heads));
  const Tensor v = split_heads(context, values, heads);
  Tensor scores = scaled(context, run(context, "MatMul", {q, k}), node.float_or("scale", 1));
  if (context.has_input(3)) scores = run(context, "Add", {scores, context.input(3)});
  const Tensor weights = run(context, "Softmax", {scores}, {{"axis", std::int64_t{-1}}});
  const Tensor mixed = run(context, "MatMul", {weights, v});
  const Tensor merged = run(context, "Transpose", {mixed}, {{"perm", std::vector<std::int64_t>{0, 2, 1, 3}}});
  return merged.reshaped({queries.dim(0), queries.dim(1), values.dim(2)});
}

void multi_head_attention(Context& context) {
  context.output(0).copy_from(attend(context, context.input(0), context.input(1), context.input(2)));
}

void channel_attention(Context& context) {
  const std::int64_t batch = context.node().get<std::int64_t>("batch");
  const auto tokens = [&](std::size_t i) {  // [1, C, B·S] → [B, S, C]
    const Tensor rows = last_two_swapped(context, context.input(i));
    return rows.reshaped({batch, rows.dim(1) / batch, rows.dim(2)});
  };
  const Tensor mixed = attend(context, tokens(0), tokens(1), tokens(2));
  context.output(0).copy_from(last_two_swapped(context, mixed.reshaped({1, batch * mixed.dim(1), mixed.dim(2)})));
}

void channel_normalization(Context& context) {
  const Tensor rows = last_two_swapped(context, context.input(0));
  const Tensor normal = run(context, "LayerNormalization", {rows, context.input(1), optional_input(context, 2)},
                            {{"epsilon", context.node().float_or("epsilon", 1e-5f)}});
  context.output(0).copy_from(last_two_swapped(context, normal));
}

/// The aggregate, then each stage as a FusedMatMul.
void aggregate_chain(Context& context) {
  const AggregateChain chain = AggregateChain::of(context.node());
  const auto operand = [&](std::int64_t i) { return context.input(static_cast<std::size_t>(i)); };
  Node first;
  chain.aggregate.store(first);
  std::vector<Value> operands;
  for (std::size_t i = 0; i < chain.aggregate.roles.size(); ++i) {
    first.inputs.push_back(static_cast<ValueId>(i));
    operands.emplace_back(context.input(i));
  }
  first.outputs = {static_cast<ValueId>(operands.size())};
  Tensor rows = run_node(first, operands, {}, context.random())[0].tensor;
  rows = rows.reshaped({chain.aggregate.nodes(), chain.aggregate.row_elements()});
  for (const RowStage& stage : chain.stages) {
    const auto chosen = [&](std::int64_t i) { return i == RowStage::kPrevious ? rows : operand(i); };
    Tensor result = run(context, "MatMul",
                        {chosen(stage.rows), stage.transposed ? last_two_swapped(context, operand(stage.weights))
                                                              : operand(stage.weights)});
    if (stage.bias != RowStage::kNone) {
      const Tensor bias = operand(stage.bias);
      result = run(context, "Add", {result, bias.reshaped({bias.size()})});
    }
    if (stage.residual != RowStage::kNone) result = run(context, "Add", {result, chosen(stage.residual)});
    rows = result.clone();
    for (float& element : rows.data<float>()) element = static_cast<float>(stage.activation.apply(element));
  }
  context.output(0).copy_from(rows);
}

}  // namespace

void register_internal(Table& table) {
  table.add("FusedConv", fused_conv, kInternalDomain);
  table.add("FusedMatMul", fused_matmul, kInternalDomain);
  table.add("MultiHeadAttention", multi_head_attention, kInternalDomain);
  table.add("AggregateChain", aggregate_chain, kInternalDomain);
  register_aggregate(table);
  table.add("ChannelAttention", channel_attention, kInternalDomain);
  table.add("ChannelNormalization", channel_normalization, kInternalDomain);
}

}  // namespace sparse_run::reference
