// Runs of layers worth passing image by image, and their graphs with a smaller batch.
#include "cpu/image_stages.hpp"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace sparse_run::cpu {

namespace {

bool is_one_of(std::string_view op, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), op) != names.end();
}

/// Operators that compute each image (index of the first dimension) by itself, when their operands are blocked.
bool is_image_wise(const Node& node) {
  if (node.domain == kInternalDomain) {
    return is_one_of(node.op, {"BlockedConv", "BlockedMaxPool", "BlockedAveragePool", "ToBlocked"});
  }
  return node.domain.empty() && is_one_of(node.op, {"Relu", "Clip", "LeakyRelu", "HardSwish", "Sigmoid", "Tanh", "Add",
                                                    "Sub", "Mul", "Concat"});
}

class ImageStages {
 public:
  ImageStages(const Partition& partition, const CompileOptions& options, const Environment& environment)
      : partition_(partition),
        options_(options),
        graph_(*partition.graph),
        private_bytes_(static_cast<double>(environment.machine.cache_bytes(2, 1 << 20)) * environment.threads) {}

  std::optional<std::vector<ImageStage>> run() {
    std::unordered_set<ValueId> computed;
    for (const NodeId id : partition_.nodes)
      computed.insert(graph_.node(id).outputs.begin(), graph_.node(id).outputs.end());
    std::unordered_set<ValueId> outputs;
    for (const ValueId id : partition_.outputs) {  // what is only passed through has no stage
      if (!computed.contains(id) || !outputs.insert(id).second) return std::nullopt;
    }
    const auto runs = find_runs();
    if (runs.empty()) return std::nullopt;
    std::vector<ImageStage> stages;
    std::size_t at = 0;
    for (const auto& [begin, end] : runs) {
      if (begin > at) stages.push_back(make_stage(at, begin, 1));
      stages.push_back(make_stage(begin, end, groups_of(begin, end)));
      at = end;
    }
    if (at < partition_.nodes.size()) stages.push_back(make_stage(at, partition_.nodes.size(), 1));
    return stages;
  }

 private:
  const Node& node(std::size_t position) const { return graph_.node(partition_.nodes[position]); }
  const Shape& shape(ValueId id) const { return *graph_.value(id).type.shape; }
  double bytes(ValueId id) const { return 4.0 * static_cast<double>(element_count(shape(id))); }
  bool is_constant(ValueId id) const { return graph_.value(id).constant.has_value(); }

  /// The batch a node may be cut along; 0: none.
  std::int64_t batch_of(const Node& n) const {
    if (!is_image_wise(n) || n.outputs.size() != 1 || n.outputs[0] == kNoValue) return 0;
    const Type& result = graph_.value(n.outputs[0]).type;
    if (!result.is_concrete() || result.dtype != DType::f32 || result.shape->size() != 5) return 0;
    const std::int64_t batch = (*result.shape)[0];
    for (const ValueId id : n.inputs) {
      if (id == kNoValue || is_constant(id)) continue;
      const Type& type = graph_.value(id).type;
      if (!type.is_concrete() || type.dtype != DType::f32 || type.shape->size() < 4 || (*type.shape)[0] != batch)
        return 0;
    }
    return batch;
  }

  double activation_bytes(const Node& n) const {
    double sum = bytes(n.outputs[0]);
    for (const ValueId id : n.inputs) {
      if (id != kNoValue && !is_constant(id)) sum += bytes(id);
    }
    return sum;
  }

  /// Consecutive nodes that gain from small groups: a batch of their images does not stay in the private caches, and an
  /// image weighs more than the weights, which every group reads again.
  std::vector<std::pair<std::size_t, std::size_t>> find_runs() const {
    std::vector<std::pair<std::size_t, std::size_t>> runs;
    std::size_t begin = 0;
    std::int64_t batch = 0;
    const auto close = [&](std::size_t end) {
      if (batch > 1 && end - begin > 1 && groups_of(begin, end) > 1) runs.emplace_back(begin, end);
      batch = 0;
    };
    for (std::size_t i = 0; i < partition_.nodes.size(); ++i) {
      const Node& n = node(i);
      std::int64_t own = batch_of(n);
      if (own > 1) {
        double weights = 0;
        for (const ValueId id : n.inputs) {
          if (id != kNoValue && is_constant(id) && graph_.value(id).type.is_concrete()) weights += bytes(id);
        }
        const double activations = activation_bytes(n);
        if (activations < 2 * private_bytes_ || activations / static_cast<double>(own) < weights) own = 0;
      }
      if (batch != 0 && own != batch) close(i);
      if (batch == 0 && own > 1) {
        begin = i;
        batch = own;
      }
    }
    close(partition_.nodes.size());
    return runs;
  }

  /// As many groups as leave each enough images to fill the private caches of all threads once.
  std::int64_t groups_of(std::size_t begin, std::size_t end) const {
    const std::int64_t batch = batch_of(node(begin));
    double most = 0;
    for (std::size_t i = begin; i < end; ++i)
      most = std::max(most, activation_bytes(node(i)) / static_cast<double>(batch));
    std::int64_t images = 1;
    while (images < batch && (batch % images != 0 || most * static_cast<double>(images) < private_bytes_ / 2)) ++images;
    return batch / images;
  }

  ImageStage make_stage(std::size_t begin, std::size_t end, std::int64_t groups) const {
    ImageStage stage;
    stage.groups = groups;
    std::unordered_set<ValueId> inside;
    for (std::size_t i = begin; i < end; ++i) inside.insert(node(i).outputs.begin(), node(i).outputs.end());
    std::unordered_set<ValueId> seen;
    const auto read = [&](ValueId id) {
      if (id == kNoValue || is_constant(id) || inside.contains(id) || !seen.insert(id).second) return;
      stage.inputs.push_back(id);
    };
    for (std::size_t i = begin; i < end; ++i) {
      std::for_each(node(i).inputs.begin(), node(i).inputs.end(), read);
      std::for_each(node(i).captures.begin(), node(i).captures.end(), read);
    }
    std::unordered_set<ValueId> wanted(partition_.outputs.begin(), partition_.outputs.end());
    for (std::size_t i = 0; i < partition_.nodes.size(); ++i) {
      if (i >= begin && i < end) continue;
      wanted.insert(node(i).inputs.begin(), node(i).inputs.end());
      wanted.insert(node(i).captures.begin(), node(i).captures.end());
    }
    for (std::size_t i = begin; i < end; ++i) {
      for (const ValueId id : node(i).outputs) {
        if (id != kNoValue && wanted.contains(id)) stage.outputs.push_back(id);
      }
    }
    if (groups > 1) {
      write_body(stage, begin, end);
      return stage;
    }
    stage.partition = {partition_.graph,
                       {partition_.nodes.begin() + static_cast<std::ptrdiff_t>(begin),
                        partition_.nodes.begin() + static_cast<std::ptrdiff_t>(end)},
                       stage.inputs,
                       stage.outputs};
    stage.options = options_;
    return stage;
  }

  void write_body(ImageStage& stage, std::size_t begin, std::size_t end) const {
    GraphBuilder builder(graph_.name());
    std::unordered_map<ValueId, ValueId> renamed;
    const auto smaller = [&](ValueId id) {
      Shape dims = shape(id);
      dims[0] /= stage.groups;
      return Type::tensor(DType::f32, std::move(dims));
    };
    for (const ValueId id : stage.inputs) renamed[id] = builder.add_input(graph_.value(id).name, smaller(id));
    for (std::size_t i = begin; i < end; ++i) {
      Node copy = node(i);
      for (ValueId& id : copy.inputs) {
        if (id == kNoValue) continue;
        auto found = renamed.find(id);
        if (found == renamed.end()) {
          found = renamed.emplace(id, builder.add_constant(graph_.value(id).name, *graph_.value(id).constant)).first;
        }
        id = found->second;
      }
      for (ValueId& id : copy.outputs) id = renamed[id] = builder.add_value(graph_.value(id).name, smaller(id));
      builder.add_node(std::move(copy));
    }
    for (const ValueId id : stage.outputs) builder.add_output(renamed.at(id));
    const auto graph = std::make_shared<const Graph>(std::move(builder).build());
    stage.partition.nodes.resize(graph->nodes().size());
    std::iota(stage.partition.nodes.begin(), stage.partition.nodes.end(), NodeId{0});
    stage.partition.inputs.assign(graph->inputs().begin(), graph->inputs().end());
    stage.partition.outputs.assign(graph->outputs().begin(), graph->outputs().end());
    stage.partition.graph = graph;
    std::unordered_map<std::string_view, NodeId> nodes;
    for (NodeId id = 0; id < graph->nodes().size(); ++id) nodes.emplace(graph->node(id).name, id);
    stage.options = options_;
    stage.options.kernels.clear();
    for (std::size_t i = begin; i < end; ++i) {
      const auto pin = options_.kernels.find(partition_.nodes[i]);
      const auto found = nodes.find(node(i).name);
      if (pin != options_.kernels.end() && found != nodes.end())
        stage.options.kernels.emplace(found->second, pin->second);
    }
  }

  const Partition& partition_;
  const CompileOptions& options_;
  const Graph& graph_;
  double private_bytes_;  ///< second-level caches of all threads
};

}  // namespace

std::optional<std::vector<ImageStage>> cut_into_image_stages(const Partition& partition, const CompileOptions& options,
                                                             const Environment& environment) {
  return ImageStages(partition, options, environment).run();
}

}  // namespace sparse_run::cpu
