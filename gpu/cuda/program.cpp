// Running a compiled partition.
#include "gpu/cuda/program.hpp"

#include <algorithm>

#include "base/clock.hpp"

namespace sparse_run::gpu::cuda {

/// What belongs to one execution; lives until its event is reached.
struct Program::Execution {
  std::vector<Value> inputs;
  std::vector<Value> outputs;
  std::vector<DevicePtr> addresses;                 ///< of inputs, then of outputs
  std::vector<std::unique_ptr<NativeEvent>> times;  ///< before the first step and after each, when they are wanted
  std::shared_ptr<unsigned long long> fault;
};

EventPtr Program::submit(std::vector<Value> inputs, std::vector<Value> outputs, RunState& state,
                         const std::vector<EventPtr>& after) const {
  auto execution = std::make_shared<Execution>();
  for (const auto* values : {&inputs, &outputs}) {
    for (const Value& value : *values) execution->addresses.push_back(address_of(value.tensor.raw()));
  }
  execution->inputs = std::move(inputs);
  execution->outputs = std::move(outputs);
  return compute_->submit(
      after, [this, execution, &state](StreamHandle stream) { enqueue(stream, *execution, state); },
      [this, execution, &state](std::int64_t begin_ns, std::int64_t) { finish(*execution, state, begin_ns); });
}

void Program::enqueue(StreamHandle stream, Execution& execution, const RunState& state) const {
  state.check_cancelled();
  if (state.times != nullptr) {
    for (std::size_t i = 0; i <= steps_.size(); ++i) execution.times.push_back(std::make_unique<NativeEvent>(gpu_));
  }
  const DevicePtr fault = address_of(workspace_.get()) + fault_offset_;
  if (reports_faults_) {
    execution.fault = faults_->take();
    gpu_->check(gpu_->driver().fill(fault, 0, sizeof(unsigned long long), stream), "clearing the fault word");
  }
  // Streamed weights leave little to gain from a graph: copies take longer than launches.
  if (gpu_->options().graphs && execution.times.empty() && !weight_stream_) {
    with_context([&] { return first_node_; },
                 [&] { replay_->run(stream, execution.addresses, [&] { enqueue_steps(stream, execution); }); });
  } else {
    enqueue_steps(stream, execution);
  }
  if (reports_faults_) {
    gpu_->check(gpu_->driver().copy_out(execution.fault.get(), fault, sizeof(unsigned long long), stream),
                "reading the fault word");
  }
}

void Program::enqueue_steps(StreamHandle stream, Execution& execution) const {
  std::vector<DevicePtr> operands;
  std::vector<DevicePtr> results;
  const DevicePtr workspace = address_of(workspace_.get());
  const auto record = [&](std::size_t i) {
    if (execution.times.empty()) return;
    gpu_->check(gpu_->driver().event_record(execution.times[i]->handle(), stream), "recording an event");
  };
  record(0);
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const PlacedStep& placed = steps_[i];
    operands.clear();
    results.clear();
    for (const int slot : placed.operands) operands.push_back(address(slot, execution));
    for (const int slot : placed.results) results.push_back(address(slot, execution));
    with_context([&] { return placed.where; },
                 [&] {
                   const bool streams = !placed.streamed.empty();
                   if (streams) weight_stream_->fill(placed.turn, placed.streamed, stream);
                   placed.step->enqueue(
                       {*gpu_, stream, operands, results, workspace + scratch_offset_, workspace + fault_offset_});
                   if (streams) weight_stream_->release(placed.turn, stream);
                 });
    record(i + 1);
  }
}

DevicePtr Program::address(int slot, const Execution& execution) const {
  if (slot < 0) return 0;
  const Slot& place = slots_[static_cast<std::size_t>(slot)];
  switch (place.kind) {
    case Slot::Kind::input:
      return execution.addresses[place.index];
    case Slot::Kind::output:
      return execution.addresses[execution.inputs.size() + place.index];
    case Slot::Kind::constant:
      return address_of(constants_.data()) + place.offset;
    case Slot::Kind::streamed:
      return weight_stream_->buffer(static_cast<int>(place.index)) + place.offset;
    case Slot::Kind::workspace:
      return address_of(workspace_.get()) + place.offset;
  }
  return 0;
}

void Program::finish(Execution& execution, RunState& state, std::int64_t begin_ns) const {
  if (execution.fault && *execution.fault != 0) {
    for (const PlacedStep& placed : steps_) {
      if (const std::string text = placed.step->fault_text(*execution.fault); !text.empty()) {
        throw_error(ErrorKind::model, "{}: {}", placed.where, text);
      }
    }
  }
  if (state.times == nullptr || execution.times.empty()) return;
  if (gpu_->options().remark) gpu_->options().remark(gpu_->facts().name + " from " + first_node_ + " on", remarks());
  state.times->begin_ns.assign(steps_.size(), begin_ns);
  state.times->end_ns.assign(steps_.size(), begin_ns);
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    state.times->begin_ns[i] = begin_ns + elapsed_ns(*gpu_, *execution.times[0], *execution.times[i]);
    state.times->end_ns[i] =
        std::max(state.times->begin_ns[i], begin_ns + elapsed_ns(*gpu_, *execution.times[0], *execution.times[i + 1]));
  }
}

std::vector<std::string> Program::remarks() const {
  std::vector<std::string> found;
  for (const PlacedStep& placed : steps_) {
    if (std::string text = placed.step->remark(); !text.empty()) found.push_back(placed.where + ": " + text);
  }
  if (streamed_bytes_ > 0) {
    found.push_back(
        fmt::format("{} bytes of weights are copied to {} for every execution, beyond the {} bytes it holds",
                    streamed_bytes_, gpu_->facts().name, weight_bytes_));
  }
  if (const std::string reason = replay_->refusal(); !reason.empty()) {
    found.push_back(fmt::format("not replayed as a CUDA graph: {}", reason));
  }
  return found;
}

std::vector<LayerReport> Program::layers() const {
  std::vector<LayerReport> reports;
  for (const PlacedStep& placed : steps_) reports.push_back(placed.report);
  return reports;
}

}  // namespace sparse_run::gpu::cuda
