// Counting operations, bytes and zeros of nodes.
#include "partitioner/work.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "graph/onnx/file_pages.hpp"

namespace sparse_run {

namespace {

template <std::size_t N>
bool among(std::string_view op, const std::array<std::string_view, N>& names) {
  return std::find(names.begin(), names.end(), op) != names.end();
}

constexpr std::array<std::string_view, 8> kViews = {"Reshape",  "Squeeze", "Unsqueeze", "Flatten",
                                                    "Identity", "Dropout", "Shape",     "Size"};
constexpr std::array<std::string_view, 18> kCurves = {"Exp", "Log",  "Tanh",     "Sigmoid", "Erf",      "Gelu",
                                                      "Elu", "Selu", "Softplus", "Mish",    "Swish",    "Pow",
                                                      "Sin", "Cos",  "Sqrt",     "Celu",    "Softsign", "HardSwish"};
constexpr std::array<std::string_view, 16> kRows = {"Softmax",
                                                    "LogSoftmax",
                                                    "LayerNormalization",
                                                    "InstanceNormalization",
                                                    "GroupNormalization",
                                                    "RMSNormalization",
                                                    "ReduceMean",
                                                    "ReduceSum",
                                                    "ReduceMax",
                                                    "ReduceMin",
                                                    "ReduceL2",
                                                    "GlobalAveragePool",
                                                    "MaxPool",
                                                    "AveragePool",
                                                    "GlobalMaxPool",
                                                    "LRN"};
constexpr std::array<std::string_view, 20> kMovement = {
    "Transpose",       "Concat",       "Split",        "Slice",    "Gather", "GatherND",
    "GatherElements",  "ScatterND",    "Pad",          "Expand",   "Tile",   "Resize",
    "ScatterElements", "DepthToSpace", "SpaceToDepth", "Upsample", "Cast",   "ConstantOfShape",
    "ReverseSequence", "Where"};

double elements_of(const Type& type) {
  if (!type.is_concrete()) return 0;
  double count = 1;
  for (const std::int64_t dim : *type.shape) count *= static_cast<double>(dim);
  return count;
}

double bytes_of(const Type& type) {
  return type.is_concrete() ? elements_of(type) * static_cast<double>(element_size(type.dtype)) : 0;
}

template <class T>
double zeros_of(std::span<const T> data) {
  std::int64_t zeros = 0;
  for (std::size_t i = 0; i < data.size();) {  // blocks keep the inner counter narrow, so that compilers vectorise
    const std::size_t end = std::min(data.size(), i + 65536);
    std::int32_t count = 0;
    for (; i < end; ++i) count += data[i] == T{0};
    zeros += count;
  }
  onnx::discard_file_pages(std::as_bytes(data));  // weights are packed later, one after the other
  return data.empty() ? 0 : static_cast<double>(zeros) / static_cast<double>(data.size());
}

double count_share(const Constant& constant) {
  if (const auto* sparse = std::get_if<SparseTensor>(&constant)) {
    double all = 1;
    for (const std::int64_t dim : sparse->shape) all *= static_cast<double>(dim);
    return all <= 0 ? 0 : std::clamp(1 - static_cast<double>(sparse->nnz()) / all, 0.0, 1.0);
  }
  const Tensor& tensor = std::get<Tensor>(constant);
  if (tensor.dtype() == DType::f32) return zeros_of(tensor.data<float>());
  if (tensor.dtype() == DType::f64) return zeros_of(tensor.data<double>());
  if (tensor.dtype() == DType::i8) return zeros_of(tensor.data<std::int8_t>());
  return 0;
}

/// Shape of a constant operand; nullptr when the operand is computed.
const Shape* constant_shape(const ValueDef& value) {
  if (const Tensor* tensor = value.tensor()) return &tensor->shape();
  if (const SparseTensor* sparse = value.sparse()) return &sparse->shape;
  return nullptr;
}

double product_of(const Shape& shape, std::size_t from = 0) {
  double count = 1;
  for (std::size_t d = from; d < shape.size(); ++d) count *= static_cast<double>(shape[d]);
  return count;
}

class Measurer {
 public:
  Measurer(const Graph& graph, const Node& node, ZeroCounts& zeros) : graph_(graph), node_(node), zeros_(zeros) {}

  NodeWork measure() {
    for (const auto& list : {&node_.inputs, &node_.captures}) {
      for (const ValueId id : *list) {
        if (id == kNoValue) continue;
        const ValueDef& value = graph_.value(id);
        if (value.constant) continue;
        touch(value.type);
      }
    }
    for (const ValueId id : node_.outputs) {
      if (id != kNoValue) touch(graph_.value(id).type);
    }
    if (!node_.captures.empty()) work_.movable = false;
    for (const auto& [name, attribute] : node_.attributes) {
      if (std::holds_alternative<GraphPtr>(attribute)) work_.movable = false;
    }
    outputs_ =
        !node_.outputs.empty() && node_.outputs[0] != kNoValue ? elements_of(graph_.value(node_.outputs[0]).type) : 0;
    classify();
    return work_;
  }

 private:
  void touch(const Type& type) {
    if (!type.is_concrete()) work_.known = false;
    if (!type.is_concrete() || type.dtype == DType::string) work_.movable = false;
    work_.activation_bytes += bytes_of(type);
  }
  const ValueDef* operand(std::size_t i) const {
    return i < node_.inputs.size() && node_.inputs[i] != kNoValue ? &graph_.value(node_.inputs[i]) : nullptr;
  }
  const Shape* shape(std::size_t i) const {
    const ValueDef* value = operand(i);
    if (value == nullptr) return nullptr;
    if (const Shape* constant = constant_shape(*value)) return constant;
    return value->type.is_concrete() ? &*value->type.shape : nullptr;
  }
  /// Takes the operand as the layer's weight when it is constant.
  bool weigh(std::size_t i) {
    const ValueDef* value = operand(i);
    const Shape* dims = value == nullptr ? nullptr : constant_shape(*value);
    if (dims == nullptr) return false;
    work_.weights = product_of(*dims);
    const DType dtype = value->tensor() != nullptr ? value->tensor()->dtype() : value->sparse()->dtype();
    work_.weight_element = static_cast<double>(element_size(dtype));
    work_.zeros = zeros_.share(*value->constant);
    return true;
  }

  void classify() {
    const std::string_view op = node_.op;
    if (op == "Conv" || op == "FusedConv" || op == "ConvTranspose" || op == "ConvInteger" || op == "QLinearConv") {
      return convolution();
    }
    if (op == "MatMul" || op == "Gemm" || op == "FusedMatMul" || op == "MatMulInteger" || op == "QLinearMatMul") {
      return product();
    }
    if (op == "MultiHeadAttention" || op == "Attention") return attention();
    if (op == "LSTM" || op == "GRU" || op == "RNN") return recurrent();
    if (among(op, kViews)) {
      work_.layer = LayerClass::view;
      work_.activation_bytes = 0;
      return;
    }
    if (among(op, kRows)) {
      work_.layer = LayerClass::rows;
      const ValueDef* input = operand(0);
      work_.dense_flops = 6 * std::max(outputs_, input == nullptr ? 0 : elements_of(input->type));
      return;
    }
    if (among(op, kCurves)) {
      work_.layer = LayerClass::curves;
      work_.dense_flops = 12 * outputs_;
      return;
    }
    if (among(op, kMovement)) {
      work_.layer = LayerClass::movement;
      if (op.starts_with("Gather")) {  // a table is read where rows are asked for, but all of it is kept
        const ValueDef* table = operand(0);
        if (table != nullptr && constant_shape(*table) != nullptr) {
          work_.weights = product_of(*constant_shape(*table));
          work_.activation_bytes += bytes_of(graph_.value(node_.outputs[0]).type);
        }
      }
      return;
    }
    static constexpr std::array<std::string_view, 22> kPlain = {
        "Add",        "Sub",     "Mul", "Div", "Relu", "LeakyRelu", "PRelu",
        "Clip",       "Min",     "Max", "Neg", "Abs",  "Sum",       "Equal",
        "Less",       "Greater", "Not", "And", "Or",   "Mean",      "BatchNormalization",
        "HardSigmoid"};
    work_.layer = among(op, kPlain) ? LayerClass::elementwise : LayerClass::other;
    work_.dense_flops = outputs_;
  }

  void convolution() {
    const Shape* weights = shape(1);
    work_.layer = LayerClass::convolution;
    if (weights == nullptr || weights->size() < 3) return;
    const std::int64_t groups = std::max<std::int64_t>(1, node_.int_or("group", 1));
    weigh(1);
    const bool transposed = node_.op == "ConvTranspose";
    const Shape* input = shape(0);
    // Every output (every input when transposed) meets one filter of a group.
    const double touched = transposed ? (input == nullptr ? 0 : product_of(*input)) : outputs_;
    work_.dense_flops = 2 * touched * product_of(*weights, 1);
    const double channels = static_cast<double>(std::max<std::int64_t>(1, (*weights)[0]));
    work_.columns = outputs_ / channels;
    if (groups > 1 && (*weights)[1] == 1) {
      work_.layer = LayerClass::depthwise;
      work_.zeros = 0;
    }
  }

  void product() {
    const bool integer = node_.op == "QLinearMatMul";
    const Shape* a = shape(0);
    const Shape* b = shape(integer ? 3 : 1);
    work_.layer = LayerClass::pair_product;
    if (a == nullptr || a->empty()) return;
    const bool swapped = node_.int_or("transA", 0) != 0 && a->size() >= 2;
    const double inner = static_cast<double>((*a)[a->size() - (swapped ? 2 : 1)]);
    work_.dense_flops = 2 * outputs_ * inner;
    if (weigh(integer ? 3 : 1) || weigh(0)) work_.layer = LayerClass::product;
    if (b != nullptr && !b->empty()) {
      const double rows = work_.weights > 0 && inner > 0 ? work_.weights / inner : 1;
      work_.columns = rows > 0 ? outputs_ / rows : 0;
    }
  }

  void attention() {
    const Shape* q = shape(0);
    const Shape* k = shape(1);
    work_.layer = LayerClass::pair_product;
    if (q == nullptr || k == nullptr || q->size() < 3 || k->size() < 3) return;
    work_.dense_flops = 4 * product_of(*q) * static_cast<double>((*k)[k->size() - 2]);
  }

  void recurrent() {
    work_.layer = LayerClass::recurrent;
    const Shape* input = shape(0);
    const Shape* weights = shape(1);
    const Shape* recurrence = shape(2);
    if (input == nullptr || input->size() != 3) return;
    weigh(1);
    const double steps = static_cast<double>((*input)[0] * (*input)[1]);
    if (weights != nullptr) work_.dense_flops += 2 * steps * product_of(*weights);
    if (recurrence != nullptr) {
      work_.dense_flops += 2 * steps * product_of(*recurrence);
      work_.weights += product_of(*recurrence);
    }
    work_.zeros = 0;  // only dense kernels there
  }

  const Graph& graph_;
  const Node& node_;
  ZeroCounts& zeros_;
  NodeWork work_;
  double outputs_ = 0;
};

}  // namespace

std::string_view layer_class_name(LayerClass layer) {
  switch (layer) {
    case LayerClass::convolution:
      return "convolution";
    case LayerClass::depthwise:
      return "depthwise";
    case LayerClass::product:
      return "product";
    case LayerClass::pair_product:
      return "pair_product";
    case LayerClass::recurrent:
      return "recurrent";
    case LayerClass::rows:
      return "rows";
    case LayerClass::curves:
      return "curves";
    case LayerClass::elementwise:
      return "elementwise";
    case LayerClass::movement:
      return "movement";
    case LayerClass::view:
      return "view";
    case LayerClass::other:
      return "other";
  }
  return "other";
}

NodeWork NodeWork::for_batch(double factor) const {
  NodeWork scaled = *this;
  scaled.dense_flops *= factor;
  scaled.activation_bytes *= factor;
  scaled.columns *= factor;
  return scaled;
}

NodeWork NodeWork::with_zeros(double share) const {
  NodeWork changed = *this;
  changed.zeros = share;
  return changed;
}

double ZeroCounts::share(const Constant& constant) {
  const auto* tensor = std::get_if<Tensor>(&constant);
  const void* key = tensor != nullptr ? tensor->raw() : std::get<SparseTensor>(constant).values.raw();
  {
    const std::lock_guard lock(mutex_);
    const auto known = shares_.find(key);
    if (known != shares_.end()) return known->second;
  }
  const double share = count_share(constant);
  const std::lock_guard lock(mutex_);
  shares_.emplace(key, share);
  return share;
}

NodeWork work_of(const Graph& graph, const Node& node, ZeroCounts& zeros) {
  return Measurer(graph, node, zeros).measure();
}

std::string layer_key(const Graph& graph, const Node& node, const NodeWork& work) {
  std::string key = node.op;
  for (const ValueId id : node.inputs) {
    if (id == kNoValue) {
      key += " -";
      continue;
    }
    const ValueDef& value = graph.value(id);
    const Shape* constant = constant_shape(value);
    key += constant != nullptr ? fmt::format(" c{}", fmt::join(*constant, "x")) : ' ' + to_string(value.type);
  }
  for (const auto& [name, attribute] : node.attributes) {
    if (const auto* numbers = std::get_if<std::vector<std::int64_t>>(&attribute)) {
      key += fmt::format(" {}={}", name, fmt::join(*numbers, ","));
    } else if (const auto* number = std::get_if<std::int64_t>(&attribute)) {
      key += fmt::format(" {}={}", name, *number);
    } else if (const auto* word = std::get_if<std::string>(&attribute)) {
      if (word->size() <= 64) key += fmt::format(" {}={}", name, *word);
    }
  }
  return key + fmt::format(" zeros={:.2f}", work.zeros);
}

}  // namespace sparse_run
