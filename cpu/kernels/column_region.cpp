// Finding regions, and turning one into a chain, a plan of columns and a step.
#include "cpu/kernels/column_region.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "cpu/column/chain_program.hpp"
#include "cpu/column/row_ops.hpp"
#include "cpu/kernels/column_node.hpp"
#include "cpu/kernels/column_remainder.hpp"

namespace sparse_run::cpu {

namespace {

/// Multiplications a region must do for each float that enters or leaves it, to be worth the change of layout.
constexpr double kFlopsPerFloat = 64;

double floats_of(const Graph& graph, ValueId id) {
  return static_cast<double>(element_count(*graph.value(id).type.shape));
}

/// Share of the multiplications that zeros must save, for a region to be faster than dense kernels on blocked images.
constexpr double kSavedByZeros = 0.4;

/// Multiplications and additions of a convolution for each of `weights` weights.
double convolution_flops(const NodeView& view, std::int64_t weights) {
  const Shape& y = view.output_shape(0);
  return 2.0 * static_cast<double>(weights) * static_cast<double>(y[0] * y[2] * y[3]);
}

class ChainStep final : public Step {
 public:
  /// `images` run in columns; the rest of the batch, if any, is the remainder's.
  ChainStep(ChainProgram program, int images, std::unique_ptr<ColumnRemainder> remainder)
      : program_(std::move(program)), images_(images), remainder_(std::move(remainder)) {}

  std::size_t scratch_bytes() const override { return program_.scratch_bytes(); }
  std::size_t weight_bytes() const override {
    return program_.weight_bytes() + (remainder_ == nullptr ? 0 : remainder_->weight_bytes());
  }
  bool skips_zeros() const override { return true; }

  void run(const StepArguments& arguments) const override {
    std::vector<const float*> inputs;
    std::vector<float*> outputs;
    for (std::size_t i = 0; i < arguments.inputs.size(); ++i) inputs.push_back(arguments.in<float>(i));
    for (std::size_t i = 0; i < arguments.outputs.size(); ++i) outputs.push_back(arguments.out<float>(i));
    ChainRun run;
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
    if (remainder_ != nullptr) remainder_->run(arguments, images_, arguments.layer_ns);
  }

 private:
  ChainProgram program_;
  int images_;
  std::unique_ptr<ColumnRemainder> remainder_;
};

/// Assembles the chain of a region in two passes: how values are stored first, operations that depend on it then.
class ChainBuilder {
 public:
  ChainBuilder(const ColumnRegion& region, std::span<const std::unique_ptr<NodeView>> views)
      : region_(region), views_(views.subspan(region.begin, region.end - region.begin)), isa_(active_isa()) {
    lanes_ = strip_kernels(isa_).width;
    for (const auto& view : views_) {
      nodes_.emplace_back();
      describe_column_node(*view, nodes_.back());
    }
    place_values();
    add_nodes();
  }

  Chain chain;
  std::vector<std::string> kernels;

 private:
  int value_of(const Graph& graph, ValueId id) {
    const auto found = values_.find(id);
    if (found != values_.end()) return found->second;
    const Shape& shape = *graph.value(id).type.shape;
    const int value =
        chain.add_value(static_cast<int>(shape[1]), static_cast<int>(shape[2]), static_cast<int>(shape[3]), lanes_);
    values_.emplace(id, value);
    return value;
  }

  void place_values() {
    for (std::size_t i = 0; i < views_.size(); ++i) {
      const NodeView& view = *views_[i];
      const ColumnNode& node = nodes_[i];
      const Shape& y = view.output_shape(0);
      for (std::size_t j = 0; j < node.operands.size(); ++j) {
        const int value = value_of(view.graph(), node.operands[j]);
        if (node.kind != ColumnNode::Kind::convolution) continue;  // others look at the borders themselves
        chain.reserve(value, node.rows[j], node.columns[j], static_cast<int>(y[2]), static_cast<int>(y[3]));
      }
      if (node.kind != ColumnNode::Kind::global_average) value_of(view.graph(), view.node().outputs[0]);
    }
  }

  void add_nodes() {
    std::unordered_set<ValueId> entered;
    for (std::size_t i = 0; i < views_.size(); ++i) {
      const NodeView& view = *views_[i];
      const ColumnNode& node = nodes_[i];
      const int layer = static_cast<int>(i);
      for (const ValueId operand : node.operands) {
        const auto input = std::find(region_.inputs.begin(), region_.inputs.end(), operand);
        if (input == region_.inputs.end() || !entered.insert(operand).second) continue;
        const int value = values_.at(operand);
        const auto index = static_cast<std::size_t>(input - region_.inputs.begin());
        chain.add_node({std::make_unique<PackRows>(index, isa_), {}, {}, {}, value, height(value), layer});
      }
      const ValueId result = view.node().outputs[0];
      const auto output = std::find(region_.outputs.begin(), region_.outputs.end(), result);
      const auto index = static_cast<std::size_t>(output - region_.outputs.begin());
      ChainNode made;
      kernels.emplace_back();
      made.op = make_row_op(view, node, chain.values[static_cast<std::size_t>(values_.at(node.operands[0]))].shape,
                            index, isa_, kernels.back());
      for (const ValueId operand : node.operands) made.inputs.push_back(values_.at(operand));
      made.windows = node.rows;
      made.columns = node.columns;
      made.layer = layer;
      if (node.kind == ColumnNode::Kind::global_average) {
        made.rows = 1;
        chain.add_node(std::move(made));
        continue;
      }
      made.output = values_.at(result);
      made.rows = height(made.output);
      chain.add_node(std::move(made));
      if (output == region_.outputs.end()) continue;
      const int value = values_.at(result);
      chain.add_node({std::make_unique<UnpackRows>(index, isa_), {value}, {RowWindow{}}, {}, -1, height(value), layer});
    }
  }

  int height(int value) const { return chain.values[static_cast<std::size_t>(value)].shape.height; }

  const ColumnRegion& region_;
  std::span<const std::unique_ptr<NodeView>> views_;
  Isa isa_;
  int lanes_ = 1;
  std::vector<ColumnNode> nodes_;
  std::unordered_map<ValueId, int> values_;
};

/// Fills in what the region reads and what is read of it; false when it would not pay.
bool complete(ColumnRegion& region, const Partition& partition, std::span<const std::unique_ptr<NodeView>> views) {
  const Graph& graph = *partition.graph;
  const std::unordered_set<ValueId> wanted(partition.outputs.begin(), partition.outputs.end());
  std::unordered_set<NodeId> inside(partition.nodes.begin() + static_cast<std::ptrdiff_t>(region.begin),
                                    partition.nodes.begin() + static_cast<std::ptrdiff_t>(region.end));
  std::unordered_set<ValueId> made;
  double flops = 0, dense_flops = 0, floats = 0;
  for (std::size_t i = region.begin; i < region.end; ++i) {
    const NodeView& view = *views[i];
    ColumnNode node;
    describe_column_node(view, node);
    if (node.kind == ColumnNode::Kind::convolution) {
      flops += convolution_flops(view, view.weight(1)->nonzeros());
      dense_flops += convolution_flops(view, view.weight(1)->elements());
    }
    for (const ValueId operand : node.operands) {
      if (made.contains(operand) ||
          std::find(region.inputs.begin(), region.inputs.end(), operand) != region.inputs.end()) {
        continue;
      }
      region.inputs.push_back(operand);
      floats += floats_of(graph, operand);
    }
    const ValueId result = view.node().outputs[0];
    made.insert(result);
    const auto readers = graph.consumers(result);
    const bool outside = std::any_of(readers.begin(), readers.end(), [&](NodeId id) { return !inside.contains(id); });
    if (!outside && !wanted.contains(result)) continue;
    region.outputs.push_back(result);
    floats += floats_of(graph, result);
  }
  return flops <= (1 - kSavedByZeros) * dense_flops && flops >= kFlopsPerFloat * floats;
}

}  // namespace

std::vector<ColumnRegion> find_column_regions(const Partition& partition,
                                              std::span<const std::unique_ptr<NodeView>> views,
                                              const std::vector<bool>& excluded, const Environment& environment) {
  std::vector<ColumnRegion> regions;
  if (environment.columns == ColumnMode::off) return regions;
  const std::int64_t lanes = strip_kernels(active_isa()).width;
  ColumnRegion current;
  std::int64_t images = 0;
  std::unordered_set<ValueId> ended;  // results that have left the strips
  const auto close = [&](std::size_t end) {
    current.end = end;
    if (current.end > current.begin && complete(current, partition, views)) regions.push_back(current);
    current = {};
    ended.clear();
  };
  for (std::size_t i = 0; i < views.size(); ++i) {
    ColumnNode node;
    const NodeView& view = *views[i];
    bool fits = !excluded[i] && !describe_column_node(view, node).has_value();
    if (fits) fits = 2 * view.output_shape(0)[0] >= lanes;
    if (!fits) {
      close(i);
      current.begin = i + 1;
      continue;
    }
    const bool reads_ended =
        std::any_of(node.operands.begin(), node.operands.end(), [&](ValueId id) { return ended.contains(id); });
    if (i > current.begin && (reads_ended || view.output_shape(0)[0] != images)) {
      close(i);
      current.begin = i;
    }
    images = view.output_shape(0)[0];
    if (node.kind == ColumnNode::Kind::global_average) ended.insert(view.node().outputs[0]);
  }
  close(views.size());
  return regions;
}

bool has_column_regions(const Partition& partition, const CompileOptions& options, const Environment& environment) {
  std::vector<std::unique_ptr<NodeView>> views;
  std::vector<bool> pinned;
  for (const NodeId id : partition.nodes) {
    views.push_back(std::make_unique<NodeView>(*partition.graph, partition.graph->node(id)));
    pinned.push_back(options.kernels.contains(id));
  }
  return !find_column_regions(partition, views, pinned, environment).empty();
}

ColumnStep build_column_step(const ColumnRegion& region, std::span<const std::unique_ptr<NodeView>> views,
                             const Environment& environment) {
  ChainBuilder builder(region, views);
  ChainCosts costs;
  costs.threads = environment.threads;
  costs.private_cache = environment.machine.cache_bytes(2, std::size_t{1} << 20);
  std::vector<Segment> segments = plan_segments(builder.chain, costs, environment.columns);

  ColumnStep made;
  made.kernels = std::move(builder.kernels);
  const std::size_t count = region.end - region.begin;
  made.flops.assign(count, 0);
  made.weight_bytes.assign(count, 0);
  made.placement.assign(count, "");
  const NodeView& first = *views[region.begin];
  const auto images = static_cast<int>(first.output_shape(0)[0]);
  const int lanes = builder.chain.values.front().shape.lanes;
  // a last group that fills less than half its lanes costs more in columns than image by image
  const int rest = images > lanes && images % lanes < lanes / 2 ? images % lanes : 0;
  const int columns = images - rest;
  const double groups = (columns + lanes - 1) / lanes + static_cast<double>(rest) / lanes;
  for (std::size_t s = 0; s < segments.size(); ++s) {
    const std::vector<std::int64_t> positions = positions_computed(builder.chain, segments[s]);
    for (std::size_t i = 0; i < positions.size(); ++i) {
      const ChainNode& node = builder.chain.nodes[static_cast<std::size_t>(segments[s].begin) + i];
      const auto layer = static_cast<std::size_t>(node.layer);
      made.weight_bytes[layer] += static_cast<double>(node.op->weight_bytes());
      const int whole = row_positions(builder.chain, node);
      const double rows = static_cast<double>(positions[i]) / whole;
      made.flops[layer] += groups * rows * node.op->flops_per_row();
      std::string& placement = made.placement[layer];
      if (!placement.empty()) continue;
      placement =
          fmt::format("column {} of {}, {} strips of {} rows, {} at a time", s + 1, segments.size(), segments[s].strips,
                      segments[s].rows(builder.chain) / segments[s].strips, segments[s].chunk);
      if (segments[s].bands > 1) placement += fmt::format(", in {} bands", segments[s].bands);
      if (rows > node.rows) {
        placement += fmt::format(", {:.0f}% computed twice", 100.0 * (rows - node.rows) / node.rows);
      }
    }
  }
  made.step = std::make_unique<ChainStep>(
      ChainProgram(std::move(builder.chain), std::move(segments), environment.threads), columns,
      rest == 0 ? nullptr : std::make_unique<ColumnRemainder>(region, views, environment, rest));
  return made;
}

}  // namespace sparse_run::cpu
