// Writes .npz files of known shapes piece by piece: results that exceed memory, in any interleaving of the members.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/partial_file.hpp"
#include "graph/ir/tensor.hpp"

namespace sparse_run::cli {

/// An uncompressed ZIP archive (ZIP64 where sizes need it) whose members are .npy streams. Declare every member with
/// add(), call begin(), fill each from front to back with append(), then finish(). Not thread-safe.
class NpzWriter {
 public:
  explicit NpzWriter(std::filesystem::path target) : file_(std::move(target)) {}

  /// Declares the member `name`.npy. `descr` as npy_descr() gives it, `data_bytes` those of the whole array.
  /// Error(input) for a name that is taken. Returns its index.
  std::size_t add(const std::string& name, const std::string& descr, const Shape& shape, std::uint64_t data_bytes);
  /// Declares and fills whole tensors; begin() included.
  void add_all(const std::vector<std::pair<std::string, Tensor>>& members);
  /// Lays out the file and claims its space. Error(input) when the disk is too small.
  void begin();
  /// The next bytes of a member's data.
  void append(std::size_t member, std::span<const std::byte> bytes);
  /// Completes the archive and gives it its name. Error(internal) when a member is not full.
  void finish();

 private:
  struct Member {
    std::string file_name;
    std::string header;
    std::uint64_t data_bytes = 0;
    std::uint64_t local_offset = 0;
    std::uint64_t data_offset = 0;
    std::uint64_t filled = 0;
    std::uint32_t crc = 0;
    std::uint64_t size() const { return header.size() + data_bytes; }
  };
  std::string local_header(const Member& member) const;
  std::string central_header(const Member& member) const;

  PartialFile file_;
  std::vector<Member> members_;
  std::uint64_t directory_offset_ = 0;
};

/// Writes whole tensors to one archive.
void write_npz(const std::filesystem::path& target, const std::vector<std::pair<std::string, Tensor>>& members);

}  // namespace sparse_run::cli
