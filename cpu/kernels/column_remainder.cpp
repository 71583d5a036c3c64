// Rewriting a region for another batch, and running it on a part of the tensors.
#include "cpu/kernels/column_remainder.hpp"

#include <map>
#include <unordered_map>

#include "cpu/selection/selector.hpp"

namespace sparse_run::cpu {

namespace {

/// Images [first, first + images) of a tensor.
Tensor part_of(const Tensor& tensor, std::int64_t first, std::int64_t images) {
  Shape shape = tensor.shape();
  const std::int64_t image = tensor.size() / shape[0];
  shape[0] = images;
  // the memory is the caller's in any case; a view of an operand is only read
  auto* data = static_cast<float*>(const_cast<void*>(tensor.raw())) + first * image;
  return Tensor::view(DType::f32, std::move(shape), data);
}

Type with_images(Type type, std::int64_t images) {
  (*type.shape)[0] = images;
  return type;
}

}  // namespace

ColumnRemainder::ColumnRemainder(const ColumnRegion& region, std::span<const std::unique_ptr<NodeView>> views,
                                 const Environment& environment, std::int64_t images)
    : images_(images), threads_(environment.threads) {
  const Graph& whole = views[region.begin]->graph();
  GraphBuilder builder;
  std::unordered_map<ValueId, ValueId> made;
  for (const ValueId id : region.inputs) {
    const ValueDef& def = whole.value(id);
    made.emplace(id, builder.add_input(def.name, with_images(def.type, images)));
  }
  for (std::size_t i = region.begin; i < region.end; ++i) {
    Node node = views[i]->node();
    for (ValueId& id : node.inputs) {
      if (id == kNoValue) continue;
      const auto found = made.find(id);
      if (found == made.end()) {
        const ValueDef& def = whole.value(id);
        require(def.constant.has_value(), "a region reads a value that is none of its operands");
        made.emplace(id, builder.add_constant(def.name, *def.constant));
      }
      id = made.at(id);
    }
    for (ValueId& id : node.outputs) {
      if (id == kNoValue) continue;
      const ValueDef& def = whole.value(id);
      const ValueId own = builder.add_value(def.name, with_images(def.type, images));
      made.emplace(id, own);
      id = own;
    }
    builder.add_node(std::move(node));
  }
  for (const ValueId id : region.outputs) builder.add_output(made.at(id));
  Partition partition;
  partition.graph = std::make_shared<const Graph>(std::move(builder).build());
  for (NodeId id = 0; id < partition.graph->nodes().size(); ++id) partition.nodes.push_back(id);
  partition.inputs.assign(partition.graph->inputs().begin(), partition.graph->inputs().end());
  partition.outputs.assign(partition.graph->outputs().begin(), partition.graph->outputs().end());
  require(partition.inputs.size() == region.inputs.size() && partition.outputs.size() == region.outputs.size(),
          "a region lost a value");
  Environment own = environment;
  own.columns = ColumnMode::off;
  CompileOptions options;
  options.threads = environment.threads;
  program_ = std::make_unique<Program>(partition, own, options, SelectionPolicy{});

  std::map<std::string, std::size_t> names;
  for (std::size_t i = region.begin; i < region.end; ++i) names.emplace(views[i]->node().name, i - region.begin);
  for (const LayerReport& layer : program_->layers()) {
    const auto found = names.find(layer.name);
    layer_of_.push_back(found == names.end() ? 0 : found->second);
  }
}

void ColumnRemainder::run(const StepArguments& arguments, std::int64_t first, std::span<std::int64_t> layer_ns) const {
  std::vector<Value> inputs, outputs;
  for (std::size_t i = 0; i < arguments.inputs.size(); ++i) {
    inputs.emplace_back(part_of(arguments.input(i), first, images_));
  }
  for (std::size_t i = 0; i < arguments.outputs.size(); ++i) {
    outputs.emplace_back(part_of(arguments.output(i), first, images_));
  }
  RunState state;
  if (arguments.state != nullptr) state.cancelled = arguments.state->cancelled;
  LayerTimes times;
  if (!layer_ns.empty()) state.times = &times;
  program_->run(inputs, outputs, state);
  for (std::size_t i = 0; i < layer_of_.size() && !layer_ns.empty(); ++i) {
    layer_ns[layer_of_[i]] += (times.end_ns[i] - times.begin_ns[i]) * threads_;  // all threads work on a layer
  }
}

}  // namespace sparse_run::cpu
