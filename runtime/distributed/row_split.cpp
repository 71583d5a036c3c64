// Rewriting a graph into one rank's share of it.
#include "runtime/distributed/row_split.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "graph/ops/fused_activation.hpp"
#include "partitioner/rank_stages.hpp"

namespace sparse_run {

namespace {

using Bounds = std::vector<std::int64_t>;

constexpr std::int64_t kColumnGrain = 16;  // kernels work on blocks of columns
constexpr double kWeightOfColumn = 4;      // what an empty column still costs, in non-zeros
constexpr std::string_view kElementwise[] = {"Relu", "LeakyRelu", "Sigmoid",   "Tanh",        "Erf",  "Gelu",
                                             "Elu",  "Softplus",  "HardSwish", "HardSigmoid", "Mish", "Abs",
                                             "Exp",  "Neg",       "Sqrt",      "Identity"};

/// Elements [begin, end) of `axis`.
Tensor slice_of(const Tensor& tensor, std::size_t axis, std::int64_t begin, std::int64_t end) {
  Shape shape = tensor.shape();
  const std::int64_t whole = shape[axis];
  shape[axis] = end - begin;
  Tensor part = Tensor::allocate(tensor.dtype(), shape);
  const std::size_t width = element_size(tensor.dtype());
  std::size_t inner = width;
  for (std::size_t d = axis + 1; d < shape.size(); ++d) inner *= static_cast<std::size_t>(shape[d]);
  std::size_t outer = 1;
  for (std::size_t d = 0; d < axis; ++d) outer *= static_cast<std::size_t>(shape[d]);
  const auto* from = static_cast<const std::byte*>(tensor.raw());
  auto* to = static_cast<std::byte*>(part.raw());
  const std::size_t bytes = static_cast<std::size_t>(end - begin) * inner;
  for (std::size_t row = 0; row < outer && bytes > 0; ++row) {
    std::copy_n(from + (row * static_cast<std::size_t>(whole) + static_cast<std::size_t>(begin)) * inner, bytes,
                to + row * bytes);
  }
  return part;
}

/// Non-zeros of each slice along `axis`, and something for its existence.
std::vector<double> weight_along(const Tensor& tensor, std::size_t axis) {
  const Shape& shape = tensor.shape();
  std::vector<double> weights(static_cast<std::size_t>(shape[axis]), kWeightOfColumn);
  std::size_t inner = 1;
  for (std::size_t d = axis + 1; d < shape.size(); ++d) inner *= static_cast<std::size_t>(shape[d]);
  const auto values = tensor.data<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] != 0) weights[i / inner % weights.size()] += 1;
  }
  return weights;
}

class Splitter {
 public:
  Splitter(const Graph& graph, int rank, int ranks, const RowSplitOptions& options)
      : graph_(graph),
        rank_(static_cast<std::size_t>(rank)),
        ranks_(ranks),
        options_(options),
        builder_(graph.name()),
        whole_(graph.values().size()),
        shard_(graph.values().size()),
        seconds_(estimate_node_seconds(graph)) {}

  RowProgram run() {
    for (const ValueId id : graph_.inputs()) {
      whole_[id] = Local{builder_.add_input(graph_.value(id).name, graph_.value(id).type), 0};
      input_ids_.push_back(whole_[id]->id);
    }
    plan_attention();
    for (NodeId id = 0; id < graph_.nodes().size(); ++id) place(id);
    std::vector<ValueId> outputs;
    for (const ValueId id : graph_.outputs()) outputs.push_back(whole(id).id);
    return finish(outputs);
  }

 private:
  /// A value of the local graph and the level from which on it is there.
  struct Local {
    ValueId id = kNoValue;
    std::size_t level = 0;
  };
  /// This rank's part of a value.
  struct Shard {
    Local local;
    std::size_t axis = 0;
    Bounds bounds;
  };
  struct Attention {
    Bounds heads;
    std::int64_t all_heads = 0;
  };

  const Type& type_of(ValueId id) const { return graph_.value(id).type; }
  static double bytes_of(const Type& type) {
    return static_cast<double>(element_count(*type.shape)) * static_cast<double>(element_size(type.dtype));
  }
  bool is_f32(ValueId id) const { return type_of(id).is_concrete() && type_of(id).dtype == DType::f32; }
  double exchange_seconds(double bytes) const {
    return options_.link_latency_s + bytes * (ranks_ - 1) / ranks_ / options_.link_bytes_per_s;
  }
  bool pays(NodeId node, double exchanged_bytes) const {
    return options_.always || seconds_[node] * (ranks_ - 1) / ranks_ > exchange_seconds(exchanged_bytes);
  }
  std::int64_t begin(const Bounds& bounds) const { return bounds[rank_]; }
  std::int64_t end(const Bounds& bounds) const { return bounds[rank_ + 1]; }
  static bool every_part_has_some(const Bounds& bounds) {
    return std::adjacent_find(bounds.begin(), bounds.end(), [](auto a, auto b) { return a >= b; }) == bounds.end();
  }

  Local constant(ValueId id) {
    if (!whole_[id]) whole_[id] = Local{builder_.add_constant(graph_.value(id).name, *graph_.value(id).constant), 0};
    return *whole_[id];
  }

  /// The value as every rank needs it, exchanged when so far each has only a part.
  Local whole(ValueId id) {
    if (graph_.value(id).constant) return constant(id);
    if (whole_[id]) return *whole_[id];
    require(shard_[id].has_value(), "a value is read before it is computed");
    const Shard& shard = *shard_[id];
    RowExchange exchange;
    exchange.kind = RowExchange::Kind::gather;
    exchange.axis = shard.axis;
    exchange.bounds = shard.bounds;
    whole_[id] = exchanged(id, shard.local, std::move(exchange));
    return *whole_[id];
  }

  Local exchanged(ValueId id, const Local& part, RowExchange exchange) {
    const Type& type = type_of(id);
    exchange.part = part.id;
    exchange.shape = *type.shape;
    exchange.level = part.level;
    exchange.whole = builder_.add_input(graph_.value(id).name + "@whole", type);
    exchanges_.push_back(exchange);
    return {exchange.whole, part.level + 1};
  }

  /// Adds a node whose operands are local; its level is that of the latest operand.
  std::size_t add(Node node, const std::vector<Local>& operands) {
    std::size_t level = 0;
    for (const Local& operand : operands) level = std::max(level, operand.level);
    const NodeId added = builder_.add_node(std::move(node));
    levels_.emplace_back(added, level);
    return level;
  }

  void set_shard(ValueId id, ValueId local, std::size_t level, std::size_t axis, Bounds bounds) {
    shard_[id] = Shard{{local, level}, axis, std::move(bounds)};
  }
  Type part_type(ValueId id, std::size_t axis, const Bounds& bounds) const {
    Type type = type_of(id);
    (*type.shape)[axis] = end(bounds) - begin(bounds);
    return type;
  }
  ValueId add_part(ValueId id, std::size_t axis, const Bounds& bounds) {
    return builder_.add_value(graph_.value(id).name + "@part", part_type(id, axis, bounds));
  }
  Local part_of_constant(ValueId id, std::size_t axis, const Bounds& bounds) {
    return {builder_.add_constant(graph_.value(id).name + "@part",
                                  slice_of(*graph_.value(id).tensor(), axis, begin(bounds), end(bounds))),
            0};
  }
  /// This rank's part of a value that is there as a whole or cut the same way.
  Local part_of(ValueId id, std::size_t axis, const Bounds& bounds) {
    if (shard_[id] && shard_[id]->axis == axis && shard_[id]->bounds == bounds) return shard_[id]->local;
    const Local source = whole(id);
    const auto list = [&](std::int64_t value) {
      return builder_.add_constant("", Tensor::of<std::int64_t>({1}, {value}));
    };
    Node slice;
    slice.name = graph_.value(id).name + "@slice";
    slice.op = "Slice";
    slice.opset = 13;
    slice.inputs = {source.id, list(begin(bounds)), list(end(bounds)), list(static_cast<std::int64_t>(axis))};
    const ValueId result = add_part(id, axis, bounds);
    slice.outputs = {result};
    return {result, add(std::move(slice), {source})};
  }

  static bool is_attention(const Node& node) {
    return node.is("MultiHeadAttention", kInternalDomain) || node.is("ChannelAttention", kInternalDomain);
  }
  static std::size_t attention_channels(const Node& node) { return node.op == "ChannelAttention" ? 1 : 2; }

  // Which products make Q, K and V of an attention that can be cut by heads.
  void plan_attention() {
    for (const Node& node : graph_.nodes()) {
      if (!is_attention(node)) continue;
      const std::size_t channels = attention_channels(node);
      const std::int64_t heads = node.get<std::int64_t>("num_heads");
      std::vector<double> weights(static_cast<std::size_t>(std::max<std::int64_t>(heads, 0)), 0);
      bool possible = heads >= ranks_;
      if (node.inputs.size() > 3 && node.inputs[3] != kNoValue) {
        const Type& mask = type_of(node.inputs[3]);
        possible =
            possible && mask.is_concrete() && (mask.shape->size() < 3 || (*mask.shape)[mask.shape->size() - 3] == 1);
      }
      for (std::size_t i = 0; possible && i < 3; ++i) {
        const auto product = graph_.producer(node.inputs[i]);
        const auto matrix = product ? product_of(*product) : std::nullopt;
        possible = matrix && graph_.consumers(node.inputs[i]).size() == 1 && !graph_.is_output(node.inputs[i]) &&
                   matrix->channels == channels && cuttable_along_channels(graph_.node(*product), *matrix);
        if (!possible) break;
        const auto columns = column_weights(*matrix);
        for (std::size_t c = 0; c < columns.size(); ++c) weights[c * weights.size() / columns.size()] += columns[c];
      }
      if (!possible) continue;
      const Bounds bounds = balanced_bounds(weights, ranks_, 1);
      if (!every_part_has_some(bounds)) continue;
      for (std::size_t i = 0; i < 3; ++i) {
        const std::int64_t width = (*type_of(node.inputs[i]).shape)[channels] / heads;
        Bounds columns = bounds;
        for (std::int64_t& bound : columns) bound *= width;
        channel_bounds_[node.inputs[i]] = columns;
      }
      attention_[node.outputs[0]] = {bounds, heads};
    }
  }

  /// A product with a constant matrix, in either layout: activations [.., token, channel] with the matrix on the right,
  /// or [1, channel, token] with the matrix on the left.
  struct Product {
    const Tensor* matrix = nullptr;
    std::size_t matrix_operand = 1, data_operand = 0;
    std::size_t out_axis = 1;       ///< of the matrix: which result channel
    std::size_t data_channels = 0;  ///< axis of channels in the data
    std::size_t channels = 0;       ///< and in the result
    std::size_t in_axis() const { return 1 - out_axis; }
  };
  std::optional<Product> product_of(NodeId id) const {
    const Node& node = graph_.node(id);
    if (!node.is("MatMul") && !node.is("FusedMatMul", kInternalDomain)) return std::nullopt;
    Product product;
    const bool left = graph_.value(node.inputs[0]).constant.has_value();
    if (left) std::swap(product.matrix_operand, product.data_operand);
    const ValueId data = node.inputs[product.data_operand], result = node.outputs[0];
    product.matrix = graph_.value(node.inputs[product.matrix_operand]).tensor();
    if (product.matrix == nullptr || product.matrix->dtype() != DType::f32 || product.matrix->rank() != 2)
      return std::nullopt;
    if (!is_f32(data) || !is_f32(result)) return std::nullopt;
    const std::size_t data_rank = type_of(data).shape->size(), rank = type_of(result).shape->size();
    if (data_rank < 2 || rank < 2 || node.int_or(left ? "transB" : "transA", 0) != 0) return std::nullopt;
    product.data_channels = data_rank - (left ? 2 : 1);
    product.channels = rank - (left ? 2 : 1);
    const bool transposed = node.int_or(left ? "transA" : "transB", 0) != 0;
    product.out_axis = left == transposed ? 1 : 0;
    return product;
  }
  static std::vector<double> column_weights(const Product& product) {
    return weight_along(*product.matrix, product.out_axis);
  }
  static ValueId operand(const Node& node, std::size_t i) { return i < node.inputs.size() ? node.inputs[i] : kNoValue; }

  /// The axis of a bias that runs over the result's channels; nullopt for one value.
  static std::optional<std::size_t> bias_axis(const Tensor& bias, const Shape& result, std::size_t channels) {
    const std::size_t behind = result.size() - channels;  // axes from the channels on
    if (bias.size() == 1 || bias.rank() < behind) return std::nullopt;
    return bias.rank() - behind;
  }
  /// The bias has to be a constant of one value per channel, or one value.
  bool cuttable_along_channels(const Node& node, const Product& product) const {
    const ValueId bias = operand(node, 2);
    if (bias == kNoValue) return true;
    const Tensor* values = graph_.value(bias).tensor();
    if (values == nullptr) return false;
    const Shape& result = *type_of(node.outputs[0]).shape;
    const auto axis = bias_axis(*values, result, product.channels);
    return values->size() == 1 ||
           (axis && values->size() == values->shape()[*axis] && values->size() == result[product.channels]);
  }

  void place(NodeId id) {
    const Node& node = graph_.node(id);
    if (const auto product = product_of(id); product && place_product(id, *product)) return;
    if (is_attention(node) && place_attention(node)) return;
    if ((node.is("Conv") || node.is("FusedConv", kInternalDomain)) && place_convolution(id)) return;
    if (place_elementwise(node)) return;
    place_whole(node);
  }

  void place_whole(const Node& node) {
    Node copy = node;
    std::vector<Local> operands;
    const auto take = [&](ValueId& id) {
      if (id == kNoValue) return;
      operands.push_back(whole(id));
      id = operands.back().id;
    };
    for (ValueId& id : copy.inputs) take(id);
    for (ValueId& id : copy.captures) take(id);
    for (ValueId& id : copy.outputs) {
      if (id != kNoValue) id = builder_.add_value(graph_.value(id).name, type_of(id));
    }
    const std::vector<ValueId> results = copy.outputs;
    const std::size_t level = add(std::move(copy), operands);
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (results[i] != kNoValue) whole_[node.outputs[i]] = Local{results[i], level};
    }
  }

  bool place_product(NodeId id, const Product& product) {
    const Node& node = graph_.node(id);
    const ValueId data = node.inputs[product.data_operand];
    if (!whole_[data] && shard_[data] && shard_[data]->axis == product.data_channels &&
        FusedActivation::of(node).kind == FusedActivation::Kind::none &&
        bytes_of(type_of(node.outputs[0])) <= 2 * bytes_of(type_of(data))) {
      place_summands(node, product);
      return true;
    }
    return place_channels(id, product);
  }

  /// Each rank multiplies its part of the operand by its share of the matrix; the results are summands.
  void place_summands(const Node& node, const Product& product) {
    const ValueId data = node.inputs[product.data_operand], matrix = node.inputs[product.matrix_operand];
    const Shard& shard = *shard_[data];
    Node copy = node;
    std::vector<Local> operands{shard.local, part_of_constant(matrix, product.in_axis(), shard.bounds)};
    copy.inputs = {kNoValue, kNoValue};
    copy.inputs[product.data_operand] = operands[0].id;
    copy.inputs[product.matrix_operand] = operands[1].id;
    for (std::size_t i = 2; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == kNoValue) {
        copy.inputs.push_back(kNoValue);
        continue;
      }
      const Local added = whole(node.inputs[i]);  // on every rank, so that all exchange the same
      operands.push_back(added);
      copy.inputs.push_back(rank_ == 0 ? added.id : kNoValue);
    }
    while (copy.inputs.back() == kNoValue) copy.inputs.pop_back();
    const ValueId output = node.outputs[0];
    const ValueId summand = builder_.add_value(graph_.value(output).name + "@summand", type_of(output));
    copy.outputs = {summand};
    const std::size_t level = add(std::move(copy), operands);
    RowExchange exchange;
    exchange.kind = RowExchange::Kind::sum;
    whole_[output] = exchanged(output, {summand, level}, std::move(exchange));
    ++split_nodes_;
  }

  bool place_channels(NodeId id, const Product& product) {
    const Node& node = graph_.node(id);
    const ValueId output = node.outputs[0];
    const auto planned = channel_bounds_.find(output);
    const bool is_planned = planned != channel_bounds_.end();
    if (!is_planned && (!cuttable_along_channels(node, product) || !pays(id, bytes_of(type_of(output))))) return false;
    const Bounds bounds = is_planned ? planned->second : balanced_bounds(column_weights(product), ranks_, kColumnGrain);
    if (!every_part_has_some(bounds)) return false;
    const std::size_t axis = product.channels;
    Node copy = node;
    std::vector<Local> operands{whole(node.inputs[product.data_operand]),
                                part_of_constant(node.inputs[product.matrix_operand], product.out_axis, bounds)};
    copy.inputs = {kNoValue, kNoValue};
    copy.inputs[product.data_operand] = operands[0].id;
    copy.inputs[product.matrix_operand] = operands[1].id;
    if (const ValueId bias = operand(node, 2); bias != kNoValue || node.inputs.size() > 3) {
      if (bias == kNoValue) {
        copy.inputs.push_back(kNoValue);
      } else {
        const auto along = bias_axis(*graph_.value(bias).tensor(), *type_of(output).shape, axis);
        operands.push_back(along ? part_of_constant(bias, *along, bounds) : constant(bias));
        copy.inputs.push_back(operands.back().id);
      }
    }
    if (const ValueId residual = operand(node, 3); residual != kNoValue) {
      operands.push_back(part_of(residual, axis, bounds));
      copy.inputs.push_back(operands.back().id);
    }
    const ValueId part = add_part(output, axis, bounds);
    copy.outputs = {part};
    set_shard(output, part, add(std::move(copy), operands), axis, bounds);
    ++split_nodes_;
    return true;
  }

  bool place_attention(const Node& node) {
    const auto planned = attention_.find(node.outputs[0]);
    if (planned == attention_.end()) return false;
    for (std::size_t i = 0; i < 3; ++i) {
      if (!shard_[node.inputs[i]] || shard_[node.inputs[i]]->bounds != channel_bounds_[node.inputs[i]]) return false;
    }
    const Attention& attention = planned->second;
    Node copy = node;
    std::vector<Local> operands;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == kNoValue) continue;
      operands.push_back(i < 3 ? shard_[node.inputs[i]]->local : whole(node.inputs[i]));
      copy.inputs[i] = operands.back().id;
    }
    copy.attributes["num_heads"] = end(attention.heads) - begin(attention.heads);
    const std::size_t axis = attention_channels(node);
    const std::int64_t width = (*type_of(node.inputs[2]).shape)[axis] / attention.all_heads;
    Bounds bounds = attention.heads;
    for (std::int64_t& bound : bounds) bound *= width;
    const ValueId part = add_part(node.outputs[0], axis, bounds);
    copy.outputs = {part};
    set_shard(node.outputs[0], part, add(std::move(copy), operands), axis, bounds);
    ++split_nodes_;
    return true;
  }

  /// Convolutions with one group along output channels; depthwise ones as their operand is cut.
  bool place_convolution(NodeId id) {
    const Node& node = graph_.node(id);
    const ValueId x = node.inputs[0], output = node.outputs[0];
    const Tensor* weight = graph_.value(node.inputs[1]).tensor();
    if (weight == nullptr || weight->dtype() != DType::f32 || weight->rank() < 3 || !is_f32(x) || !is_f32(output))
      return false;
    const ValueId bias = operand(node, 2);
    if (bias != kNoValue && graph_.value(bias).tensor() == nullptr) return false;
    const std::int64_t groups = node.int_or("group", 1), channels = weight->shape()[0];
    const bool depthwise = groups > 1 && groups == channels && weight->shape()[1] == 1;
    Bounds bounds;
    std::vector<Local> operands;
    Node copy = node;
    if (depthwise && !whole_[x] && shard_[x] && shard_[x]->axis == 1) {
      bounds = shard_[x]->bounds;
      operands.push_back(shard_[x]->local);
      copy.attributes["group"] = end(bounds) - begin(bounds);
    } else if (groups == 1) {
      if (!pays(id, bytes_of(type_of(output)))) return false;
      bounds = balanced_bounds(weight_along(*weight, 0), ranks_, kColumnGrain);
      if (!every_part_has_some(bounds)) return false;
      operands.push_back(whole(x));
    } else {
      return false;
    }
    operands.push_back(part_of_constant(node.inputs[1], 0, bounds));
    copy.inputs[0] = operands[0].id;
    copy.inputs[1] = operands[1].id;
    if (bias != kNoValue) {
      operands.push_back(part_of_constant(bias, 0, bounds));
      copy.inputs[2] = operands.back().id;
    }
    if (const ValueId residual = operand(node, 3); residual != kNoValue) {
      operands.push_back(part_of(residual, 1, bounds));
      copy.inputs[3] = operands.back().id;
    }
    const ValueId part = add_part(output, 1, bounds);
    copy.outputs = {part};
    set_shard(output, part, add(std::move(copy), operands), 1, bounds);
    ++split_nodes_;
    return true;
  }

  /// Of operators on one operand, and sums and products of values cut alike or with one constant number.
  bool place_elementwise(const Node& node) {
    if (!node.domain.empty() || node.outputs.size() != 1 || node.inputs.empty()) return false;
    const bool unary = node.inputs.size() == 1 && std::ranges::find(kElementwise, node.op) != std::end(kElementwise);
    const bool binary =
        node.inputs.size() == 2 && (node.op == "Add" || node.op == "Mul" || node.op == "Sub" || node.op == "Div");
    if (!unary && !binary) return false;
    const Shard* cut = nullptr;
    for (const ValueId id : node.inputs) {
      if (id != kNoValue && !whole_[id] && shard_[id]) cut = &*shard_[id];
    }
    if (cut == nullptr || !is_f32(node.outputs[0])) return false;
    Node copy = node;
    std::vector<Local> operands;
    for (ValueId& id : copy.inputs) {
      const Tensor* number = graph_.value(id).tensor();
      if (number != nullptr && number->size() == 1) {
        operands.push_back(constant(id));
      } else if (shard_[id] && shard_[id]->axis == cut->axis && shard_[id]->bounds == cut->bounds &&
                 type_of(id).shape == type_of(node.outputs[0]).shape) {
        operands.push_back(shard_[id]->local);
      } else {
        return false;
      }
      id = operands.back().id;
    }
    const std::size_t axis = cut->axis;
    const Bounds bounds = cut->bounds;
    const ValueId part = add_part(node.outputs[0], axis, bounds);
    copy.outputs = {part};
    set_shard(node.outputs[0], part, add(std::move(copy), operands), axis, bounds);
    return true;
  }

  /// Builds the local graph; ids change with that, names do not.
  RowProgram finish(const std::vector<ValueId>& outputs) {
    for (const RowExchange& exchange : exchanges_) builder_.add_output(exchange.part);
    for (const ValueId id : outputs) {
      if (!builder_.is_output(id)) builder_.add_output(id);
    }
    std::map<std::string, std::size_t> level_of_value;
    for (const auto& [node, level] : levels_) {
      for (const ValueId id : std::as_const(builder_).node(node).outputs) {
        if (id != kNoValue) level_of_value[builder_.value(id).name] = level;
      }
    }
    const auto name_of = [&](ValueId id) { return builder_.value(id).name; };
    std::vector<std::string> input_names, output_names;
    for (const ValueId id : input_ids_) input_names.push_back(name_of(id));
    for (const ValueId id : outputs) output_names.push_back(name_of(id));
    std::vector<std::pair<std::string, std::string>> exchange_names;
    for (const RowExchange& exchange : exchanges_)
      exchange_names.emplace_back(name_of(exchange.part), name_of(exchange.whole));

    RowProgram program;
    program.graph = std::make_shared<const Graph>(std::move(builder_).build());
    const auto find = [&](const std::string& name) { return program.graph->find_value(name).value_or(kNoValue); };
    for (const std::string& name : input_names) program.inputs.push_back(find(name));
    for (const std::string& name : output_names) program.outputs.push_back(find(name));
    program.exchanges = std::move(exchanges_);
    for (std::size_t i = 0; i < program.exchanges.size(); ++i) {
      program.exchanges[i].part = find(exchange_names[i].first);
      program.exchanges[i].whole = find(exchange_names[i].second);
    }
    for (NodeId id = 0; id < program.graph->nodes().size(); ++id) {
      std::size_t level = 0;
      for (const ValueId output : program.graph->node(id).outputs) {
        if (output == kNoValue) continue;
        level = level_of_value.at(program.graph->value(output).name);
      }
      if (program.levels.size() <= level) program.levels.resize(level + 1);
      program.levels[level].push_back(id);
    }
    std::stable_sort(program.exchanges.begin(), program.exchanges.end(),
                     [](const auto& a, const auto& b) { return a.level < b.level; });
    program.split_nodes = split_nodes_;
    return program;
  }

  const Graph& graph_;
  std::size_t rank_;
  int ranks_;
  RowSplitOptions options_;
  GraphBuilder builder_;
  std::vector<std::optional<Local>> whole_;  // by value of the original graph
  std::vector<std::optional<Shard>> shard_;
  std::vector<double> seconds_;
  std::map<ValueId, Bounds> channel_bounds_;  // decided beforehand, by value
  std::map<ValueId, Attention> attention_;    // by output
  std::vector<std::pair<NodeId, std::size_t>> levels_;
  std::vector<RowExchange> exchanges_;
  std::vector<ValueId> input_ids_;
  std::size_t split_nodes_ = 0;
};

}  // namespace

std::vector<std::int64_t> balanced_bounds(const std::vector<double>& weights, int parts, std::int64_t grain) {
  const auto count = static_cast<std::int64_t>(weights.size());
  double sum = 0;
  for (const double weight : weights) sum += weight;
  std::vector<std::int64_t> bounds{0};
  double before = 0;
  std::int64_t at = 0;
  for (int part = 1; part < parts; ++part) {
    const double wanted = sum * part / parts;
    while (at < count) {
      double block = 0;
      const std::int64_t end = std::min(at + grain, count);
      for (std::int64_t i = at; i < end; ++i) block += weights[static_cast<std::size_t>(i)];
      if (before + 0.5 * block > wanted) break;  // the nearer multiple
      before += block;
      at = end;
    }
    bounds.push_back(at);
  }
  bounds.push_back(count);
  return bounds;
}

RowProgram split_rows(const Graph& graph, int rank, int ranks, const RowSplitOptions& options) {
  return Splitter(graph, rank, ranks, options).run();
}

}  // namespace sparse_run
