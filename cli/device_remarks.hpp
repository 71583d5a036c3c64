// What devices say of the executions of their partitions, kept until it is printed.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace sparse_run::cli {

/// The last remarks on each partition. Thread-safe.
class DeviceRemarks {
 public:
  void set(const std::string& partition, const std::vector<std::string>& remarks) {
    const std::lock_guard lock(mutex_);
    by_partition_[partition] = remarks;
  }
  /// "gpu:0 from node 'a' (Gather) on: …", a line each.
  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> all;
    for (const auto& [partition, remarks] : by_partition_) {
      for (const std::string& remark : remarks) all.push_back(partition + ": " + remark);
    }
    return all;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<std::string>> by_partition_;
};

}  // namespace sparse_run::cli
