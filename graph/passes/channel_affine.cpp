// Scaling weights and moving biases per output channel.
#include "graph/passes/channel_affine.hpp"

#include <algorithm>
#include <cmath>

#include "graph/passes/match.hpp"

namespace sparse_run {

namespace {

/// How the output channel follows from the position in the weights: channel = offset(leading) + index along `axis`.
struct WeightLayout {
  std::size_t axis = 0;    ///< of the weights, counts output channels (of one group)
  std::int64_t group = 1;  ///< ConvTranspose: axis 0 is cut into this many groups of input channels
  bool transposed_conv = false;
};

/// Calls visit(linear position, output channel) for every element given by its linear position.
class ChannelOf {
 public:
  ChannelOf(const WeightLayout& layout, const Shape& shape) : layout_(layout), shape_(shape) {
    for (std::size_t d = layout.axis + 1; d < shape.size(); ++d) inner_ *= shape[d];
    if (layout.transposed_conv) inputs_per_group_ = std::max<std::int64_t>(1, shape[0] / layout.group);
  }

  std::size_t operator()(std::int64_t position) const {
    const std::int64_t along = shape_[layout_.axis];
    std::int64_t channel = position / inner_ % along;
    if (layout_.transposed_conv) channel += position / (inner_ * along) / inputs_per_group_ * along;
    return static_cast<std::size_t>(channel);
  }

 private:
  const WeightLayout& layout_;
  const Shape& shape_;
  std::int64_t inner_ = 1;
  std::int64_t inputs_per_group_ = 1;
};

Tensor scaled(const Tensor& weights, const WeightLayout& layout, const ChannelAffine& affine) {
  Tensor result = Tensor::allocate(weights.dtype(), weights.shape());
  const ChannelOf channel_of(layout, weights.shape());
  visit_float(weights.dtype(), [&]<class T>() {
    const auto from = weights.data<T>();
    const auto to = result.data<T>();
    std::int64_t run = 1;  // elements in a row that share a channel
    for (std::size_t d = layout.axis + 1; d < weights.rank(); ++d) run *= weights.shape()[d];
    for (std::int64_t start = 0; start < weights.size(); start += run) {
      const auto scale = static_cast<Compute<T>>(affine.scale_at(channel_of(start)));
      for (std::int64_t i = start; i < start + run; ++i) {
        const auto at = static_cast<std::size_t>(i);
        to[at] = static_cast<T>(static_cast<Compute<T>>(from[at]) * scale);
      }
    }
  });
  return result;
}

SparseTensor scaled(const SparseTensor& weights, const WeightLayout& layout, const ChannelAffine& affine) {
  SparseTensor result = weights;
  result.values = weights.values.clone();
  const ChannelOf channel_of(layout, weights.shape);
  const auto strides = row_major_strides(weights.shape);
  const auto indices = weights.indices.data<std::int64_t>();
  const std::size_t rank = weights.indices.rank() == 2 ? weights.shape.size() : 1;
  visit_float(weights.dtype(), [&]<class T>() {
    const auto values = result.values.data<T>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::int64_t position = indices[i * rank];
      if (weights.indices.rank() == 2) {
        position = 0;
        for (std::size_t d = 0; d < rank; ++d) position += indices[i * rank + d] * strides[d];
      }
      const auto scale = static_cast<Compute<T>>(affine.scale_at(channel_of(position)));
      values[i] = static_cast<T>(static_cast<Compute<T>>(values[i]) * scale);
    }
  });
  return result;
}

std::optional<Constant> scaled(const ValueDef& weights, const WeightLayout& layout, const ChannelAffine& affine) {
  if (const Tensor* dense = weights.tensor()) return scaled(*dense, layout, affine);
  if (const SparseTensor* sparse = weights.sparse()) return scaled(*sparse, layout, affine);
  return std::nullopt;
}

bool is_product(const Node& node) { return node.is("MatMul") || node.is("Gemm"); }

}  // namespace

bool ChannelAffine::shifts() const {
  return std::ranges::any_of(shift, [](double value) { return value != 0; });
}

bool ChannelAffine::finite() const {
  const auto is_finite = [](double value) { return std::isfinite(value); };
  return std::ranges::all_of(scale, is_finite) && std::ranges::all_of(shift, is_finite);
}

std::optional<std::size_t> channel_axis(const GraphBuilder& graph, ValueId value) {
  const Node* node = producer_of(graph, value);
  if (node == nullptr) return std::nullopt;
  if (node->is("Conv") || node->is("ConvTranspose")) return 1;
  const auto rank = rank_of(graph, value);
  return is_product(*node) && rank && *rank >= 2 ? std::optional(*rank - 1) : std::nullopt;
}

bool fold_into_producer(GraphBuilder& graph, ValueId inner, ValueId outer, const ChannelAffine& affine) {
  const auto id = graph.producer(inner);
  if (!id || !read_once(graph, inner) || !affine.finite()) return false;
  const Node& node = std::as_const(graph).node(*id);
  const bool product = is_product(node);
  if (!product && !node.is("Conv") && !node.is("ConvTranspose")) return false;
  if (node.is("MatMul") && affine.shifts()) return false;  // it has no bias
  if (node.inputs.size() < 2) return false;

  const ValueDef& weights = std::as_const(graph).value(node.inputs[1]);
  const Type type = weights.type;  // a copy: adding constants moves values
  if (!weights.constant || !is_float(type.dtype)) return false;
  const Shape& shape = *type.shape;
  if (shape.size() < 2 || element_count(shape) == 0) return false;
  WeightLayout layout;
  std::int64_t channels = shape[0];
  if (node.is("ConvTranspose")) {
    layout = {1, node.int_or("group", 1), true};
    channels = shape[1] * layout.group;
  } else if (product) {
    layout.axis = node.is("Gemm") && node.int_or("transB", 0) != 0 ? 0 : shape.size() - 1;
    channels = shape[layout.axis];
    if (node.is("MatMul") && shape.size() != 2) return false;
  }
  for (const auto* list : {&affine.scale, &affine.shift}) {
    if (list->size() != 1 && static_cast<std::int64_t>(list->size()) != channels) return false;
  }

  std::vector<double> bias(static_cast<std::size_t>(channels), 0);
  const bool has_bias = node.inputs.size() > 2 && node.inputs[2] != kNoValue;
  if (has_bias) {
    const Tensor* tensor = constant_of(graph, node.inputs[2]);
    const auto values = float_values(tensor);
    if (!values || tensor->rank() == 0 || tensor->shape().back() != channels || tensor->size() != channels) {
      return false;
    }
    bias = *values;
  }
  const double beta = node.is("Gemm") ? static_cast<double>(node.float_or("beta", 1)) : 1;
  for (std::size_t c = 0; c < bias.size(); ++c) bias[c] = beta * bias[c] * affine.scale_at(c) + affine.shift_at(c);

  const bool scales = std::ranges::any_of(affine.scale, [](double value) { return value != 1; });
  ValueId new_weights = node.inputs[1];
  if (scales) new_weights = graph.add_constant(weights.name, *scaled(weights, layout, affine));
  ValueId new_bias = kNoValue;
  if (has_bias || affine.shifts()) {
    new_bias = graph.add_constant(std::as_const(graph).value(inner).name + "_bias",
                                  float_tensor(type.dtype, {channels}, bias));
  }
  Node& edited = graph.node(*id);
  edited.inputs.resize(2);
  edited.inputs[1] = new_weights;
  if (new_bias != kNoValue) edited.inputs.push_back(new_bias);
  if (beta != 1) edited.attributes["beta"] = 1.0f;
  edited.outputs[0] = outer;
  return true;
}

Tensor float_tensor(DType dtype, Shape shape, std::span<const double> values) {
  Tensor tensor = Tensor::allocate(dtype, std::move(shape));
  visit_float(dtype, [&]<class T>() {
    std::ranges::transform(values, tensor.data<T>().begin(),
                           [](double value) { return static_cast<T>(static_cast<Compute<T>>(value)); });
  });
  return tensor;
}

std::optional<std::vector<double>> float_values(const Tensor* tensor) {
  std::optional<std::vector<double>> values;
  if (tensor == nullptr) return values;
  visit_float(tensor->dtype(), [&]<class T>() {
    values.emplace();
    for (const T element : tensor->data<T>()) values->push_back(static_cast<double>(static_cast<Compute<T>>(element)));
  });
  return values;
}

}  // namespace sparse_run
