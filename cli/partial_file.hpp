// A file that appears complete or not at all: written without a name, or under a temporary one, then renamed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace sparse_run::cli {

/// Removed on destruction, and by remove_partial_files(), unless commit() succeeded. Not thread-safe.
class PartialFile {
 public:
  /// Creates the temporary file next to `target`. Error(input) when the folder is missing or not writable, or when
  /// `target` is a folder or no regular file.
  explicit PartialFile(std::filesystem::path target);
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  const std::filesystem::path& target() const noexcept { return target_; }
  /// Claims disk space, so that a full disk shows before the work. Error(input) when there is not enough.
  void reserve(std::uint64_t bytes);
  /// Writes all of `bytes` at `offset`. Error(input) when the disk is full.
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  /// Appends text; the simple way for small files.
  void append(std::string_view text);
  /// Flushes to disk and gives the file its name.
  void commit();

 private:
  [[noreturn]] void fail(std::string_view what) const;

  std::filesystem::path target_;
  std::filesystem::path temporary_;
  std::uint64_t appended_ = 0;
  int descriptor_ = -1;
  int slot_ = -1;  ///< in the table that remove_partial_files() walks; -1 while the file has no name
};

/// Writes a whole small file, complete or not at all. Error(input) naming it.
void write_text_file(const std::filesystem::path& path, std::string_view text);

/// Deletes every temporary file that is being written. Async-signal-safe: for a process that is about
/// to end, from any thread or handler.
void remove_partial_files() noexcept;

}  // namespace sparse_run::cli
