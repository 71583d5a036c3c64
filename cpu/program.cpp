// Execution of compiled CPU programs.
#include "cpu/program.hpp"

#include <algorithm>
#include <numeric>

#include "base/clock.hpp"

namespace sparse_run::cpu {

namespace {

/// Layers that ran interleaved within one step are shown one after the other, each as long as its share of the step.
void spread_times(const std::vector<std::int64_t>& layer_ns, std::int64_t began, std::int64_t ended, std::size_t first,
                  LayerTimes& times) {
  const auto total = std::max<double>(1, std::accumulate(layer_ns.begin(), layer_ns.end(), 0.0));
  double before = 0;
  for (std::size_t i = 0; i < layer_ns.size(); ++i) {
    const double scale = static_cast<double>(ended - began) / total;
    times.begin_ns[first + i] = began + static_cast<std::int64_t>(before * scale);
    before += static_cast<double>(layer_ns[i]);
    times.end_ns[first + i] = began + static_cast<std::int64_t>(before * scale);
  }
}

}  // namespace

Program::~Program() = default;

std::unique_ptr<Program::Frame> Program::take_frame() const {
  std::unique_ptr<Frame> frame;
  {
    const std::lock_guard lock(frames_mutex_);
    if (!frames_.empty()) {
      frame = std::move(frames_.back());
      frames_.pop_back();
    }
  }
  if (!frame) {
    frame = std::make_unique<Frame>();
    frame->values.resize(slots_.size());
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      const Group& group = groups_[static_cast<std::size_t>(slots_[i].group)];
      if (group.storage == Storage::constant) frame->values[i] = slots_[i].constant;
    }
  }
  frame->arena = workspaces_->take(arena_bytes_);
  auto* const base = static_cast<std::byte*>(frame->arena.raw());
  if (frame->bound_to == base) return frame;
  frame->bound_to = base;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    const Group& group = groups_[static_cast<std::size_t>(slot.group)];
    if (group.storage != Storage::planned) continue;
    frame->values[i] = Tensor::view(slot.type.dtype, *slot.type.shape, base + group.offset);
  }
  return frame;
}

void Program::bind_input(const Group& group, Value input, std::vector<Value>& values) const {
  const int owner = input_slots_[static_cast<std::size_t>(group.external)];
  for (const int member : group.members) {
    if (member == owner) continue;
    const Slot& slot = slots_[static_cast<std::size_t>(member)];
    Tensor& whole = input.tensor;
    values[static_cast<std::size_t>(member)] = Tensor::view(
        slot.type.dtype, *slot.type.shape, static_cast<std::byte*>(whole.raw()) + slot.offset, whole.owner());
  }
  values[static_cast<std::size_t>(owner)] = std::move(input);
}

void Program::bind_output(const Group& group, Value& output, std::vector<Value>& values) const {
  const int owner = output_slots_[static_cast<std::size_t>(group.external)];
  const Type& type = slots_[static_cast<std::size_t>(owner)].type;
  if (output.absent()) output = Tensor::allocate(type.dtype, *type.shape);
  require(output.is_tensor() && output.tensor.dtype() == type.dtype && output.tensor.shape() == *type.shape,
          "an output's memory has another type than the partition computes");
  for (const int member : group.members) {
    if (member == owner) continue;
    values[static_cast<std::size_t>(member)] =
        output.tensor.reshaped(*slots_[static_cast<std::size_t>(member)].type.shape);
  }
  values[static_cast<std::size_t>(owner)] = output;
}

void Program::run(std::span<const Value> inputs, std::span<Value> outputs, RunState& state) const {
  run_consuming({inputs.begin(), inputs.end()}, outputs, state);  // the caller's handles keep everything alive
}

void Program::run_consuming(std::vector<Value> inputs, std::span<Value> outputs, RunState& state) const {
  require(inputs.size() == input_slots_.size() && outputs.size() == output_slots_.size(),
          "a program was run with another number of values than it was compiled for");
  auto frame = take_frame();
  std::vector<Value>& values = frame->values;
  for (const Group& group : groups_) {
    const auto index = static_cast<std::size_t>(group.external);
    if (group.storage == Storage::dynamic) values[static_cast<std::size_t>(group.members.front())] = Value{};
    if (group.storage == Storage::input) bind_input(group, std::move(inputs[index]), values);
    if (group.storage == Storage::output) bind_output(group, outputs[index], values);
  }
  execute(std::move(frame), outputs, state);
}

void Program::execute(std::unique_ptr<Frame> frame, std::span<Value> outputs, RunState& state) const {
  std::vector<Value>& values = frame->values;
  if (state.times != nullptr) {
    state.times->begin_ns.assign(layer_count_, 0);
    state.times->end_ns.assign(layer_count_, 0);
  }
  auto* const arena = static_cast<std::byte*>(frame->arena.raw());
  std::size_t layer = 0;
  std::vector<std::int64_t> layer_ns;
  for (const Entry& entry : entries_) {
    state.check_cancelled();
    StepArguments arguments{values, entry.inputs, entry.outputs, arena + entry.scratch_offset, &state};
    const std::int64_t began = state.times != nullptr ? now_ns() : 0;
    if (state.times != nullptr && entry.reports.size() > 1) {
      layer_ns.assign(entry.reports.size(), 0);
      arguments.layer_ns = layer_ns;
    }
    try {
      entry.step->run(arguments);
    } catch (Error& error) {
      error.add_context(entry.where);
      throw;
    }
    for (const int slot : entry.released) values[static_cast<std::size_t>(slot)] = Value{};
    if (state.times != nullptr) {
      const std::int64_t ended = now_ns();
      state.times->begin_ns[layer] = began;
      state.times->end_ns[layer] = ended;
      if (!arguments.layer_ns.empty()) spread_times(layer_ns, began, ended, layer, *state.times);
    }
    layer += entry.reports.size();
  }

  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const auto slot = static_cast<std::size_t>(output_slots_[i]);
    const Group& group = groups_[static_cast<std::size_t>(slots_[slot].group)];
    if (group.storage == Storage::output && group.external == static_cast<int>(i)) continue;
    // A constant, an input passed through, or a dynamic value.
    if (outputs[i].absent()) {
      outputs[i] = values[slot];
    } else {
      outputs[i].tensor.copy_from(values[slot].tensor);
    }
  }
  for (const Group& group : groups_) {  // do not keep the caller's memory alive in an idle frame
    if (group.storage == Storage::planned || group.storage == Storage::constant) continue;
    for (const int member : group.members) values[static_cast<std::size_t>(member)] = Value{};
  }
  workspaces_->give(std::move(frame->arena));
  const std::lock_guard lock(frames_mutex_);
  frames_.push_back(std::move(frame));
}

std::vector<LayerReport> Program::layers() const {
  std::vector<LayerReport> reports;
  reports.reserve(layer_count_);
  for (const Entry& entry : entries_) reports.insert(reports.end(), entry.reports.begin(), entry.reports.end());
  return reports;
}

std::size_t Program::weight_bytes() const {
  std::size_t bytes = 0;
  for (const Entry& entry : entries_) bytes += entry.step->weight_bytes();
  return bytes;
}

}  // namespace sparse_run::cpu
