// Writing a model again with the devices its nodes are placed on (device configurations of IR 11).
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/onnx/limits.hpp"

namespace sparse_run {

/// One configuration of devices, and what of it each node takes.
struct ModelPlacement {
  struct Place {
    std::size_t device = 0;  ///< index among `devices`
    int stage = 0;           ///< of a pipeline
  };
  std::string configuration;
  std::vector<std::string> devices;
  /// Parallel to the nodes of the file's graph, in the file's order (Model::node_names); nullopt: anywhere.
  std::vector<std::optional<Place>> nodes;
};

/// The bytes of `model`, a file that load_model takes, with `placement` written into them; everything else stays as it
/// is, but for an IR version below 11, which becomes 11. A node's results are said to be on its one device, without
/// sharding. Configurations of other names are kept, one of the same name is replaced. `sink` is given the new file in
/// pieces. Error(model) for bytes that are no model, Error(internal) when the number of nodes differs.
void write_placed_model(std::span<const std::byte> model, const ModelPlacement& placement,
                        const std::function<void(std::string_view piece)>& sink);

}  // namespace sparse_run
