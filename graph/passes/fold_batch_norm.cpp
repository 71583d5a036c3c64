// Folds batch normalisation of inference into the weights around it, or spells it out as a product and a sum.
#include <cmath>

#include "graph/passes/channel_affine.hpp"
#include "graph/passes/match.hpp"
#include "graph/passes/passes.hpp"

namespace sparse_run {

namespace {

/// y = scale · x + shift of a BatchNormalization with constant statistics.
std::optional<ChannelAffine> affine_of(const GraphBuilder& graph, const Node& node) {
  if (node.inputs.size() != 5 || node.int_or("training_mode", 0) != 0 || node.int_or("spatial", 1) == 0) {
    return std::nullopt;
  }
  for (std::size_t i = 1; i < node.outputs.size(); ++i) {
    if (node.outputs[i] != kNoValue) return std::nullopt;  // it is training
  }
  std::vector<double> operands[4];
  for (std::size_t i = 0; i < 4; ++i) {
    auto values = float_values(constant_of(graph, node.inputs[i + 1]));
    if (!values || (i > 0 && values->size() != operands[0].size())) return std::nullopt;
    operands[i] = std::move(*values);
  }
  const double epsilon = static_cast<double>(node.float_or("epsilon", 1e-5f));
  ChannelAffine affine;
  affine.scale.clear();
  affine.shift.clear();
  for (std::size_t c = 0; c < operands[0].size(); ++c) {
    const double scale = operands[0][c] / std::sqrt(operands[3][c] + epsilon);
    affine.scale.push_back(scale);
    affine.shift.push_back(operands[1][c] - operands[2][c] * scale);
  }
  return affine;
}

bool pads_nothing(const Node& conv) {
  const std::string automatic = conv.string_or("auto_pad", "NOTSET");
  if (automatic == "VALID") return true;
  if (automatic != "NOTSET") return false;
  for (const std::int64_t pad : conv.ints_or("pads")) {
    if (pad != 0) return false;
  }
  return true;
}

/// conv(scale · x + shift) as conv′(x): weights scaled along input channels, the bias gains what the shift gives.
/// With padding only for a shift of zero: the padding is not shifted.
bool fold_into_consumer(GraphBuilder& graph, const Node& norm, const ChannelAffine& affine) {
  const ValueId middle = norm.outputs[0];
  if (!read_once(graph, middle) || !affine.finite()) return false;
  const NodeId id = graph.consumers(middle)[0];
  const Node& conv = std::as_const(graph).node(id);
  if (!conv.is("Conv") || conv.inputs[0] != middle || (affine.shifts() && !pads_nothing(conv))) return false;
  const Tensor* weights = constant_of(graph, conv.inputs[1]);
  if (weights == nullptr || !is_float(weights->dtype()) || weights->rank() < 3 || weights->size() == 0) return false;
  const std::int64_t outputs = weights->dim(0);
  const std::int64_t inputs_per_group = weights->dim(1);
  const std::int64_t group = conv.int_or("group", 1);
  if (group < 1 || outputs % group != 0 || static_cast<std::int64_t>(affine.scale.size()) != inputs_per_group * group) {
    return false;
  }
  std::vector<double> bias(static_cast<std::size_t>(outputs), 0);
  if (conv.inputs.size() > 2 && conv.inputs[2] != kNoValue) {
    const auto values = float_values(constant_of(graph, conv.inputs[2]));
    if (!values || values->size() != bias.size()) return false;
    bias = *values;
  }
  Tensor scaled = Tensor::allocate(weights->dtype(), weights->shape());
  const std::int64_t taps = weights->size() / (outputs * inputs_per_group);
  visit_float(weights->dtype(), [&]<class T>() {
    std::size_t at = 0;
    for (std::int64_t m = 0; m < outputs; ++m) {
      for (std::int64_t c = 0; c < inputs_per_group; ++c) {
        const auto channel = static_cast<std::size_t>(m / (outputs / group) * inputs_per_group + c);
        for (std::int64_t tap = 0; tap < taps; ++tap, ++at) {
          const auto weight = static_cast<double>(static_cast<Compute<T>>(weights->data<T>()[at]));
          scaled.data<T>()[at] = static_cast<T>(static_cast<Compute<T>>(weight * affine.scale[channel]));
          bias[static_cast<std::size_t>(m)] += weight * affine.shift[channel];
        }
      }
    }
  });
  const DType dtype = weights->dtype();
  const std::string name = graph.value(conv.inputs[1]).name;
  const ValueId source = norm.inputs[0];
  const ValueId new_weights = graph.add_constant(name, std::move(scaled));
  const ValueId new_bias = graph.add_constant(name + "_bias", float_tensor(dtype, {outputs}, bias));
  graph.node(id).inputs = {source, new_weights, new_bias};
  return true;
}

Node binary(const Node& norm, std::string op, ValueId left, ValueId right, ValueId result) {
  Node node;
  node.name = norm.name + "_" + op;
  node.op = std::move(op);
  node.opset = 14;
  node.inputs = {left, right};
  node.outputs = {result};
  return node;
}

/// Mul and Add with one value per channel.
bool spell_out(GraphBuilder& graph, NodeId id, const ChannelAffine& affine) {
  const Node norm = std::as_const(graph).node(id);
  const auto rank = rank_of(graph, norm.inputs[0]);
  const Type type = type_of(graph, norm.inputs[0]);
  if (!rank || *rank < 2 || !is_float(type.dtype)) return false;
  Shape shape(*rank - 1, 1);
  shape[0] = static_cast<std::int64_t>(affine.scale.size());
  const ValueId scale = graph.add_constant(norm.name + "_scale", float_tensor(type.dtype, shape, affine.scale));
  const ValueId shift = graph.add_constant(norm.name + "_shift", float_tensor(type.dtype, shape, affine.shift));
  const ValueId product = graph.add_value(norm.name + "_scaled", type);
  graph.node(id) = binary(norm, "Mul", norm.inputs[0], scale, product);
  graph.add_node(binary(norm, "Add", product, shift, norm.outputs[0]));
  return true;
}

class FoldBatchNorm final : public Pass {
 public:
  std::string_view name() const noexcept override { return "fold-batch-norm"; }
  std::string_view purpose() const noexcept override {
    return "folds batch normalisation into the convolution or product before or after it";
  }

  std::size_t run(GraphBuilder& graph) const override {
    std::size_t rewrites = 0;
    const std::size_t count = graph.node_count();
    for (NodeId id = 0; id < count; ++id) {
      if (graph.removed(id) || !std::as_const(graph).node(id).is("BatchNormalization")) continue;
      const Node norm = std::as_const(graph).node(id);
      const auto affine = affine_of(graph, norm);
      if (!affine) continue;
      // Channels of a normalisation are on axis 1, those of a product on the last.
      if (channel_axis(graph, norm.inputs[0]) == std::size_t{1} &&
          fold_into_producer(graph, norm.inputs[0], norm.outputs[0], *affine)) {
        graph.remove_node(id);
      } else if (fold_into_consumer(graph, norm, *affine)) {
        graph.remove_node(id);
      } else if (!spell_out(graph, id, *affine)) {
        continue;
      }
      ++rewrites;
    }
    return rewrites;
  }
};

}  // namespace

std::unique_ptr<Pass> make_fold_batch_norm() { return std::make_unique<FoldBatchNorm>(); }

}  // namespace sparse_run
