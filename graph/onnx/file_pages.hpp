// Giving back memory that holds nothing but pages of mapped files.
#pragma once

#include <cstddef>
#include <span>

namespace sparse_run::onnx {

/// Tells the system that the pages wholly inside `part` are not needed in memory for now, when `part` lies in a file
/// that is mapped by MappedFile: they read the same later. Other memory is left alone. Thread-safe.
void discard_file_pages(std::span<const std::byte> part) noexcept;

/// Whether `part` lies in a file that is mapped by MappedFile. Thread-safe.
bool is_file_memory(std::span<const std::byte> part) noexcept;

}  // namespace sparse_run::onnx
