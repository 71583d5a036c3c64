// Compiling a partition: kernels, slots, constants and the plan of the workspace.
#include <algorithm>
#include <map>
#include <unordered_map>

#include "device/memory_plan.hpp"
#include "gpu/cuda/program.hpp"
#include "gpu/cuda/steps/chain.hpp"
#include "gpu/cuda/steps/kernel_table.hpp"

namespace sparse_run::gpu::cuda {

namespace {

/// Copies operand 0 to result 0 unchanged, where sharing memory is impossible.
class CopyStep final : public Step {
 public:
  explicit CopyStep(std::size_t bytes) : bytes_(bytes) {}
  std::string_view kernel() const override { return "gpu.copy"; }
  void enqueue(const StepLaunch& launch) const override {
    if (bytes_ == 0) return;
    launch.gpu.check(launch.gpu.driver().copy_within(launch.results[0], launch.operands[0], bytes_, launch.stream),
                     "copying a tensor");
  }

 private:
  std::size_t bytes_;
};

std::size_t bytes_of(const ValueDef& value) {
  return static_cast<std::size_t>(element_count(*value.type.shape)) * element_size(value.type.dtype);
}

/// A step that explains this fault may set one.
constexpr unsigned long long kProbeFault = 1;

}  // namespace

class Program::Builder {
 public:
  Builder(Program& program, const Partition& partition, const CompileOptions& options)
      : program_(program), partition_(partition), graph_(*partition.graph), options_(options) {}

  void build() {
    for (std::size_t i = 0; i < partition_.outputs.size(); ++i) outputs_.emplace(partition_.outputs[i], i);
    for (std::size_t i = 0; i < partition_.inputs.size(); ++i) {
      slot_of_[partition_.inputs[i]] = add({Slot::Kind::input, i, 0});
    }
    find_chained();
    for (const NodeId id : partition_.nodes) {
      const Node& node = graph_.node(id);
      with_context([&] { return node.describe(); }, [&] { add_node(id, node); });
    }
    copy_outputs();
    place_constants();
    place_workspace();
  }

 private:
  int add(Slot slot) {
    program_.slots_.push_back(slot);
    return static_cast<int>(program_.slots_.size()) - 1;
  }

  void find_chained() {
    if (!program_.gpu_->options().generated || !program_.gpu_->libraries().nvrtc.table) return;
    std::vector<NodeId> free;  // a kernel that was asked for is not dissolved in a chain
    for (const NodeId id : partition_.nodes) {
      if (!options_.kernels.contains(id)) free.push_back(id);
    }
    chains_ = find_chains(graph_, free, [this](ValueId id) { return outputs_.contains(id) || graph_.is_output(id); });
    for (const Chain& chain : chains_) {
      for (const NodeId id : chain.nodes) in_chain_[id] = nullptr;  // computed with the last
      in_chain_[chain.nodes.back()] = &chain;
    }
  }

  void add_node(NodeId id, const Node& node) {
    const NodeView view(graph_, node);
    if (const auto chained = in_chain_.find(id); chained != in_chain_.end()) {
      if (chained->second != nullptr) add_chain(*chained->second, view);
      return;
    }
    if (only_reshapes(view)) return add_reshape(view);
    const auto wanted = options_.kernels.find(id);
    BuiltStep built = build_step(view, program_.gpu_, wanted != options_.kernels.end() ? wanted->second : "");
    program_.reports_faults_ |= !built.step->fault_text(kProbeFault).empty();
    place(std::move(built.step), node.inputs, node.outputs, node, node.op, std::move(built.refusals));
  }

  void add_chain(const Chain& chain, const NodeView& last) {
    std::string op;
    for (const NodeId id : chain.nodes) op += (op.empty() ? "" : "+") + graph_.node(id).op;
    place(build_chain(graph_, chain, program_.gpu_), chain.operands, last.node().outputs, last.node(), op, {});
  }

  /// The result is the operand's memory, unless it has to be at an address of its own.
  void add_reshape(const NodeView& view) {
    const ValueId from = view.node().inputs[0];
    const ValueId to = view.node().outputs[0];
    if (!outputs_.contains(to)) {
      slot_of_[to] = operand_slot(from);
      return;
    }
    place(std::make_unique<CopyStep>(bytes_of(view.out())), {from}, {to}, view.node(), view.node().op, {});
  }

  void place(std::unique_ptr<Step> step, const std::vector<ValueId>& operands, const std::vector<ValueId>& results,
             const Node& node, const std::string& op, std::string refusals) {
    PlacedStep placed;
    placed.where = node.describe();
    LayerReport& report = placed.report;
    report.name = node.name;
    report.op = op;
    report.device = program_.gpu_->facts().name;
    report.kernel = step->kernel();
    report.refusals = std::move(refusals);
    report.flops = step->flops();
    report.executed_flops = step->executed_flops();
    report.zeros = step->zeros();
    const auto position = static_cast<int>(program_.steps_.size());
    for (std::size_t i = 0; i < operands.size(); ++i) {
      const bool read = operands[i] != kNoValue && step->reads(i);
      placed.operands.push_back(read ? operand_slot(operands[i]) : -1);
      if (!read) continue;
      const auto bytes = static_cast<double>(bytes_of(graph_.value(operands[i])));
      report.bytes += bytes;
      if (graph_.value(operands[i]).constant) report.weight_bytes += bytes;
      touch(placed.operands.back(), position);
    }
    for (const ValueId id : results) {
      placed.results.push_back(id == kNoValue ? -1 : result_slot(id, position));
      if (id == kNoValue) continue;
      report.bytes += static_cast<double>(bytes_of(graph_.value(id)));
      if (report.shape.empty()) report.shape = to_string(*graph_.value(id).type.shape);
    }
    report.weight_bytes += static_cast<double>(step->weight_bytes());
    report.bytes += static_cast<double>(step->weight_bytes());
    scratch_bytes_ = std::max(scratch_bytes_, step->scratch_bytes());
    program_.weight_bytes_ += step->weight_bytes();
    placed.step = std::move(step);
    program_.steps_.push_back(std::move(placed));
  }

  int operand_slot(ValueId id) {
    if (const auto known = slot_of_.find(id); known != slot_of_.end()) return known->second;
    const ValueDef& value = graph_.value(id);
    require(value.constant.has_value(), "a partition reads a value that nobody gives it");
    constants_.push_back(id);
    return slot_of_[id] = add({Slot::Kind::constant, 0, 0});
  }

  int result_slot(ValueId id, int position) {
    const auto output = outputs_.find(id);
    const int slot =
        output != outputs_.end() ? add({Slot::Kind::output, output->second, 0}) : add({Slot::Kind::workspace, 0, 0});
    slot_of_[id] = slot;
    if (output == outputs_.end()) {
      life_[slot] = {Pool::rounded(bytes_of(graph_.value(id))), position, position};
    }
    return slot;
  }

  void touch(int slot, int position) {
    if (const auto found = life_.find(slot); found != life_.end()) found->second.last = position;
  }

  /// Inputs and constants that are outputs too, and outputs given twice.
  void copy_outputs() {
    for (std::size_t i = 0; i < partition_.outputs.size(); ++i) {
      const ValueId id = partition_.outputs[i];
      const int from = operand_slot(id);
      const Slot& slot = program_.slots_[static_cast<std::size_t>(from)];
      if (slot.kind == Slot::Kind::output && slot.index == i) continue;
      PlacedStep placed;
      placed.where = fmt::format("output '{}'", graph_.value(id).name);
      placed.report.name = graph_.value(id).name;
      placed.report.op = "Identity";
      placed.report.device = program_.gpu_->facts().name;
      placed.report.kernel = "gpu.copy";
      placed.report.shape = to_string(*graph_.value(id).type.shape);
      placed.operands = {from};
      placed.results = {add({Slot::Kind::output, i, 0})};
      placed.step = std::make_unique<CopyStep>(bytes_of(graph_.value(id)));
      program_.steps_.push_back(std::move(placed));
    }
  }

  /// All in one block.
  void place_constants() {
    std::size_t bytes = 0;
    for (const ValueId id : constants_) {
      program_.slots_[static_cast<std::size_t>(slot_of_[id])].offset = bytes;
      bytes += Pool::rounded(bytes_of(graph_.value(id)));
    }
    if (bytes == 0) return;
    program_.constants_ = DeviceArray(program_.gpu_, bytes);
    for (const ValueId id : constants_) {
      const ValueDef& value = graph_.value(id);
      const Tensor dense = value.tensor() != nullptr ? *value.tensor() : value.sparse()->to_dense();
      const std::size_t offset = program_.slots_[static_cast<std::size_t>(slot_of_[id])].offset;
      if (dense.bytes() > 0) {
        program_.gpu_->upload(address_of(program_.constants_.data()) + offset, dense.raw(), dense.bytes());
      }
    }
    program_.weight_bytes_ += program_.constants_.bytes();
  }

  void place_workspace() {
    std::vector<BufferRequest> requests;
    std::vector<int> slots;
    for (const auto& [slot, request] : life_) {
      slots.push_back(slot);
      requests.push_back(request);
    }
    const MemoryPlan plan = plan_memory(requests);
    for (std::size_t i = 0; i < slots.size(); ++i) {
      program_.slots_[static_cast<std::size_t>(slots[i])].offset = plan.offsets[i];
    }
    program_.scratch_offset_ = Pool::rounded(plan.arena_bytes);
    program_.fault_offset_ = program_.scratch_offset_ + Pool::rounded(scratch_bytes_);
    program_.workspace_bytes_ = program_.fault_offset_ + Pool::kAlignment;
    program_.workspace_ = allocate_block(program_.gpu_, program_.workspace_bytes_);
  }

  Program& program_;
  const Partition& partition_;
  const Graph& graph_;
  const CompileOptions& options_;
  std::unordered_map<ValueId, std::size_t> outputs_;
  std::unordered_map<ValueId, int> slot_of_;
  std::map<int, BufferRequest> life_;  ///< of workspace slots, in order
  std::vector<ValueId> constants_;
  std::vector<Chain> chains_;
  std::unordered_map<NodeId, const Chain*> in_chain_;
  std::size_t scratch_bytes_ = 0;
};

std::unique_ptr<Program> Program::compile(std::shared_ptr<Gpu> gpu, std::shared_ptr<Queue> compute,
                                          std::shared_ptr<FaultWords> faults, const Partition& partition,
                                          const CompileOptions& options) {
  std::unique_ptr<Program> program(new Program);
  gpu->enter();
  program->gpu_ = std::move(gpu);
  program->compute_ = std::move(compute);
  program->faults_ = std::move(faults);
  program->replay_ = std::make_unique<Replay>(program->gpu_);
  program->first_node_ =
      partition.nodes.empty() ? "an empty partition" : partition.graph->node(partition.nodes.front()).describe();
  Builder(*program, partition, options).build();
  return program;
}

}  // namespace sparse_run::gpu::cuda
