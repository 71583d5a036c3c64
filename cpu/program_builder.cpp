// Compiling a partition: choosing kernels, sharing memory between values, planning the arena.
#include <algorithm>
#include <functional>
#include <span>
#include <utility>

#include "cpu/graph_kernels/grouped_bytes.hpp"
#include "cpu/kernels/column_region.hpp"
#include "cpu/kernels/slab_region.hpp"
#include "cpu/parallel.hpp"
#include "cpu/program.hpp"
#include "cpu/reference_step.hpp"
#include "cpu/selection/selector.hpp"
#include "device/memory_plan.hpp"
#include "graph/onnx/file_pages.hpp"

namespace sparse_run::cpu {

namespace {

/// Nodes whose result is their first operand's memory under another shape.
bool only_reshapes(const NodeView& view) {
  const Node& node = view.node();
  if (!node.domain.empty()) return false;
  if (node.op != "Reshape" && node.op != "Squeeze" && node.op != "Unsqueeze" && node.op != "Flatten" &&
      node.op != "Identity") {
    return false;
  }
  return view.input_type(0).is_concrete() && view.output_type(0).is_concrete() &&
         view.input_type(0).dtype == view.output_type(0).dtype;
}

/// The first element of the operand's that the result consists of, one after the other, when the node takes one row or
/// consecutive rows of a list of integers: lists of edges are taken apart so. Kernels read integers at any address.
std::optional<std::int64_t> part_of_list(const NodeView& view) {
  const Node& node = view.node();
  const bool gathers = node.is("Gather"), slices = node.is("Slice") && node.opset >= 10;
  if ((!gathers && !slices) || !view.input_type(0).is_concrete() || !view.output_type(0).is_concrete())
    return std::nullopt;
  const Shape& shape = view.input_shape(0);
  const DType dtype = view.input_type(0).dtype;
  if ((dtype != DType::i64 && dtype != DType::i32) || shape.empty() || element_count(view.output_shape(0)) == 0)
    return std::nullopt;
  const auto number = [&](std::size_t operand) -> std::optional<std::int64_t> {
    const Tensor* tensor = view.constant(operand);
    if (tensor == nullptr || tensor->size() != 1 || (tensor->dtype() != DType::i64 && tensor->dtype() != DType::i32))
      return std::nullopt;
    return tensor->to_int64().front();
  };
  const auto is_first = [&](std::int64_t axis) {
    return axis == 0 || axis == -static_cast<std::int64_t>(shape.size());
  };
  std::optional<std::int64_t> row;
  if (gathers) {
    if (!is_first(node.int_or("axis", 0))) return std::nullopt;
    row = number(1);
  } else {
    const auto axis = view.input_count() > 3 ? number(3) : std::nullopt;
    const auto step = view.input_count() > 4 && view.has_input(4) ? number(4) : std::optional<std::int64_t>(1);
    if (!axis || !is_first(*axis) || !step || *step != 1) return std::nullopt;
    row = number(1);
  }
  if (!row) return std::nullopt;
  if (*row < 0) *row += shape[0];
  if (*row < 0 || *row >= shape[0]) return std::nullopt;
  return *row * (element_count(shape) / shape[0]);
}

/// Copies operand 0 to result 0, where sharing memory is impossible.
class CopyStep final : public Step {
 public:
  void run(const StepArguments& arguments) const override { arguments.output(0).copy_from(arguments.input(0)); }
};

double bytes_of(const Type& type) {
  return type.is_concrete()
             ? static_cast<double>(element_count(*type.shape)) * static_cast<double>(element_size(type.dtype))
             : 0;
}

}  // namespace

/// Holds what only compilation needs.
class Program::Builder {
 public:
  Builder(Program& program, const Partition& partition, const Environment& environment, const CompileOptions& options,
          const SelectionPolicy& policy)
      : program_(program),
        partition_(partition),
        graph_(*partition.graph),
        environment_(environment),
        options_(options),
        policy_(policy) {}

  void build() {
    note_readers();
    choose_kernels();
    for (std::size_t i = 0; i < partition_.inputs.size(); ++i) {
      const int slot = add_slot(partition_.inputs[i]);
      program_.input_slots_.push_back(slot);
      Group& group = group_of(slot);
      if (group.storage != Storage::constant) {
        group.storage = Storage::input;
        group.external = static_cast<int>(i);
      }
    }
    auto region = regions_.begin();
    for (std::size_t position = 0; position < partition_.nodes.size(); ++position) {
      if (region != regions_.end() && position == region->begin) {
        add_region(*region);
        position = region->end - 1;
        ++region;
        continue;
      }
      const Node& node = graph_.node(partition_.nodes[position]);
      with_context([&] { return node.describe(); }, [&] { add_node(node, static_cast<int>(position)); });
    }
    bind_outputs();
    plan();
  }

 private:
  Group& group_of(int slot) {
    return program_.groups_[static_cast<std::size_t>(program_.slots_[static_cast<std::size_t>(slot)].group)];
  }

  void note_readers() {
    for (std::size_t position = 0; position < partition_.nodes.size(); ++position) {
      const Node& node = graph_.node(partition_.nodes[position]);
      for (const ValueId id : node.inputs) {
        if (id != kNoValue) last_reader_[id] = static_cast<int>(position);
      }
      for (const ValueId id : node.captures) last_reader_[id] = static_cast<int>(position);
    }
    for (const ValueId id : partition_.outputs) {
      last_reader_[id] = static_cast<int>(partition_.nodes.size());
      is_output_[id] = true;
    }
  }

  /// The slot of a value; made on first use, in a group of its own.
  int add_slot(ValueId id) {
    const auto found = slot_of_.find(id);
    if (found != slot_of_.end()) return found->second;
    const ValueDef& def = graph_.value(id);
    const int slot = static_cast<int>(program_.slots_.size());
    Slot made;
    made.type = def.type;
    made.group = static_cast<int>(program_.groups_.size());
    Group group;
    group.members = {slot};
    const auto reader = last_reader_.find(id);
    group.last_reader = reader == last_reader_.end() ? -1 : reader->second;
    if (def.constant) {
      group.storage = Storage::constant;
      if (const Tensor* tensor = def.tensor()) made.constant = *tensor;
    } else if (!def.type.is_concrete()) {
      group.storage = Storage::dynamic;
    } else {
      group.bytes = static_cast<std::size_t>(bytes_of(def.type));
      if (def.type.dtype == DType::string) group.storage = Storage::dynamic;
    }
    program_.slots_.push_back(std::move(made));
    program_.groups_.push_back(std::move(group));
    slot_of_.emplace(id, slot);
    values_.push_back(id);
    return slot;
  }

  bool holds_output(const Group& group) const {
    return std::any_of(group.members.begin(), group.members.end(),
                       [&](int member) { return is_output_.contains(values_[static_cast<std::size_t>(member)]); });
  }

  /// Puts `result` into the group of `operand`, `offset` bytes behind its beginning, when that memory may hold it.
  bool join(ValueId result, int operand, std::size_t offset = 0) {
    Group& group = group_of(operand);
    if (group.storage != Storage::planned && group.storage != Storage::input) return false;
    if (is_output_.contains(result) && (group.storage == Storage::input || holds_output(group))) return false;
    const int slot = add_slot(result);
    Slot& made = program_.slots_[static_cast<std::size_t>(slot)];
    const int own = made.group;
    made.group = program_.slots_[static_cast<std::size_t>(operand)].group;
    made.offset = program_.slots_[static_cast<std::size_t>(operand)].offset + offset;
    // add_slot may have moved the groups: look the target up again
    Group& target = group_of(operand);
    target.members.push_back(slot);
    target.last_reader = std::max(target.last_reader, program_.groups_[static_cast<std::size_t>(own)].last_reader);
    require(own == static_cast<int>(program_.groups_.size()) - 1, "a joined value had a group before");
    program_.groups_.pop_back();
    return true;
  }

  /// Constants that node i's step holds in a format of its own are not read again soon.
  void discard_packed(std::size_t i) const {
    if (choices_[i].step == nullptr || choices_[i].step->weight_bytes() == 0) return;
    for (std::size_t operand = 0; operand < views_[i]->input_count(); ++operand) {
      const Tensor* constant = views_[i]->constant(operand);
      if (constant == nullptr) continue;
      onnx::discard_file_pages({static_cast<const std::byte*>(constant->raw()), constant->bytes()});
    }
  }

  /// Of constants that view a mapped file.
  std::size_t file_bytes(std::size_t i) const {
    std::size_t bytes = 0;
    for (std::size_t operand = 0; operand < views_[i]->input_count(); ++operand) {
      const Tensor* constant = views_[i]->constant(operand);
      if (constant == nullptr || constant->dtype() == DType::string) continue;
      const std::span part(static_cast<const std::byte*>(constant->raw()), constant->bytes());
      if (onnx::is_file_memory(part)) bytes += part.size();
    }
    return bytes;
  }

  /// Builds all steps. Those that pack most of a mapped file come first: its pages are given back then, before the
  /// other packed weights take their place.
  void build_steps() {
    std::vector<std::pair<std::size_t, std::size_t>> order;  // bytes, node
    for (std::size_t i = 0; i < choices_.size(); ++i) {
      if (!in_region_[i]) order.emplace_back(file_bytes(i), i);
    }
    std::ranges::stable_sort(order, std::greater<>(), [](const auto& entry) { return entry.first; });
    parallel_tasks(static_cast<std::int64_t>(order.size()), [&](std::int64_t i) {
      const std::size_t at = order[static_cast<std::size_t>(i)].second;
      with_context([&] { return views_[at]->node().describe(); },
                   [&] { choices_[at].build(*views_[at], environment_); });
      views_[at]->forget_matrices();
      discard_packed(at);
    });
  }

  /// The kernel of every node: chosen one after the other, since some are timed, and built at once.
  void choose_kernels() {
    const std::size_t count = partition_.nodes.size();
    for (const NodeId id : partition_.nodes) views_.push_back(std::make_unique<NodeView>(graph_, graph_.node(id)));
    parallel_tasks(static_cast<std::int64_t>(count), [&](std::int64_t i) {  // count zeros ahead
      const NodeView& view = *views_[static_cast<std::size_t>(i)];
      if (view.concrete() && !KernelTable::standard().candidates(view.node()).empty()) view.zeros(1);
    });
    find_regions();
    select_kernels(count);
    find_slabs();
    build_steps();
    if (policy_.memory != nullptr) policy_.memory->save();
  }

  /// The selector's memory for trials ends with it, before steps are built.
  void select_kernels(std::size_t count) {
    KernelSelector selector(environment_, policy_);
    for (std::size_t i = 0; i < count; ++i) {
      const NodeView& view = *views_[i];
      if (in_region_[i]) {
        choices_.emplace_back();
        continue;
      }
      const auto pin = options_.kernels.find(partition_.nodes[i]);
      with_context(
          [&] { return view.node().describe(); },
          [&] {
            choices_.push_back(selector.choose(view, pin == options_.kernels.end() ? std::string_view() : pin->second));
          });
      view.forget_matrices();
      discard_packed(i);
    }
  }

  /// Nodes that run in columns; a node whose kernel is pinned takes no part.
  void find_regions() {
    std::vector<bool> pinned(views_.size());
    for (std::size_t i = 0; i < views_.size(); ++i) pinned[i] = options_.kernels.contains(partition_.nodes[i]);
    regions_ = find_column_regions(partition_, views_, pinned, environment_);
    in_region_.assign(views_.size(), false);
    for (const ColumnRegion& region : regions_) {
      for (std::size_t i = region.begin; i < region.end; ++i) in_region_[i] = true;
    }
  }

  /// Layers of few images that threads run by shares without joining after each.
  void find_slabs() {
    std::vector<bool> excluded = in_region_;
    for (std::size_t i = 0; i < views_.size(); ++i) {
      if (options_.kernels.contains(partition_.nodes[i])) excluded[i] = true;
    }
    for (ColumnRegion& region : find_slab_regions(partition_, views_, choices_, excluded, environment_)) {
      for (std::size_t i = region.begin; i < region.end; ++i) {
        in_region_[i] = true;
        choices_[i].step.reset();
      }
      regions_.push_back(std::move(region));
    }
    std::ranges::sort(regions_, {}, &ColumnRegion::begin);
  }

  void add_region(const ColumnRegion& region) {
    const bool slabs = choices_[region.begin].entry != nullptr;  // columns of images were not asked for a kernel
    ColumnStep made = slabs ? build_slab_step(region, views_, choices_, environment_)
                            : build_column_step(region, views_, environment_);
    Entry entry;
    for (const ValueId id : region.inputs) entry.inputs.push_back(add_slot(id));
    for (const ValueId id : region.outputs) entry.outputs.push_back(add_slot(id));
    entry.where = views_[region.begin]->node().describe() + " and the nodes run with it in columns";
    for (std::size_t i = region.begin; i < region.end; ++i) {
      const NodeView& view = *views_[i];
      const std::size_t own = i - region.begin;
      KernelChoice choice = std::move(choices_[i]);
      choice.kernel = std::move(made.kernels[own]);
      choice.choice = choice.choice.empty() ? made.placement[own] : choice.choice + "; " + made.placement[own];
      LayerReport layer = report(view.node(), view, std::move(choice));
      layer.executed_flops = made.flops[own];
      layer.flops = layer.executed_flops;
      layer.bytes += made.weight_bytes[own];
      entry.reports.push_back(std::move(layer));
      view.forget_matrices();
    }
    entry.step = std::move(made.step);
    program_.layer_count_ += entry.reports.size();
    program_.entries_.push_back(std::move(entry));
  }

  void add_node(const Node& node, int position) {
    const NodeView& view = *views_[static_cast<std::size_t>(position)];
    if (only_reshapes(view)) {
      const int operand = add_slot(node.inputs[0]);
      if (group_of(operand).storage != Storage::dynamic && join(node.outputs[0], operand)) return;
      if (group_of(operand).storage != Storage::dynamic) {
        KernelChoice copy;
        copy.step = std::make_unique<CopyStep>();
        copy.kernel = "cpu.copy";
        add_entry(node, view, std::move(copy), -1, position, false);
        return;
      }
    }
    if (const auto first = part_of_list(view)) {
      const int operand = add_slot(node.inputs[0]);
      const std::size_t offset = static_cast<std::size_t>(*first) * element_size(view.input_type(0).dtype);
      if (group_of(operand).storage == Storage::input && join(node.outputs[0], operand, offset)) return;
    }
    KernelChoice choice = std::move(choices_[static_cast<std::size_t>(position)]);
    if (choice.entry == nullptr) {
      choice.step = make_reference_step(graph_, node);
      choice.kernel = "cpu.reference";
    }
    const int in_place = choice.entry == nullptr ? -1 : choice.entry->in_place_operand;
    const bool takes_sparse = choice.entry != nullptr && choice.entry->takes_sparse;
    add_entry(node, view, std::move(choice), in_place, position, takes_sparse);
  }

  void add_entry(const Node& node, const NodeView& view, KernelChoice choice, int in_place, int position,
                 bool takes_sparse) {
    Entry entry;
    for (const ValueId id : node.inputs) entry.inputs.push_back(id == kNoValue ? -1 : add_slot(id));
    for (const ValueId id : node.captures) entry.inputs.push_back(add_slot(id));
    if (!takes_sparse) {
      for (const ValueId id : node.inputs) {
        if (id == kNoValue || graph_.value(id).sparse() == nullptr) continue;
        Slot& slot = program_.slots_[static_cast<std::size_t>(add_slot(id))];
        if (slot.constant.empty_handle()) slot.constant = graph_.value(id).sparse()->to_dense(most_dense_bytes());
      }
    }
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      const ValueId id = node.outputs[i];
      if (id == kNoValue) {
        entry.outputs.push_back(-1);
        continue;
      }
      if (i == 0 && in_place >= 0 && may_work_in_place(node, static_cast<std::size_t>(in_place), position)) {
        join(id, entry.inputs[static_cast<std::size_t>(in_place)]);
      }
      entry.outputs.push_back(add_slot(id));
    }
    entry.where = node.describe();
    entry.step = std::move(choice.step);
    entry.reports.push_back(report(node, view, std::move(choice), *entry.step));
    ++program_.layer_count_;
    program_.entries_.push_back(std::move(entry));
  }

  /// The operand's memory dies here, is not seen through another operand, and fits the result.
  bool may_work_in_place(const Node& node, std::size_t operand, int position) {
    const ValueId id = node.inputs[operand];
    if (id == kNoValue || node.outputs[0] == kNoValue) return false;
    const Group& group = group_of(add_slot(id));
    if (group.storage != Storage::planned || group.last_reader != position) return false;
    if (group.bytes < bytes_of(graph_.value(node.outputs[0]).type)) return false;
    for (const ValueId other : node.inputs) {
      if (other == kNoValue || other == id) continue;
      if (program_.slots_[static_cast<std::size_t>(add_slot(other))].group ==
          program_.slots_[static_cast<std::size_t>(add_slot(id))].group) {
        return false;
      }
    }
    return true;
  }

  /// A sparse constant that fills half the memory when dense is refused before the system runs out of it.
  std::size_t most_dense_bytes() const {
    constexpr std::size_t kUnknown = std::size_t{1} << 32;
    return environment_.machine.memory_bytes == 0 ? kUnknown : environment_.machine.memory_bytes / 2;
  }

  static LayerReport report(const Node& node, const NodeView& view, KernelChoice choice, const Step& step) {
    LayerReport layer = report(node, view, std::move(choice), step.weight_bytes() != 0);
    layer.executed_flops = step.flops();
    layer.bytes += static_cast<double>(step.weight_bytes());
    layer.weight_bytes += static_cast<double>(step.weight_bytes());
    layer.flops = step.skips_zeros() ? layer.executed_flops : layer.executed_flops * (1 - layer.zeros);
    return layer;
  }

  /// What does not depend on the step; `packed`: it holds the weights in a format of its own.
  static LayerReport report(const Node& node, const NodeView& view, KernelChoice choice, bool packed = true) {
    LayerReport layer;
    layer.name = node.name;
    layer.op = node.op;
    layer.device = "cpu";
    layer.kernel = std::move(choice.kernel);
    layer.refusals = std::move(choice.refusals);
    layer.choice = std::move(choice.choice);
    layer.candidates = std::move(choice.candidates);
    layer.sparse_from = choice.sparse_from;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (!view.has_input(i)) continue;
      const bool matrix = view.weight(i) != nullptr && view.weight(i)->shape().size() >= 2;
      if (matrix && packed) continue;  // counted as what it is packed to
      double bytes = bytes_of(view.input_type(i));
      if (i == 0 && node.op.starts_with("Gather") && view.has_output(0)) {  // of a table, the rows that are asked for
        bytes = std::min(bytes, bytes_of(view.output_type(0)));
      }
      layer.bytes += bytes;
      if (view.constant(i) != nullptr) layer.weight_bytes += bytes;
    }
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (!view.has_output(i)) continue;
      layer.bytes += bytes_of(view.output_type(i));
      if (layer.shape.empty() && view.output_type(i).is_concrete())
        layer.shape = sparse_run::to_string(view.output_shape(i));
    }
    const WeightFacts* weight = view.weight(1) != nullptr ? view.weight(1) : view.weight(0);
    if (weight != nullptr && weight->shape().size() >= 2) {
      layer.zeros = weight->zeros();
    }
    return layer;
  }

  void bind_outputs() {
    for (std::size_t i = 0; i < partition_.outputs.size(); ++i) {
      const int slot = add_slot(partition_.outputs[i]);
      program_.output_slots_.push_back(slot);
      Group& group = group_of(slot);
      if (group.storage != Storage::planned) continue;
      group.storage = Storage::output;
      group.external = static_cast<int>(i);
    }
  }

  void plan() {
    auto& entries = program_.entries_;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const auto touch = [&](int slot) {
        if (slot < 0) return;
        Group& group = group_of(slot);
        if (group.first < 0) group.first = static_cast<int>(i);
        group.last = static_cast<int>(i);
      };
      for (const int slot : entries[i].inputs) touch(slot);
      for (const int slot : entries[i].outputs) touch(slot);
    }
    std::vector<BufferRequest> requests;
    std::vector<std::size_t*> offsets;
    for (Group& group : program_.groups_) {
      if (group.storage == Storage::dynamic && group.last >= 0 && !holds_output(group)) {
        entries[static_cast<std::size_t>(group.last)].released.push_back(group.members.front());
      }
      if (group.storage == Storage::input && group.last >= 0 && !holds_output(group)) {
        auto& released = entries[static_cast<std::size_t>(group.last)].released;
        released.insert(released.end(), group.members.begin(), group.members.end());
      }
      if (group.storage != Storage::planned || group.first < 0) continue;
      requests.push_back({group.bytes, group.first, group.last});
      offsets.push_back(&group.offset);
    }
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const std::size_t scratch = entries[i].step->scratch_bytes();
      if (scratch == 0) continue;
      requests.push_back({scratch, static_cast<int>(i), static_cast<int>(i)});
      offsets.push_back(&entries[i].scratch_offset);
    }
    const MemoryPlan memory = plan_memory(requests);
    for (std::size_t i = 0; i < offsets.size(); ++i) *offsets[i] = memory.offsets[i];
    program_.arena_bytes_ = memory.arena_bytes;
    program_.grouped_bytes_ = grouped_bytes(partition_);
  }

  Program& program_;
  const Partition& partition_;
  const Graph& graph_;
  const Environment& environment_;
  const CompileOptions& options_;
  const SelectionPolicy& policy_;
  std::vector<std::unique_ptr<NodeView>> views_;  ///< parallel to the partition's nodes
  std::vector<KernelChoice> choices_;             ///< likewise
  std::vector<ColumnRegion> regions_;
  std::vector<bool> in_region_;  ///< parallel to the nodes
  std::unordered_map<ValueId, int> slot_of_;
  std::unordered_map<ValueId, int> last_reader_;
  std::unordered_map<ValueId, bool> is_output_;
  std::vector<ValueId> values_;  ///< parallel to slots_
};

Program::Program(const Partition& partition, const Environment& environment, const CompileOptions& options,
                 const SelectionPolicy& policy)
    : workspaces_(environment.workspaces ? environment.workspaces : std::make_shared<WorkspacePool>()) {
  Builder(*this, partition, environment, options, policy).build();
}

}  // namespace sparse_run::cpu
