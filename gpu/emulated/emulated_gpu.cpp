// Running another device's kernels as if they were a GPU's.
#include "gpu/emulated/emulated_gpu.hpp"

#include <tbb/task_arena.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "base/clock.hpp"
#include "gpu/emulated/mapped_memory.hpp"
#include "gpu/emulated/replay.hpp"
#include "gpu/emulated/stream.hpp"
#include "gpu/fixed_memory.hpp"
#include "graph/ops/schema.hpp"

namespace sparse_run::gpu {

namespace {

constexpr double kNanoseconds = 1e9;

std::int64_t nanoseconds(double seconds) { return static_cast<std::int64_t>(seconds * kNanoseconds); }

/// The time of the device for one layer, all numbers of a sparse operand computed.
double layer_seconds(const LayerReport& layer, const EmulatedGpuOptions& options) {
  const double dense_flops = layer.zeros < 1 ? layer.flops / (1 - layer.zeros) : layer.flops;
  const double compute = options.flops_per_s > 0 ? dense_flops / options.flops_per_s : 0;
  const double memory = options.memory_bytes_per_s > 0 ? layer.bytes / options.memory_bytes_per_s : 0;
  return options.launch_s + std::max(compute, memory);
}

/// Whether the same operands always give the same results.
bool repeatable(const Partition& partition) {
  return std::all_of(partition.nodes.begin(), partition.nodes.end(), [&](NodeId id) {
    const OpSchema* schema = OpRegistry::standard().find(partition.graph->node(id));
    return schema != nullptr && schema->deterministic;
  });
}

/// Bytes of the constants that the nodes read, each once and dense: what a device has to hold of them. Packed copies of
/// the host's kernels may be larger or smaller and are not the device's.
std::size_t constant_bytes(const Partition& partition) {
  std::set<ValueId> constants;
  std::size_t bytes = 0;
  for (const NodeId id : partition.nodes) {
    for (const ValueId input : partition.graph->node(id).inputs) {
      if (input == kNoValue) continue;
      const ValueDef& value = partition.graph->value(input);
      if (!value.constant || !value.type.is_concrete() || !constants.insert(input).second) continue;
      bytes += static_cast<std::size_t>(element_count(*value.type.shape)) * element_size(value.type.dtype);
    }
  }
  return bytes;
}

}  // namespace

/// Memory and streams. Buffers keep the memory only, never the streams: their last owner may be a stream's thread.
struct EmulatedGpu::Core final : DeviceMemory {
  Core(const EmulatedGpuOptions& chosen, std::shared_ptr<Device> device)
      : options(chosen),
        kernels(std::move(device)),
        faults(chosen.name),
        memory(std::make_shared<MappedMemory>(chosen.name, chosen.memory_bytes)),
        arena(std::max(1, chosen.threads)),
        compute(chosen.name + " c"),
        inward(chosen.name + " i"),
        outward(chosen.name + " o") {
    memory->scribble_on_release(chosen.scribble_on_release);
  }

  std::size_t capacity_bytes() const override { return memory->capacity(); }
  std::size_t used_bytes() const override { return memory->used(); }

  Tensor allocate(DType dtype, Shape shape) override {
    const std::size_t bytes = static_cast<std::size_t>(element_count(shape)) * element_size(dtype);
    faults.before_allocation(bytes);
    void* address = memory->allocate(bytes);
    std::shared_ptr<const void> owner(
        address, [owned = memory, bytes](const void* p) { owned->release(const_cast<void*>(p), bytes); });
    return Tensor::view(dtype, std::move(shape), address, std::move(owner));
  }

  std::shared_ptr<void> allocate_staging(std::size_t bytes) override { return allocate_host_memory(bytes); }

  EventPtr copy_in(std::vector<TensorCopy> copies, const std::vector<EventPtr>& after) override {
    return inward.submit(after, [this, moved = std::move(copies)] {
      return copy(moved, [this](const TensorCopy& one) {
        std::memcpy(memory->alias(one.to.raw(), one.to.bytes()), one.from.raw(), one.from.bytes());
      });
    });
  }

  EventPtr copy_out(std::vector<TensorCopy> copies, const std::vector<EventPtr>& after) override {
    return outward.submit(after, [this, moved = std::move(copies)] {
      return copy(moved, [this](const TensorCopy& one) {
        std::memcpy(const_cast<void*>(one.to.raw()), memory->alias(one.from.raw(), one.from.bytes()), one.from.bytes());
      });
    });
  }

  template <class One>
  std::int64_t copy(const std::vector<TensorCopy>& copies, const One& one) {
    faults.before_copy();
    double bytes = 0;
    for (const TensorCopy& item : copies) {
      require(item.from.bytes() == item.to.bytes() && item.from.dtype() == item.to.dtype(),
              "a copy between a host and a device tensor of different types");
      if (item.from.bytes() > 0) one(item);
      bytes += static_cast<double>(item.from.bytes());
    }
    const double transfer = options.copy_bytes_per_s > 0 ? bytes / options.copy_bytes_per_s : 0;
    return nanoseconds(options.copy_latency_s + transfer);
  }

  /// The tensor as the kernels see it.
  Value aliased(const Value& value) const {
    const Tensor& tensor = value.tensor;
    return Tensor::view(tensor.dtype(), tensor.shape(), memory->alias(tensor.raw(), tensor.bytes()), tensor.owner());
  }

  EmulatedGpuOptions options;
  std::shared_ptr<Device> kernels;
  Faults faults;
  std::shared_ptr<MappedMemory> memory;  // shared with buffers
  tbb::task_arena arena;
  Stream compute;
  Stream inward;
  Stream outward;
};

class EmulatedGpu::Compiled final : public Executable {
 public:
  Compiled(std::shared_ptr<Core> core, const Partition& partition, const CompileOptions& options)
      : core_(std::move(core)),
        inner_(core_->kernels->compile(partition, {std::max(1, core_->options.threads), options.kernels})),
        weight_bytes_(constant_bytes(partition)),
        reserved_(weight_bytes_ + inner_->workspace_bytes()),
        first_node_(partition.nodes.empty() ? "an empty partition"
                                            : partition.graph->node(partition.nodes.front()).describe()),
        replay_(repeatable(partition) ? core_->options.replay_bytes : 0) {
    total_ns_ = nanoseconds(core_->options.dispatch_s);
    for (const LayerReport& layer : inner_->layers()) {
      layer_ns_.push_back(nanoseconds(layer_seconds(layer, core_->options)));
      total_ns_ += layer_ns_.back();
    }
    core_->memory->reserve(reserved_);
  }
  ~Compiled() override { core_->memory->unreserve(reserved_); }

  EventPtr submit(std::vector<Value> inputs, std::vector<Value> outputs, RunState& state,
                  const std::vector<EventPtr>& after) const override {
    return core_->compute.submit(after, [this, in = std::move(inputs), out = std::move(outputs), &state] {
      return run_kernels(in, out, state);
    });
  }

  std::vector<LayerReport> layers() const override {
    std::vector<LayerReport> reports = inner_->layers();
    for (LayerReport& report : reports) report.device = core_->options.name;
    return reports;
  }
  std::size_t workspace_bytes() const override { return inner_->workspace_bytes(); }
  std::size_t weight_bytes() const override { return weight_bytes_; }

 private:
  std::int64_t run_kernels(const std::vector<Value>& inputs, const std::vector<Value>& outputs, RunState& state) const {
    core_->faults.before_kernel(first_node_);
    std::vector<Value> in;
    std::vector<Value> out;
    for (const Value& value : inputs) in.push_back(core_->aliased(value));
    for (const Value& value : outputs) out.push_back(core_->aliased(value));
    const std::int64_t begin = now_ns();
    if (replay_.recall(in, out)) {
      state.check_cancelled();
      if (state.times != nullptr) report_device_times(*state.times, begin);
      return total_ns_;
    }
    core_->arena.execute([&] { inner_->run(in, out, state); });
    if (core_->options.relative_error > 0) {
      for (Value& value : out) disturb(value.tensor);
    }
    replay_.remember(in, out);
    if (state.times != nullptr && now_ns() - begin < total_ns_) report_device_times(*state.times, begin);
    return total_ns_;
  }

  void disturb(Tensor& tensor) const {
    if (tensor.dtype() != DType::f32) return;
    const auto factor = static_cast<float>(1 + core_->options.relative_error);
    auto values = tensor.data<float>();
    for (std::size_t i = 0; i < values.size(); i += 2) values[i] *= factor;
  }

  /// Layers are reported with the device's times, one after the other, unless the host was slower than the device.
  void report_device_times(LayerTimes& times, std::int64_t begin) const {
    times.begin_ns.resize(layer_ns_.size());
    times.end_ns.resize(layer_ns_.size());
    for (std::size_t i = 0; i < layer_ns_.size(); ++i) {
      times.begin_ns[i] = begin;
      begin += layer_ns_[i];
      times.end_ns[i] = begin;
    }
  }

  std::shared_ptr<Core> core_;
  std::unique_ptr<Executable> inner_;
  std::size_t weight_bytes_;
  std::size_t reserved_;
  std::string first_node_;
  std::vector<std::int64_t> layer_ns_;
  std::int64_t total_ns_ = 0;
  mutable Replay replay_;  // a memory of what was computed: invisible but for the host's time
};

EmulatedGpu::EmulatedGpu(const EmulatedGpuOptions& options, std::shared_ptr<Device> kernels)
    : core_(std::make_shared<Core>(options, std::move(kernels))) {
  require(core_->kernels->memory() == nullptr, "an emulated GPU needs kernels that compute in host memory");
}

EmulatedGpu::~EmulatedGpu() = default;

std::string EmulatedGpu::name() const { return core_->options.name; }

std::string EmulatedGpu::description() const {
  const EmulatedGpuOptions& options = core_->options;
  std::string text = fmt::format("GPU emulated on {} host thread{}, {:.1f} GiB", options.threads,
                                 options.threads == 1 ? "" : "s", static_cast<double>(memory_bytes()) / (1 << 30));
  if (options.flops_per_s > 0) text += fmt::format(", {:.4g} GFLOP/s", options.flops_per_s / 1e9);
  if (options.copy_bytes_per_s > 0) text += fmt::format(", copies {:.4g} GB/s", options.copy_bytes_per_s / 1e9);
  return text;
}

std::size_t EmulatedGpu::memory_bytes() const { return core_->memory->capacity(); }

DeviceMemory* EmulatedGpu::memory() { return core_.get(); }

std::string EmulatedGpu::refusal(const Graph& graph, const Node& node) const {
  if (std::string reason = refuse_unfixed(graph, node); !reason.empty()) return reason;
  return core_->kernels->refusal(graph, node);
}

std::unique_ptr<Executable> EmulatedGpu::compile(const Partition& partition, const CompileOptions& options) {
  for (const NodeId id : partition.nodes) {
    const Node& node = partition.graph->node(id);
    const std::string reason = refusal(*partition.graph, node);
    if (!reason.empty()) throw_error(ErrorKind::unsupported, "{}: {}: {}", name(), node.describe(), reason);
  }
  return std::make_unique<Compiled>(core_, partition, options);
}

Faults& EmulatedGpu::faults() { return core_->faults; }

const EmulatedGpuOptions& EmulatedGpu::options() const { return core_->options; }

}  // namespace sparse_run::gpu
