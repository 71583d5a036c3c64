// Reading ONNX models from untrusted files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "graph/ir/graph.hpp"
#include "graph/onnx/device_configuration.hpp"
#include "graph/onnx/limits.hpp"

namespace sparse_run {

/// The version of one operator domain that a model follows; ai.onnx is "".
struct OpsetImport {
  std::string domain;
  int version = 0;
};

/// A model as its file says it: nothing is inferred or folded yet, except that functions are inlined and Constant
/// nodes are constants. Operators are not checked (check_operators does that).
struct Model {
  GraphPtr graph;
  int ir_version = 0;
  std::string producer_name;
  std::string producer_version;
  std::string domain;
  std::int64_t model_version = 0;
  std::vector<OpsetImport> opsets;
  std::vector<std::pair<std::string, std::string>> metadata;
  /// Inputs that have a default in the model. They are constants of the graph, not among its inputs.
  std::vector<std::string> default_inputs;
  /// Nodes of the file's graph, in the file's order, by the names they have in `graph`. Nodes that a call was replaced
  /// with are called after it: "call/node".
  std::vector<std::string> node_names;
  /// Fingerprint of the model file and its external data, 16 hexadecimal digits: ties plans to models.
  std::string hash;
  bool has_external_data = false;  ///< some tensors are in other files of the model's folder
  std::vector<DeviceConfiguration> configurations;  ///< sets of devices that the model's author had in mind (IR 11)
  std::vector<NodePlacement> placements;            ///< and what of them nodes of the model's graph were meant for
};

/// Reads opsets 7 to 27 of ai.onnx, IR versions 3 to 13. Large tensors view the mapped file, which the tensors keep
/// mapped and which must not be truncated while they live. External data is read from the model's folder only.
/// Error(model): missing, damaged or invalid; Error(unsupported): needs what is not built; Error(limit). The message
/// names the file. Thread-safe.
Model load_model(const std::filesystem::path& path, const ImportLimits& limits = {});

/// The same for a model in memory, which may go away afterwards. External data is refused.
Model parse_model(std::span<const std::byte> bytes, const ImportLimits& limits = {});

}  // namespace sparse_run
