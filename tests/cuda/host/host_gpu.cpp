// Memory of GPUs on the host, and the list of them.
#include "tests/cuda/host/host_gpu.hpp"

#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/error.hpp"

namespace sparse_run::host_cuda {

namespace status = gpu::cuda::status;

namespace {

constexpr std::size_t kAlignment = 256;

struct Registry {
  std::mutex mutex;
  std::vector<std::shared_ptr<HostGpu>> gpus;
};

Registry& registry() {
  static Registry one;
  return one;
}

}  // namespace

HostGpu::HostGpu(int index, const HostGpuOptions& chosen) : options(chosen), faults(fmt::format("gpu:{}", index)) {}

HostGpu::~HostGpu() {
  for (const auto& [address, bytes] : blocks_) std::free(const_cast<std::byte*>(address));
}

int HostGpu::allocate(std::size_t bytes, void** address) {
  if (const int code = status_of(*this, status::kUnknown, [&] { faults.before_allocation(bytes); });
      code != status::kSuccess) {
    return code;
  }
  if (bytes == 0) return status::kInvalidValue;
  const std::lock_guard lock(mutex_);
  if (bytes > options.memory_bytes - allocated_) return status::kOutOfMemory;
  *address = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  if (*address == nullptr) return status::kOutOfMemory;
  std::memset(*address, 0xff, bytes);  // not-a-number: whoever reads what nobody wrote shows
  blocks_.emplace(static_cast<std::byte*>(*address), bytes);
  allocated_ += bytes;
  return status::kSuccess;
}

int HostGpu::release(void* address) {
  const std::lock_guard lock(mutex_);
  const auto block = blocks_.find(static_cast<std::byte*>(address));
  if (block == blocks_.end()) return status::kInvalidValue;
  allocated_ -= block->second;
  blocks_.erase(block);
  std::free(address);
  return status::kSuccess;
}

bool HostGpu::holds(const void* address, std::size_t bytes) const {
  const auto* begin = static_cast<const std::byte*>(address);
  const std::lock_guard lock(mutex_);
  auto block = blocks_.upper_bound(begin);
  if (block == blocks_.begin()) return false;
  --block;
  return begin + bytes <= block->first + block->second;
}

std::size_t HostGpu::allocated() const {
  const std::lock_guard lock(mutex_);
  return allocated_;
}

std::shared_ptr<HostGpu> host_gpu(int index) {
  const std::lock_guard lock(registry().mutex);
  return registry().gpus.at(static_cast<std::size_t>(index));
}

int host_gpu_count() {
  const std::lock_guard lock(registry().mutex);
  return static_cast<int>(registry().gpus.size());
}

int add_host_gpu(const HostGpuOptions& options) {
  const std::lock_guard lock(registry().mutex);
  const auto index = static_cast<int>(registry().gpus.size());
  registry().gpus.push_back(std::make_shared<HostGpu>(index, options));
  return index;
}

gpu::Faults& faults_of(int index) { return host_gpu(index)->faults; }
std::size_t allocated_bytes(int index) { return host_gpu(index)->allocated(); }
std::size_t launched_kernels(int index) { return host_gpu(index)->kernels; }
std::size_t launched_graphs(int index) { return host_gpu(index)->graphs; }

}  // namespace sparse_run::host_cuda
