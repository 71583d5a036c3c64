// Memory, copies and compilation of a GPU, behind the contract of devices.
#include "gpu/cuda/device.hpp"

#include <charconv>

#include "gpu/cuda/fault_words.hpp"
#include "gpu/cuda/program.hpp"
#include "gpu/cuda/queue.hpp"
#include "gpu/cuda/steps/kernel_table.hpp"
#include "gpu/fixed_memory.hpp"

namespace sparse_run::gpu::cuda {

namespace {

/// Buffers keep the GPU open, never the queues: their last owner may be a queue's thread.
class CudaDevice final : public Device, private DeviceMemory {
 public:
  explicit CudaDevice(std::shared_ptr<Gpu> gpu)
      : gpu_(std::move(gpu)),
        faults_(std::make_shared<FaultWords>(gpu_)),
        compute_(std::make_shared<Queue>(gpu_, gpu_->facts().name + " c")),
        inward_(gpu_, gpu_->facts().name + " i"),
        outward_(gpu_, gpu_->facts().name + " o") {}

  std::string name() const override { return gpu_->facts().name; }
  std::string description() const override {
    const GpuFacts& facts = gpu_->facts();
    return fmt::format("{}, compute capability {}.{}, {:.1f} GiB", facts.model, facts.major, facts.minor,
                       static_cast<double>(facts.memory_bytes) / (1 << 30));
  }
  std::size_t memory_bytes() const override { return gpu_->pool().capacity(); }
  DeviceMemory* memory() override { return this; }

  std::string refusal(const Graph& graph, const Node& node) const override {
    if (std::string reason = refuse_unfixed(graph, node); !reason.empty()) return reason;
    const NodeView view(graph, node);
    return only_reshapes(view) ? std::string() : refusal_of(view, *gpu_);
  }

  std::unique_ptr<Executable> compile(const Partition& partition, const CompileOptions& options) override {
    for (const NodeId id : partition.nodes) {
      const Node& node = partition.graph->node(id);
      const std::string reason = refusal(*partition.graph, node);
      if (!reason.empty()) throw_error(ErrorKind::unsupported, "{}: {}: {}", name(), node.describe(), reason);
    }
    return Program::compile(gpu_, compute_, faults_, partition, options);
  }

 private:
  std::size_t capacity_bytes() const override { return gpu_->pool().capacity(); }
  std::size_t used_bytes() const override { return gpu_->pool().used(); }

  Tensor allocate(DType dtype, Shape shape) override {
    const std::size_t bytes = static_cast<std::size_t>(element_count(shape)) * element_size(dtype);
    std::shared_ptr<const void> block = allocate_block(gpu_, bytes);
    void* address = const_cast<void*>(block.get());
    return Tensor::view(dtype, std::move(shape), address, std::move(block));
  }

  std::shared_ptr<void> allocate_staging(std::size_t bytes) override { return allocate_page_locked(gpu_, bytes); }

  EventPtr copy_in(std::vector<TensorCopy> copies, const std::vector<EventPtr>& after) override {
    return inward_.submit(after, [this, moved = std::move(copies)](StreamHandle stream) {
      for (const TensorCopy& one : moved) {
        const std::size_t bytes = checked_bytes(one);
        if (bytes == 0) continue;
        gpu_->check(gpu_->driver().copy_in(address_of(one.to.raw()), one.from.raw(), bytes, stream),
                    fmt::format("a copy failed: {} bytes to the GPU", bytes));
      }
    });
  }

  EventPtr copy_out(std::vector<TensorCopy> copies, const std::vector<EventPtr>& after) override {
    return outward_.submit(after, [this, moved = std::move(copies)](StreamHandle stream) {
      for (const TensorCopy& one : moved) {
        const std::size_t bytes = checked_bytes(one);
        if (bytes == 0) continue;
        gpu_->check(gpu_->driver().copy_out(const_cast<void*>(one.to.raw()), address_of(one.from.raw()), bytes, stream),
                    fmt::format("a copy failed: {} bytes from the GPU", bytes));
      }
    });
  }

  static std::size_t checked_bytes(const TensorCopy& one) {
    require(one.from.bytes() == one.to.bytes() && one.from.dtype() == one.to.dtype(),
            "a copy between a host and a device tensor of different types");
    return one.from.bytes();
  }

  std::shared_ptr<Gpu> gpu_;            // shared with buffers and executables
  std::shared_ptr<FaultWords> faults_;  // shared with executables
  std::shared_ptr<Queue> compute_;      // shared with executables
  Queue inward_;
  Queue outward_;
};

/// The libraries of this machine; what is missing is said of the GPU that was asked for.
const Libraries& libraries_for(int index) {
  return with_context([&] { return fmt::format("gpu:{}", index); },
                      []() -> const Libraries& { return load_libraries(); });
}

}  // namespace

std::shared_ptr<Device> open_cuda_device(int index, const GpuOptions& options) {
  return open_cuda_device(libraries_for(index), index, options);
}

std::shared_ptr<Device> open_cuda_device(const Libraries& libraries, int index, const GpuOptions& options) {
  return std::make_shared<CudaDevice>(Gpu::open(libraries, index, options));
}

GpuFacts describe_gpu(int index) { return Gpu::describe(libraries_for(index), index); }

int count_gpus() { return Gpu::count(load_libraries()); }

int gpu_index(const std::string& name) {
  int index = -1;
  const char* end = name.data() + name.size();
  if (name.starts_with("gpu:")) {
    const auto [stop, failure] = std::from_chars(name.data() + 4, end, index);
    if (failure == std::errc() && stop == end && index >= 0) return index;
  }
  throw_error(ErrorKind::usage, "'{}' is no GPU; they are called gpu:0, gpu:1 …", name);
}

}  // namespace sparse_run::gpu::cuda
