// The side file of a job: results of finished requests, kept so that an interrupted job can go on.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "graph/ir/value.hpp"

namespace sparse_run::cli {

/// One file beside the output. Every part carries a checksum; a part that was cut off while it was written does not
/// count. Not thread-safe.
class PartStore {
 public:
  /// `identity` tells the job: model, inputs, size of requests. With `resume` the parts of an earlier run are taken
  /// over: Error(input) when they are of another job. Without, or when there is no file, the store begins empty.
  PartStore(std::string path, std::string identity, bool resume);
  ~PartStore();
  PartStore(const PartStore&) = delete;
  PartStore& operator=(const PartStore&) = delete;

  bool contains(std::int64_t request) const { return parts_.contains(request); }
  std::size_t size() const noexcept { return parts_.size(); }
  std::vector<Value> load(std::int64_t request) const;
  /// Error(input) when the disk is full.
  void append(std::int64_t request, const std::vector<Value>& outputs);
  /// After the output is complete: removes the file.
  void remove();

 private:
  struct Place {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
  };
  void open(bool resume);
  void take_over(std::uint64_t size);
  std::vector<std::byte> read(std::uint64_t offset, std::uint64_t bytes) const;
  void write(std::span<const std::byte> bytes);

  std::string path_;
  std::string identity_;
  int descriptor_ = -1;
  std::uint64_t end_ = 0;
  std::map<std::int64_t, Place> parts_;
};

}  // namespace sparse_run::cli
