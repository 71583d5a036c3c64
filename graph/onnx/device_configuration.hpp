// Device configurations of IR 11: how a model's author meant it to be spread over devices.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sparse_run {

/// A named set of devices.
struct DeviceConfiguration {
  std::string name;
  int device_count = 0;
  std::vector<std::string> devices;  ///< one name per device, or empty
};

/// An axis of a tensor, cut into equal shards one after another (several entries: unequal parts).
struct ShardedAxis {
  struct Part {
    std::int64_t shards = 0;
    std::optional<std::int64_t> size;  ///< extent that is cut, where the model gives a number
    std::string symbol;                ///< or the name of a symbolic dimension
  };
  std::int64_t axis = 0;
  std::vector<Part> parts;
};

/// How one operand of a node is spread.
struct TensorSharding {
  std::string tensor;
  std::vector<std::int64_t> devices;  ///< indices of devices or (negative) of groups
  std::map<std::int64_t, std::vector<std::int64_t>> device_groups;
  std::vector<ShardedAxis> axes;  ///< none: replicated
};

/// What a node was meant for in one configuration.
struct NodePlacement {
  std::string node;  ///< name of the node in the graph; passes may have removed it since
  std::string configuration;
  std::optional<int> pipeline_stage;
  std::vector<TensorSharding> shardings;
};

}  // namespace sparse_run
