// Regions of blocked images: found along the topological order, weighed one by one, then written as a new graph.
#include "cpu/blocked_graph.hpp"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cpu/dense/blocked.hpp"
#include "cpu/kernels/blocked.hpp"
#include "cpu/kernels/sparsity_threshold.hpp"

namespace sparse_run::cpu {

namespace {

/// What a node does in a region of blocked images.
enum class Role {
  none,      ///< works on plain values
  source,    ///< a dense convolution: worth a region of its own
  follower,  ///< stays in its operands' region
  sink,      ///< reads a region, its result is plain
};

bool is_one_of(std::string_view op, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), op) != names.end();
}

/// Share of the FMA peak that the blocked kernel reaches: 0.84 to 0.96 on ResNet-50's layers, one thread.
constexpr double kBlockedEfficiency = 0.88;

/// Decides and rewrites; holds what only that needs.
class Blocking {
 public:
  Blocking(const Partition& partition, const CompileOptions& options)
      : partition_(partition), options_(options), graph_(*partition.graph) {}

  std::optional<BlockedPartition> run() {
    region_.assign(graph_.values().size(), kNoRegion);
    for (const NodeId id : partition_.nodes) assign(id);
    weigh();
    const bool any = std::any_of(roles_.begin(), roles_.end(), [&](const auto& entry) {
      return entry.second.role != Role::none && worth(entry.second.region);
    });
    if (!any) return std::nullopt;
    return rewrite();
  }

 private:
  static constexpr int kNoRegion = -1;
  struct Placement {
    Role role = Role::none;
    int region = kNoRegion;
    Convolution conv;  ///< of a source
  };

  int root(int region) {
    while (parents_[static_cast<std::size_t>(region)] != region) region = parents_[static_cast<std::size_t>(region)];
    return region;
  }
  void unite(int a, int b) { parents_[static_cast<std::size_t>(root(b))] = root(a); }
  int region_of(ValueId id) { return id == kNoValue || region_[id] == kNoRegion ? kNoRegion : root(region_[id]); }
  bool worth(int region) { return region != kNoRegion && gain_[static_cast<std::size_t>(root(region))] > 0; }

  bool is_image(ValueId id) const {
    const ValueDef& value = graph_.value(id);
    return !value.constant && value.type.is_concrete() && value.type.dtype == DType::f32 &&
           value.type.shape->size() == 4;
  }

  /// Is a sparse kernel expected to beat the blocked one?
  static bool prefers_sparse(const NodeView& view) {
    return 1 - view.zeros(1) < kSparseConvolutionEfficiency / kBlockedEfficiency;
  }

  enum class Pin { none, plain, blocked };
  Pin pin_of(NodeId id) const {
    const auto found = options_.kernels.find(id);
    if (found == options_.kernels.end()) return Pin::none;
    return found->second.find(".blocked") == std::string::npos ? Pin::plain : Pin::blocked;
  }

  /// The role a node could have, its operands' regions aside.
  Role role_of(const NodeView& view, Pin pin, Convolution& conv) const {
    const Node& node = view.node();
    if (!view.concrete() || node.inputs.empty() || node.outputs.size() != 1 || node.outputs[0] == kNoValue)
      return Role::none;
    if (!view.has_input(0) || !is_image(node.inputs[0]) || !is_image(node.outputs[0])) return Role::none;
    const bool fused = node.is("FusedConv", kInternalDomain);
    if (fused || node.is("Conv")) {
      if (pin == Pin::plain) return Role::none;
      if (view.constant(1) == nullptr || describe_blocked_convolution(view, conv)) return Role::none;
      if (conv.residual && !is_image(node.inputs[3])) return Role::none;
      if (conv.groups > 1) return Role::follower;
      return prefers_sparse(view) && pin == Pin::none ? Role::none : Role::source;
    }
    if (!node.domain.empty()) return Role::none;
    if (pin == Pin::plain && is_one_of(node.op, {"MaxPool", "AveragePool", "GlobalAveragePool"})) return Role::none;
    if (is_one_of(node.op, {"MaxPool", "AveragePool"})) return why_no_blocked_pool(view) ? Role::none : Role::follower;
    if (node.op == "GlobalAveragePool") return element_count(view.input_shape(0)) == 0 ? Role::none : Role::sink;
    const auto scalar = [&](std::size_t i) { return !view.has_input(i) || element_count(view.input_shape(i)) == 1; };
    if (is_one_of(node.op, {"Relu", "Clip", "LeakyRelu", "HardSwish", "Sigmoid", "Tanh"})) {
      for (std::size_t i = 1; i < node.inputs.size(); ++i) {
        if (!scalar(i)) return Role::none;
      }
      return Role::follower;
    }
    if (is_one_of(node.op, {"Add", "Sub", "Mul"})) {
      return node.inputs.size() == 2 && is_image(node.inputs[1]) && view.input_shape(0) == view.input_shape(1)
                 ? Role::follower
                 : Role::none;
    }
    if (node.op == "Concat") {
      const std::int64_t axis = node.int_or("axis", 0);
      if (axis != 1 && axis != -3) return Role::none;
      const bool whole = std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) {
        return is_image(id) && (*graph_.value(id).type.shape)[1] % kBlockChannels == 0;
      });
      return whole ? Role::follower : Role::none;
    }
    return Role::none;
  }

  /// Operands that a blocked node reads as images.
  static std::vector<ValueId> images_of(const Node& node) {
    std::vector<ValueId> ids{node.inputs[0]};
    if (is_one_of(node.op, {"Conv", "FusedConv"})) {
      if (node.inputs.size() > 3 && node.inputs[3] != kNoValue) ids.push_back(node.inputs[3]);
    } else if (is_one_of(node.op, {"Add", "Sub", "Mul", "Concat"})) {
      ids = node.inputs;
    }
    return ids;
  }

  bool reads_plain(const Placement& placement) const {
    return placement.role == Role::source && placement.conv.in_channels <= kPlainInputChannels;
  }

  void assign(NodeId id) {
    const Node& node = graph_.node(id);
    Placement placement;
    placement.role = role_of(NodeView(graph_, node), pin_of(id), placement.conv);
    if (placement.role == Role::none) return;
    for (const ValueId operand : images_of(node)) {
      const int region = operand == node.inputs[0] && reads_plain(placement) ? kNoRegion : region_of(operand);
      if (region == kNoRegion) continue;
      if (placement.region == kNoRegion) {
        placement.region = region;
      } else {
        unite(placement.region, region);
      }
    }
    if (placement.region == kNoRegion) {
      if (placement.role != Role::source) return;
      placement.region = static_cast<int>(parents_.size());
      parents_.push_back(placement.region);
    }
    if (placement.role != Role::sink) region_[node.outputs[0]] = placement.region;
    roles_.emplace(id, placement);
  }

  static double bytes_of(const Type& type) { return 4.0 * static_cast<double>(element_count(*type.shape)); }

  /// Seconds a region saves on one core of a current processor. Shares of the peak of plain kernels are those of kernel-bench.
  void weigh() {
    constexpr double kPeak = 200e9;  // FLOP/s
    constexpr double kReorderBytesPerSecond = 8e9;
    gain_.assign(parents_.size(), 0);
    std::unordered_map<ValueId, bool> entered, left;
    const auto charge = [&](int region, ValueId value, std::unordered_map<ValueId, bool>& done) {
      if (!done.emplace(value, true).second) return;
      gain_[static_cast<std::size_t>(root(region))] -= bytes_of(graph_.value(value).type) / kReorderBytesPerSecond;
    };
    for (const NodeId id : partition_.nodes) {
      const Node& node = graph_.node(id);
      const auto found = roles_.find(id);
      const int own = found == roles_.end() ? kNoRegion : root(found->second.region);
      if (own != kNoRegion) {
        const Placement& placement = found->second;
        if (placement.role == Role::source) gain_[static_cast<std::size_t>(own)] += saved_flops(placement.conv) / kPeak;
        if (pin_of(id) == Pin::blocked) gain_[static_cast<std::size_t>(own)] += 1e9;
        for (const ValueId operand : images_of(node)) {
          if (operand == node.inputs[0] && reads_plain(placement)) continue;
          if (region_of(operand) == kNoRegion) charge(own, operand, entered);
        }
        if (reads_plain(placement) && region_of(node.inputs[0]) != kNoRegion) {
          charge(region_of(node.inputs[0]), node.inputs[0], left);
        }
        continue;
      }
      for (const ValueId operand : node.inputs) {
        if (region_of(operand) != kNoRegion) charge(region_of(operand), operand, left);
      }
    }
    for (const ValueId output : partition_.outputs) {
      if (region_of(output) != kNoRegion) charge(region_of(output), output, left);
    }
  }

  /// FLOPs at full speed that take as long as what the plain kernel needs more than the blocked one; negative where
  /// padding channels to blocks costs more than it saves.
  static double saved_flops(const Convolution& conv) {
    const double flops = 2.0 * static_cast<double>(conv.images * conv.out_channels) * static_cast<double>(conv.k()) *
                         static_cast<double>(conv.out_plane);
    const auto whole = [](std::int64_t n) {
      return static_cast<double>(n) / static_cast<double>(blocks_of(n) * kBlockChannels);
    };
    const bool plain = conv.in_channels <= kPlainInputChannels;
    const double blocked = kBlockedEfficiency * whole(conv.out_channels) * (plain ? 1.0 : whole(conv.in_channels));
    const double column = (plain ? 0.5 : conv.window.is_plain() ? 0.8 : 0.75) * whole(conv.out_plane);
    return flops * (1 / column - 1 / blocked);
  }

  BlockedPartition rewrite() {
    plain_.assign(graph_.values().size(), kNoValue);
    blocked_.assign(graph_.values().size(), kNoValue);
    for (const ValueId id : partition_.inputs) {
      plain_[id] = builder_.add_input(graph_.value(id).name, graph_.value(id).type, graph_.value(id).symbols);
    }
    for (const NodeId id : partition_.nodes) {
      const auto found = roles_.find(id);
      if (found != roles_.end() && worth(found->second.region)) {
        write_blocked(graph_.node(id), found->second);
      } else {
        write_plain(graph_.node(id));
      }
    }
    for (const ValueId id : partition_.outputs) builder_.add_output(plain(id));
    BlockedPartition rewritten{{}, options_};
    Partition& result = rewritten.partition;
    const auto graph = std::make_shared<const Graph>(std::move(builder_).build());
    result.nodes.resize(graph->nodes().size());
    std::iota(result.nodes.begin(), result.nodes.end(), NodeId{0});
    result.inputs.assign(graph->inputs().begin(), graph->inputs().end());
    result.outputs.assign(graph->outputs().begin(), graph->outputs().end());
    result.graph = graph;
    std::unordered_map<std::string_view, NodeId> nodes;  // by name: ids are new
    for (NodeId id = 0; id < graph->nodes().size(); ++id) nodes.emplace(graph->node(id).name, id);
    rewritten.options.kernels.clear();
    for (const auto& [id, kernel] : options_.kernels) {
      const auto found = nodes.find(graph_.node(id).name);
      if (found != nodes.end()) rewritten.options.kernels.emplace(found->second, kernel);
    }
    return rewritten;
  }

  ValueId convert(std::string_view op, ValueId from, const Type& type, const std::string& name) {
    Node node;
    node.op = op;
    node.domain = kInternalDomain;
    node.name = std::string(op) + " of " + name;
    node.inputs = {from};
    node.outputs = {builder_.add_value(name, type)};
    const ValueId result = node.outputs[0];
    builder_.add_node(std::move(node));
    return result;
  }

  /// The value in the new graph, as the old one has it.
  ValueId plain(ValueId id) {
    if (id == kNoValue) return kNoValue;
    const ValueDef& value = graph_.value(id);
    if (plain_[id] != kNoValue) return plain_[id];
    if (value.constant) return plain_[id] = builder_.add_constant(value.name, *value.constant);
    require(blocked_[id] != kNoValue, "a value is read before it is computed");
    return plain_[id] = convert("FromBlocked", blocked_[id], value.type, value.name);
  }

  ValueId blocked(ValueId id) {
    if (blocked_[id] != kNoValue) return blocked_[id];
    const ValueDef& value = graph_.value(id);
    return blocked_[id] = convert("ToBlocked", plain(id), blocked_type(value.type), value.name + " blocked");
  }

  static Type blocked_type(const Type& type) { return Type::tensor(DType::f32, blocked_shape(*type.shape)); }

  void write_plain(const Node& node) {
    Node copy = node;
    for (ValueId& id : copy.inputs) id = plain(id);
    for (ValueId& id : copy.captures) id = plain(id);
    for (ValueId& id : copy.outputs) {
      if (id != kNoValue) id = plain_[id] = builder_.add_value(graph_.value(id).name, graph_.value(id).type);
    }
    builder_.add_node(std::move(copy));
  }

  void write_blocked(const Node& node, const Placement& placement) {
    Node copy = node;
    const auto images = images_of(node);
    for (std::size_t i = 0; i < copy.inputs.size(); ++i) {
      const ValueId id = node.inputs[i];
      const bool image = id != kNoValue && std::find(images.begin(), images.end(), id) != images.end() &&
                         !(i == 0 && reads_plain(placement));
      copy.inputs[i] = image ? blocked(id) : plain(id);
    }
    const bool conv = is_one_of(node.op, {"Conv", "FusedConv"});
    if (conv || is_one_of(node.op, {"MaxPool", "AveragePool", "GlobalAveragePool"})) {
      copy.op = conv ? "BlockedConv" : "Blocked" + node.op;
      copy.domain = kInternalDomain;
    } else if (node.op == "Concat") {
      copy.attributes["axis"] = std::int64_t{1};
    }
    const ValueDef& output = graph_.value(node.outputs[0]);
    if (placement.role == Role::sink) {
      copy.outputs[0] = plain_[node.outputs[0]] = builder_.add_value(output.name, output.type);
    } else {
      copy.outputs[0] = blocked_[node.outputs[0]] =
          builder_.add_value(output.name + " blocked", blocked_type(output.type));
    }
    builder_.add_node(std::move(copy));
  }

  const Partition& partition_;
  const CompileOptions& options_;
  const Graph& graph_;
  std::unordered_map<NodeId, Placement> roles_;
  std::vector<int> region_;   ///< by value; regions are united, see root()
  std::vector<int> parents_;  ///< by region
  std::vector<double> gain_;  ///< by region, right for roots
  GraphBuilder builder_;
  std::vector<ValueId> plain_, blocked_;  ///< old value to new
};

}  // namespace

std::optional<BlockedPartition> with_blocked_images(const Partition& partition, const CompileOptions& options) {
  return Blocking(partition, options).run();
}

}  // namespace sparse_run::cpu
