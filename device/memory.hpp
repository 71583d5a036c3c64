// What a device with memory of its own offers besides computing: allocation, and copies on streams.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "device/event.hpp"
#include "graph/ir/tensor.hpp"

namespace sparse_run {

/// One tensor of a copy: equal types and sizes. The queue keeps both alive until the copy is complete.
struct TensorCopy {
  Tensor from;
  Tensor to;
};

/// The memory of a device and its two copy streams. A tensor of a device is an ordinary Tensor whose address belongs
/// to the device: the host may pass it on, and must not read or write it. Streams work in the order of submission;
/// different streams run side by side. Thread-safe.
///
/// Streams cannot deadlock as long as an operation waits only for events that exist when it is submitted: the order
/// of submission is then a topological order of all waits.
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;

  virtual std::size_t capacity_bytes() const = 0;
  /// Bytes in use now: tensors, and what executables hold (weights).
  virtual std::size_t used_bytes() const = 0;

  /// Memory freed with the last copy of the tensor. Error(device) when there is not enough, or the device is lost:
  /// the device goes on working in the first case.
  virtual Tensor allocate(DType dtype, Shape shape) = 0;

  /// Host memory from which and to which copies are fastest (page-locked where that matters), `bytes` long and
  /// aligned to 64. Error(limit) when the host has no more.
  virtual std::shared_ptr<void> allocate_staging(std::size_t bytes) = 0;

  /// Copies from host tensors to tensors of this device, as one operation on the inward stream, behind `after`.
  /// A failure, of the copy or of what it waited for, is the event's.
  virtual EventPtr copy_in(std::vector<TensorCopy> copies, const std::vector<EventPtr>& after) = 0;
  /// The same from this device to the host, on the outward stream.
  virtual EventPtr copy_out(std::vector<TensorCopy> copies, const std::vector<EventPtr>& after) = 0;
};

/// Host memory as any device takes it: aligned to 64 bytes. Error(limit) when there is none left.
std::shared_ptr<void> allocate_host_memory(std::size_t bytes);

}  // namespace sparse_run
