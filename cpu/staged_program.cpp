// Stages in order; groups of images as views of the batch's values.
#include "cpu/staged_program.hpp"

#include <unordered_map>

#include "base/clock.hpp"

namespace sparse_run::cpu {

namespace {

/// Group `index` of `groups` along the first dimension, as a view.
Tensor group_of(const Tensor& tensor, std::int64_t index, std::int64_t groups) {
  Shape shape = tensor.shape();
  shape[0] /= groups;
  const std::size_t bytes = tensor.bytes() / static_cast<std::size_t>(groups);
  // views are of mutable memory; programs write only to their outputs
  auto* data = static_cast<std::byte*>(const_cast<void*>(tensor.raw())) + static_cast<std::size_t>(index) * bytes;
  return Tensor::view(tensor.dtype(), std::move(shape), data, tensor.owner());
}

/// Adds the times of `part` to those of the layers from `first` on, as durations that begin at 0.
void add_durations(const LayerTimes& part, std::size_t first, LayerTimes& sum) {
  for (std::size_t i = 0; i < part.begin_ns.size(); ++i) sum.end_ns[first + i] += part.end_ns[i] - part.begin_ns[i];
}

}  // namespace

StagedProgram::StagedProgram(const Partition& partition, const std::vector<ImageStage>& stages,
                             const Environment& environment, const SelectionPolicy& policy) {
  std::unordered_map<ValueId, std::size_t> place_of;
  const auto place = [&](ValueId id) {
    const auto [found, added] = place_of.emplace(id, places_.size());
    if (added) places_.push_back({partition.graph->value(id).type, false});
    return found->second;
  };
  for (const ValueId id : partition.inputs) inputs_.push_back(place(id));
  for (const ValueId id : partition.outputs) outputs_.push_back(place(id));
  for (Place& given : places_) given.given = true;
  for (const ImageStage& cut : stages) {
    Stage stage;
    stage.groups = cut.groups;
    for (const ValueId id : cut.inputs) stage.inputs.push_back(place(id));
    for (const ValueId id : cut.outputs) stage.outputs.push_back(place(id));
    stage.program = std::make_unique<Program>(cut.partition, environment, cut.options, policy);
    stage.first_layer = layer_count_;
    layer_count_ += stage.program->layers().size();
    stages_.push_back(std::move(stage));
  }
}

std::unique_ptr<StagedProgram::Values> StagedProgram::take_values() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto values = std::move(idle_.back());
      idle_.pop_back();
      return values;
    }
  }
  auto values = std::make_unique<Values>(places_.size());
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const Place& place = places_[i];
    if (!place.given && place.type.is_concrete()) (*values)[i] = Tensor::allocate(place.type.dtype, *place.type.shape);
  }
  return values;
}

void StagedProgram::run(std::span<const Value> inputs, std::span<Value> outputs, RunState& state) const {
  require(inputs.size() == inputs_.size() && outputs.size() == outputs_.size(),
          "a staged program was run with another number of values than it was compiled for");
  auto values = take_values();
  for (std::size_t i = 0; i < inputs.size(); ++i) (*values)[inputs_[i]] = inputs[i];
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Type& type = places_[outputs_[i]].type;
    if (outputs[i].absent() && type.is_concrete()) outputs[i] = Tensor::allocate(type.dtype, *type.shape);
    (*values)[outputs_[i]] = outputs[i];
  }
  LayerTimes* const times = state.times;
  if (times != nullptr) {
    times->begin_ns.assign(layer_count_, 0);
    times->end_ns.assign(layer_count_, 0);
  }
  for (const Stage& stage : stages_) {
    LayerTimes own;
    const std::int64_t began = times == nullptr ? 0 : now_ns();
    if (times != nullptr) state.times = &own;
    if (stage.groups > 1) {
      run_groups(stage, *values, state);
    } else {
      Values given, results;
      for (const std::size_t place : stage.inputs) given.push_back((*values)[place]);
      for (const std::size_t place : stage.outputs) results.push_back((*values)[place]);
      stage.program->run(given, results, state);
      for (std::size_t i = 0; i < results.size(); ++i) (*values)[stage.outputs[i]] = std::move(results[i]);
    }
    state.times = times;
    if (times == nullptr) continue;
    if (stage.groups == 1) {
      std::copy(own.begin_ns.begin(), own.begin_ns.end(),
                times->begin_ns.begin() + static_cast<std::ptrdiff_t>(stage.first_layer));
      std::copy(own.end_ns.begin(), own.end_ns.end(),
                times->end_ns.begin() + static_cast<std::ptrdiff_t>(stage.first_layer));
      continue;
    }
    std::int64_t at = began;  // the layers of all groups, one after the other
    for (std::size_t i = 0; i < own.begin_ns.size(); ++i) {
      times->begin_ns[stage.first_layer + i] = at;
      at += own.end_ns[i];
      times->end_ns[stage.first_layer + i] = at;
    }
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) outputs[i] = (*values)[outputs_[i]];
  for (std::size_t i = 0; i < places_.size(); ++i) {  // do not keep the caller's memory alive
    if (places_[i].given || !places_[i].type.is_concrete()) (*values)[i] = Value{};
  }
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(values));
}

void StagedProgram::run_groups(const Stage& stage, Values& values, RunState& state) const {
  LayerTimes* const sum = state.times;
  if (sum != nullptr) {
    const std::size_t layers = stage.program->layers().size();
    sum->begin_ns.assign(layers, 0);
    sum->end_ns.assign(layers, 0);
  }
  for (std::int64_t group = 0; group < stage.groups; ++group) {
    Values given, results;
    for (const std::size_t place : stage.inputs)
      given.emplace_back(group_of(values[place].tensor, group, stage.groups));
    for (const std::size_t place : stage.outputs)
      results.emplace_back(group_of(values[place].tensor, group, stage.groups));
    LayerTimes own;
    if (sum != nullptr) state.times = &own;
    stage.program->run(given, results, state);
    state.times = sum;
    if (sum != nullptr) add_durations(own, 0, *sum);
  }
}

std::vector<LayerReport> StagedProgram::layers() const {
  std::vector<LayerReport> all;
  for (const Stage& stage : stages_) {
    for (LayerReport& report : stage.program->layers()) {
      report.flops *= static_cast<double>(stage.groups);
      report.executed_flops *= static_cast<double>(stage.groups);
      report.bytes *= static_cast<double>(stage.groups);
      all.push_back(std::move(report));
    }
  }
  return all;
}

std::size_t StagedProgram::workspace_bytes() const {
  std::size_t bytes = 0;
  for (const Place& place : places_) {
    if (!place.given && place.type.is_concrete()) {
      bytes += static_cast<std::size_t>(element_count(*place.type.shape)) * element_size(place.type.dtype);
    }
  }
  for (const Stage& stage : stages_) bytes += stage.program->workspace_bytes();
  return bytes;
}

std::size_t StagedProgram::weight_bytes() const {
  std::size_t bytes = 0;
  for (const Stage& stage : stages_) bytes += stage.program->weight_bytes();
  return bytes;
}

}  // namespace sparse_run::cpu
