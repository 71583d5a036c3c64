// Finding runs of convolutions and turning one into a slab program and its step.
#include "cpu/kernels/slab_region.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "cpu/column/slab_program.hpp"
#include "cpu/column/strip.hpp"
#include "cpu/kernels/slab_convolution.hpp"
#include "cpu/parallel.hpp"

namespace sparse_run::cpu {

namespace {

class SlabStep final : public Step {
 public:
  SlabStep(SlabProgram program, int images) : program_(std::move(program)), images_(images) {}

  std::size_t scratch_bytes() const override { return program_.scratch_bytes(); }
  std::size_t weight_bytes() const override { return program_.weight_bytes(); }
  bool skips_zeros() const override { return true; }

  void run(const StepArguments& arguments) const override {
    std::vector<const float*> inputs;
    std::vector<float*> outputs;
    for (std::size_t i = 0; i < arguments.inputs.size(); ++i) inputs.push_back(arguments.in<float>(i));
    for (std::size_t i = 0; i < arguments.outputs.size(); ++i) outputs.push_back(arguments.out<float>(i));
    SlabRun run;
    run.inputs = inputs;
    run.outputs = outputs;
    run.images = images_;
    run.scratch = arguments.scratch;
    run.cancelled = arguments.state == nullptr ? nullptr : arguments.state->cancelled;
    std::vector<std::atomic<std::int64_t>> times(arguments.layer_ns.size());
    run.layer_ns = times;
    program_.run(run);
    for (std::size_t i = 0; i < times.size(); ++i) arguments.layer_ns[i] = times[i].load(std::memory_order_relaxed);
    if (arguments.state != nullptr) arguments.state->check_cancelled();
  }

 private:
  SlabProgram program_;
  int images_;
};

/// The operands a convolution computes with at run time: the image and the residual.
std::vector<ValueId> operands_of(const NodeView& view, const Convolution& conv) {
  std::vector<ValueId> operands{view.node().inputs[0]};
  if (conv.residual) operands.push_back(view.node().inputs[3]);
  return operands;
}

/// Fills in what the region reads and what is read of it.
void complete(ColumnRegion& region, const Partition& partition, std::span<const std::unique_ptr<NodeView>> views,
              std::span<const KernelChoice> choices) {
  const Graph& graph = *partition.graph;
  const std::unordered_set<ValueId> wanted(partition.outputs.begin(), partition.outputs.end());
  const std::unordered_set<NodeId> inside(partition.nodes.begin() + static_cast<std::ptrdiff_t>(region.begin),
                                          partition.nodes.begin() + static_cast<std::ptrdiff_t>(region.end));
  std::unordered_set<ValueId> made;
  for (std::size_t i = region.begin; i < region.end; ++i) {
    const NodeView& view = *views[i];
    Convolution conv;
    describe_slab_convolution(view, choices[i].kernel, conv);
    for (const ValueId operand : operands_of(view, conv)) {
      if (made.contains(operand) || std::ranges::find(region.inputs, operand) != region.inputs.end()) continue;
      region.inputs.push_back(operand);
    }
    const ValueId result = view.node().outputs[0];
    made.insert(result);
    const auto readers = graph.consumers(result);
    const bool outside = std::any_of(readers.begin(), readers.end(), [&](NodeId id) { return !inside.contains(id); });
    if (outside || wanted.contains(result)) region.outputs.push_back(result);
  }
}

}  // namespace

std::vector<ColumnRegion> find_slab_regions(const Partition& partition,
                                            std::span<const std::unique_ptr<NodeView>> views,
                                            std::span<const KernelChoice> choices, const std::vector<bool>& excluded,
                                            const Environment& environment) {
  std::vector<ColumnRegion> regions;
  if (environment.columns != ColumnMode::automatic || environment.threads < 2) return regions;
  const std::int64_t lanes = strip_kernels(active_isa()).width;
  ColumnRegion current;
  std::int64_t images = 0;
  const auto close = [&](std::size_t end) {
    current.end = end;
    if (current.end >= current.begin + 2) {  // alone, a layer gains nothing
      complete(current, partition, views, choices);
      regions.push_back(current);
    }
    current = {};
  };
  for (std::size_t i = 0; i < views.size(); ++i) {
    Convolution conv;
    const bool fits = !excluded[i] && choices[i].entry != nullptr && views[i]->concrete() &&
                      !describe_slab_convolution(*views[i], choices[i].kernel, conv) && 2 * conv.images < lanes;
    if (!fits) {
      close(i);
      current.begin = i + 1;
      continue;
    }
    if (i > current.begin && conv.images != images) {
      close(i);
      current.begin = i;
    }
    images = conv.images;
  }
  close(views.size());
  return regions;
}

ColumnStep build_slab_step(const ColumnRegion& region, std::span<const std::unique_ptr<NodeView>> views,
                           std::span<const KernelChoice> choices, const Environment& environment) {
  const std::size_t count = region.end - region.begin;
  const int shares = environment.threads;
  std::vector<SlabValue> values;
  std::unordered_map<ValueId, int> value_of;
  const auto add_value = [&](const Graph& graph, ValueId id) {
    const auto found = value_of.find(id);
    if (found != value_of.end()) return found->second;
    const Shape& shape = *graph.value(id).type.shape;
    SlabValue value{static_cast<int>(shape[1]), static_cast<int>(shape[2]), static_cast<int>(shape[3]), -1, -1};
    const auto input = std::ranges::find(region.inputs, id);
    const auto output = std::ranges::find(region.outputs, id);
    if (input != region.inputs.end()) value.input = static_cast<int>(input - region.inputs.begin());
    if (output != region.outputs.end()) value.output = static_cast<int>(output - region.outputs.begin());
    values.push_back(value);
    value_of.emplace(id, static_cast<int>(values.size()) - 1);
    return static_cast<int>(values.size()) - 1;
  };

  std::vector<SlabNode> nodes(count);
  std::int64_t images = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const NodeView& view = *views[region.begin + i];
    Convolution conv;
    describe_slab_convolution(view, choices[region.begin + i].kernel, conv);
    images = conv.images;
    SlabNode& node = nodes[i];
    for (const ValueId operand : operands_of(view, conv)) node.inputs.push_back(add_value(view.graph(), operand));
    const Window& window = conv.window;
    node.windows.push_back({window.kernel_height, window.stride_height, window.dilation_height, window.pad_top});
    if (conv.residual) node.windows.emplace_back();
    node.output = add_value(view.graph(), view.node().outputs[0]);
    node.layer = static_cast<int>(i);
    const bool splits = conv.groups == 1;
    node.by_channels = splits && better_by_channels(view, conv, choices[region.begin + i].kernel, shares);
  }
  parallel_tasks(static_cast<std::int64_t>(count), [&](std::int64_t i) {
    const auto at = region.begin + static_cast<std::size_t>(i);
    SlabNode& node = nodes[static_cast<std::size_t>(i)];
    Convolution conv;
    describe_slab_convolution(*views[at], choices[at].kernel, conv);
    node.op = make_slab_convolution(*views[at], conv, choices[at].kernel, shares, node.by_channels);
    views[at]->forget_matrices();
  });

  ColumnStep made;
  for (std::size_t i = 0; i < count; ++i) {
    made.kernels.push_back(choices[region.begin + i].kernel);
    made.flops.push_back(static_cast<double>(images) * nodes[i].op->flops());
    made.weight_bytes.push_back(static_cast<double>(nodes[i].op->weight_bytes()));
  }
  SlabProgram program(std::move(values), std::move(nodes), shares);
  for (std::size_t i = 0; i < count; ++i) {
    const SlabNode& node = program.nodes()[i];
    const int copied = program.rows_copied(static_cast<int>(i));
    std::string placement =
        node.by_channels ? fmt::format("{} shares of channels", shares) : fmt::format("{} shares of rows", shares);
    if (copied > 0) placement += fmt::format(", {} rows copied", copied);
    made.placement.push_back(std::move(placement));
  }
  made.step = std::make_unique<SlabStep>(std::move(program), static_cast<int>(images));
  return made;
}

}  // namespace sparse_run::cpu
