// Shapes of launches, and constants on the GPU.
#include "gpu/cuda/steps/step.hpp"

#include <algorithm>

namespace sparse_run::gpu::cuda {

namespace {

constexpr unsigned kThreads = 256;
constexpr long long kMostBlocks = 1 << 16;

}  // namespace

LaunchShape shape_for_items(long long items) {
  const long long blocks = std::clamp((items + kThreads - 1) / kThreads, 1LL, kMostBlocks);
  return {static_cast<unsigned>(blocks), kThreads, 0};
}

LaunchShape shape_for_rows(long long rows, std::size_t shared_bytes, unsigned threads) {
  return {static_cast<unsigned>(std::clamp(rows, 1LL, kMostBlocks)), threads, shared_bytes};
}

DeviceArray::DeviceArray(const std::shared_ptr<Gpu>& gpu, std::size_t bytes)
    : block_(allocate_block(gpu, bytes)), bytes_(bytes) {}

DeviceArray::DeviceArray(const std::shared_ptr<Gpu>& gpu, const void* data, std::size_t bytes)
    : DeviceArray(gpu, bytes) {
  if (bytes > 0) gpu->upload(address_of(block_.get()), data, bytes);
}

}  // namespace sparse_run::gpu::cuda
