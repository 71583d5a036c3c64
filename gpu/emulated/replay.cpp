// Remembering calls by the bytes of their operands.
#include "gpu/emulated/replay.hpp"

#include <algorithm>
#include <cstring>

namespace sparse_run::gpu {

namespace {

std::size_t bytes_of(std::span<const Value> values) {
  std::size_t bytes = 0;
  for (const Value& value : values) bytes += value.tensor.bytes();
  return bytes;
}

bool same(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

std::vector<Value> copies_of(std::span<const Value> values) {
  std::vector<Value> copies;
  for (const Value& value : values) {
    Tensor copy = Tensor::allocate(value.tensor.dtype(), value.tensor.shape());
    if (copy.bytes() > 0) std::memcpy(copy.raw(), value.tensor.raw(), copy.bytes());
    copies.emplace_back(std::move(copy));
  }
  return copies;
}

}  // namespace

bool Replay::recall(std::span<const Value> inputs, std::span<Value> outputs) const {
  if (limit_bytes_ == 0) return false;
  const std::lock_guard lock(mutex_);
  for (const Call& call : calls_) {
    const bool known = std::equal(inputs.begin(), inputs.end(), call.inputs.begin(), call.inputs.end(),
                                  [](const Value& a, const Value& b) { return same(a.tensor, b.tensor); });
    if (!known) continue;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const Tensor& result = call.outputs[i].tensor;
      if (result.bytes() > 0) std::memcpy(outputs[i].tensor.raw(), result.raw(), result.bytes());
    }
    misses_ = 0;
    return true;
  }
  return false;
}

void Replay::remember(std::span<const Value> inputs, std::span<const Value> outputs) {
  if (bytes_of(inputs) + bytes_of(outputs) > limit_bytes_) return;
  const std::lock_guard lock(mutex_);
  if (misses_ >= kMisses) return;
  ++misses_;
  if (calls_.size() == kCalls) calls_.pop_front();
  calls_.push_back({copies_of(inputs), copies_of(outputs)});
}

}  // namespace sparse_run::gpu
