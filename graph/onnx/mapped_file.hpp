// A file mapped read-only into memory: model files and external tensor data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace sparse_run::onnx {

/// Read-only private mapping of a whole regular file; unmapped on destruction. The file must not be truncated while
/// it is mapped. Thread-safe to read.
class MappedFile {
 public:
  /// Whether read_at() may be used: the file then stays open.
  enum class Access { mapped, mapped_and_read };

  /// Follows symbolic links. Error(model) when the file is missing, unreadable, not a regular file or empty;
  /// Error(limit) above `max_bytes`.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path, std::uint64_t max_bytes,
                                                Access access = Access::mapped);

  /// Opens `relative` below `folder` without ever leaving it: no absolute path, no "..", no symbolic link in any
  /// component, no file with several hard links, no FIFO or device. Errors as open().
  static std::shared_ptr<const MappedFile> open_beneath(const std::filesystem::path& folder,
                                                        const std::string& relative, std::uint64_t max_bytes);

  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

  /// Copies bytes from `offset` on, without touching the mapping. Needs Access::mapped_and_read. Thread-safe.
  /// Error(input) when the file cannot be read, or has become shorter.
  void read_at(std::uint64_t offset, std::span<std::byte> into) const;

  /// Tells the kernel that the pages wholly inside `part` are not needed in memory for now. They read the same later.
  void release(std::span<const std::byte> part) const noexcept;

 private:
  MappedFile(const std::byte* data, std::size_t size);
  static std::shared_ptr<MappedFile> map(int descriptor, std::uint64_t max_bytes, bool single_link);

  const std::byte* data_;
  std::size_t size_;
  int descriptor_ = -1;  ///< for read_at
};

/// content_hash of a whole file, which leaves none of its pages in this process's resident memory.
std::uint64_t hash_file(const MappedFile& file, std::uint64_t seed);

}  // namespace sparse_run::onnx
