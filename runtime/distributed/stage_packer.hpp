// Packs what leaves a stage when that makes a pipeline faster, and unpacks what comes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace sparse_run {

/// Of one stage, for one thread at a time.
class StagePacker {
 public:
  /// `link_bytes_per_s`: to the next rank; 0 when it is not known, and nothing is packed.
  explicit StagePacker(double link_bytes_per_s) : link_bytes_per_s_(link_bytes_per_s) {}

  /// The packed message, or nullptr when sending the words as they are is as good. `other_bytes` leave for the same
  /// request besides, `stage_s` is what the stage computes for it.
  std::shared_ptr<const std::vector<std::byte>> pack(std::span<const std::byte> words, std::size_t other_bytes,
                                                     double stage_s);
  /// `words` begin with a packed message of `packed_bytes`, which they replace. Error(comm) when it is damaged.
  void unpack(std::span<std::byte> words, std::size_t packed_bytes);

  std::uint64_t plain_bytes() const noexcept { return plain_bytes_; }    ///< of the messages that were packed
  std::uint64_t packed_bytes() const noexcept { return packed_bytes_; }  ///< that they became

 private:
  double link_bytes_per_s_;
  double pack_bytes_per_s_ = 2e9;  // as measured, once there was something to pack
  std::uint64_t plain_bytes_ = 0, packed_bytes_ = 0;
  std::vector<std::byte> arrived_;
};

}  // namespace sparse_run
