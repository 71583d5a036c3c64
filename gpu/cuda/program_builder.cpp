// Compiling a partition: kernels, slots, constants and the plan of the workspace.
#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "device/memory_plan.hpp"
#include "gpu/cuda/program.hpp"
#include "gpu/cuda/residency.hpp"
#include "gpu/cuda/steps/cached_gather.hpp"
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
    plan_workspace();
    place_constants();
    program_.workspace_ = allocate_block(program_.gpu_, program_.workspace_bytes_);
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
    if (!gathers_rows(view) || wanted != options_.kernels.end()) return;
    gathers_[program_.steps_.size() - 1] = id;
    scratch_bytes_ = std::max(scratch_bytes_, cached_gather_scratch(view));
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
      if (program_.slots_[static_cast<std::size_t>(placed.operands.back())].kind == Slot::Kind::constant) {
        note_reader(constant_of(placed.operands.back()), position, i);
      }
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
    const int slot = slot_of_[id] = add({Slot::Kind::constant, 0, 0});
    constants_.push_back({id, slot, {Pool::rounded(bytes_of(value)), kNobody, false}});
    return slot;
  }

  /// A constant that steps read through a slot: reshaped ones share it.
  struct PlacedConstant {
    ValueId id;
    int slot;
    ConstantUse use;
  };
  static constexpr int kNobody = -2;

  PlacedConstant& constant_of(int slot) {
    return *std::find_if(constants_.begin(), constants_.end(),
                         [&](const PlacedConstant& one) { return one.slot == slot; });
  }

  void note_reader(PlacedConstant& constant, int position, std::size_t operand) {
    ConstantUse& use = constant.use;
    if (use.reader == kNobody) use.reader = position;
    if (use.reader != position || operand != 0) several_.insert(constant.slot);
    if (use.reader != position) use.reader = -1;
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
      if (slot.kind == Slot::Kind::constant) constant_of(from).use.reader = -1;
      placed.results = {add({Slot::Kind::output, i, 0})};
      placed.step = std::make_unique<CopyStep>(bytes_of(graph_.value(id)));
      program_.steps_.push_back(std::move(placed));
    }
  }

  /// What is resident lies in one block.
  void place_constants() {
    std::vector<ConstantUse> uses;
    for (PlacedConstant& one : constants_) {
      if (one.use.reader < 0) one.use.reader = -1;
      const bool by_rows = one.use.reader >= 0 && !several_.contains(one.slot);
      one.use.table = by_rows && gathers_.contains(static_cast<std::size_t>(one.use.reader));
      uses.push_back(one.use);
    }
    const std::size_t room = room_for_constants();
    const Residency residency = plan_residency(uses, room, room / 4 * 3);
    if (!residency.fits) {
      throw_error(ErrorKind::device,
                  "{}: out of memory: constants of {} bytes, of which {} could stay in CPU memory, do not fit into the "
                  "{} bytes that are left; place less there or raise --memory-limit",
                  program_.gpu_->facts().name, residency.resident_bytes + residency.streamed_bytes,
                  residency.streamed_bytes, room);
    }
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < constants_.size(); ++i) {
      if (residency.places[i] != Place::resident) continue;
      place_of(constants_[i]).offset = bytes;
      bytes += uses[i].bytes;
    }
    if (bytes > 0) program_.constants_ = DeviceArray(program_.gpu_, bytes);
    cache_tables(residency, uses);
    stream_constants(residency);
    for (std::size_t i = 0; i < constants_.size(); ++i) {
      if (residency.places[i] != Place::resident) continue;
      const Tensor dense = dense_of(constants_[i].id);
      if (dense.bytes() == 0) continue;
      program_.gpu_->upload(address_of(program_.constants_.data()) + place_of(constants_[i]).offset, dense.raw(),
                            dense.bytes());
    }
    program_.weight_bytes_ += program_.constants_.bytes();
  }

  /// Bytes for constants beside the workspace, values of two requests, and what others hold already.
  std::size_t room_for_constants() const {
    std::size_t taken = program_.gpu_->pool().used() + program_.workspace_bytes_;
    for (const auto* ids : {&partition_.inputs, &partition_.outputs}) {
      for (const ValueId id : *ids) taken += 2 * Pool::rounded(bytes_of(graph_.value(id)));
    }
    const std::size_t allowed = program_.gpu_->allowance();
    return allowed > taken ? allowed - taken : 0;
  }

  Slot& place_of(const PlacedConstant& constant) { return program_.slots_[static_cast<std::size_t>(constant.slot)]; }

  Tensor dense_of(ValueId id) const {
    const ValueDef& value = graph_.value(id);
    return value.tensor() != nullptr ? *value.tensor() : value.sparse()->to_dense();
  }

  /// Steps that gather from tables in CPU memory take the place of the others.
  void cache_tables(const Residency& residency, const std::vector<ConstantUse>& uses) {
    double table_bytes = 0;
    for (std::size_t i = 0; i < uses.size(); ++i) {
      if (residency.places[i] == Place::cached) table_bytes += static_cast<double>(uses[i].bytes);
    }
    for (std::size_t i = 0; i < uses.size(); ++i) {
      if (residency.places[i] != Place::cached) continue;
      const auto position = static_cast<std::size_t>(uses[i].reader);
      PlacedStep& placed = program_.steps_[position];
      const NodeView view(graph_, graph_.node(gathers_.at(position)));
      const auto share = static_cast<std::size_t>(static_cast<double>(residency.cache_bytes) *
                                                  (static_cast<double>(uses[i].bytes) / table_bytes));
      auto table = program_.gpu_->host_weights(program_.gpu_, dense_of(constants_[i].id));
      placed.step = build_cached_gather(view, program_.gpu_, std::move(table), share);
      placed.operands[0] = -1;
      placed.report.kernel = placed.step->kernel();
      placed.report.choice = "its table stays in CPU memory, rows used lately are kept on the GPU";
      placed.report.weight_bytes = static_cast<double>(placed.step->weight_bytes());
      program_.weight_bytes_ += placed.step->weight_bytes();
    }
  }

  /// Steps with streamed constants take turns in two buffers.
  void stream_constants(const Residency& residency) {
    if (residency.streamed_bytes == 0) return;
    std::map<int, std::vector<PlacedConstant*>> by_step;
    for (std::size_t i = 0; i < constants_.size(); ++i) {
      if (residency.places[i] == Place::streamed) by_step[constants_[i].use.reader].push_back(&constants_[i]);
    }
    int turn = 0;
    for (const auto& [position, parts] : by_step) {
      PlacedStep& placed = program_.steps_[static_cast<std::size_t>(position)];
      placed.turn = turn;
      std::size_t offset = 0;
      for (const PlacedConstant* part : parts) {
        placed.streamed.push_back({program_.gpu_->host_weights(program_.gpu_, dense_of(part->id)), offset});
        place_of(*part) = {Slot::Kind::streamed, static_cast<std::size_t>(turn), offset};
        offset += part->use.bytes;
      }
      placed.report.choice =
          fmt::format("{} bytes of its weights stay in CPU memory and come for every request", offset);
      turn = 1 - turn;
    }
    program_.weight_stream_ = std::make_unique<WeightStream>(program_.gpu_, residency.buffer_bytes);
    program_.weight_bytes_ += program_.weight_stream_->bytes();
    program_.streamed_bytes_ = residency.streamed_bytes;
  }

  void plan_workspace() {
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
  }

  Program& program_;
  const Partition& partition_;
  const Graph& graph_;
  const CompileOptions& options_;
  std::unordered_map<ValueId, std::size_t> outputs_;
  std::unordered_map<ValueId, int> slot_of_;
  std::map<int, BufferRequest> life_;  ///< of workspace slots, in order
  std::vector<PlacedConstant> constants_;
  std::set<int> several_;                  ///< slots of constants that are read otherwise than as one table
  std::map<std::size_t, NodeId> gathers_;  ///< by step: those that gather rows of a constant
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
  program->first_node_ =
      partition.nodes.empty() ? "an empty partition" : partition.graph->node(partition.nodes.front()).describe();
  program->replay_ = std::make_unique<Replay>(program->gpu_, "the partition from " + program->first_node_ + " on");
  Builder(*program, partition, options).build();
  return program;
}

}  // namespace sparse_run::gpu::cuda
