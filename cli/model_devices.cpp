// Reading and writing device configurations of models.
#include "cli/model_devices.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli/partial_file.hpp"
#include "graph/onnx/mapped_file.hpp"
#include "graph/onnx/placed_model.hpp"

namespace sparse_run::cli {

namespace {

constexpr const char* kConfiguration = "sparse-run";

bool in_use(const DeviceConfiguration& configuration, std::span<const std::shared_ptr<Device>> devices) {
  return !configuration.devices.empty() &&
         std::all_of(configuration.devices.begin(), configuration.devices.end(), [&](const std::string& name) {
           return std::any_of(devices.begin(), devices.end(),
                              [&](const auto& device) { return device->name() == name; });
         });
}

/// The one device that all of a node's tensors are on; nullopt when they are spread.
std::optional<std::size_t> device_of(const NodePlacement& placement, std::size_t count) {
  std::optional<std::size_t> found;
  for (const TensorSharding& sharding : placement.shardings) {
    if (sharding.devices.size() != 1 || !sharding.axes.empty()) return std::nullopt;
    const std::int64_t index = sharding.devices.front();
    if (index < 0 || static_cast<std::size_t>(index) >= count) return std::nullopt;
    if (found && *found != static_cast<std::size_t>(index)) return std::nullopt;
    found = static_cast<std::size_t>(index);
  }
  return found;
}

/// The node of the file that a node of the graph is, or comes from: "call" for "call/node".
template <class Map>
auto find_origin(const Map& map, const std::string& name) {
  auto found = map.find(name);
  for (auto slash = name.rfind('/'); found == map.end() && slash != std::string::npos && slash > 0;
       slash = name.rfind('/', slash - 1)) {
    found = map.find(name.substr(0, slash));
  }
  return found;
}

}  // namespace

std::optional<NamedPlacement> configured_placement(const Model& model, std::span<const std::shared_ptr<Device>> devices,
                                                   const std::function<void(const std::string&)>& notice) {
  const auto chosen = std::find_if(model.configurations.begin(), model.configurations.end(),
                                   [&](const auto& configuration) { return in_use(configuration, devices); });
  if (chosen == model.configurations.end()) return std::nullopt;
  std::unordered_map<std::string, NamedPlacement::Place> places;
  std::size_t spread = 0;
  for (const NodePlacement& placement : model.placements) {
    if (placement.configuration != chosen->name) continue;
    if (const auto device = device_of(placement, chosen->devices.size())) {
      places[placement.node] = {chosen->devices[*device], placement.pipeline_stage.value_or(0)};
    } else {
      ++spread;
    }
  }
  if (spread > 0) {
    notice(fmt::format("configuration '{}' of the model spreads {} nodes over several devices; each runs on one",
                       chosen->name, spread));
  }
  if (places.empty()) return std::nullopt;
  NamedPlacement placement;
  for (NodeId id = 0; id < model.graph->nodes().size(); ++id) {
    const auto found = find_origin(places, model.graph->node(id).name);
    if (found != places.end()) placement.add(*model.graph, id, found->second);
  }
  return placement;
}

void export_placed(const std::string& file, const std::string& model_file, const Model& model,
                   const CompileReport& compiled, const ImportLimits& limits) {
  const auto folder = [](const std::string& path) {
    return std::filesystem::weakly_canonical(std::filesystem::absolute(path).parent_path());
  };
  if (model.has_external_data && folder(file) != folder(model_file)) {
    throw_error(ErrorKind::usage,
                "--export-placed {}: the model keeps tensors in other files of its folder {}; write it there", file,
                folder(model_file).string());
  }
  ModelPlacement placement;
  placement.configuration = kConfiguration;
  const auto index_of = [&](const std::string& device) {
    const auto found = std::find(placement.devices.begin(), placement.devices.end(), device);
    if (found == placement.devices.end()) placement.devices.push_back(device);
    return static_cast<std::size_t>(std::find(placement.devices.begin(), placement.devices.end(), device) -
                                    placement.devices.begin());
  };
  for (const PlannedPartition& partition : compiled.plan.partitions) index_of(partition.device);
  if (placement.devices.empty()) placement.devices.push_back("cpu");
  const auto places =
      places_in(*model.graph, placement_of(compiled.plan, *compiled.graph), {placement.devices.front(), 0});
  std::unordered_map<std::string, std::size_t> file_nodes;
  for (std::size_t i = 0; i < model.node_names.size(); ++i) file_nodes.emplace(model.node_names[i], i);
  placement.nodes.resize(model.node_names.size());
  for (NodeId id = 0; id < places.size(); ++id) {
    const auto origin = find_origin(file_nodes, model.graph->node(id).name);
    if (origin == file_nodes.end() || placement.nodes[origin->second]) continue;
    placement.nodes[origin->second] = ModelPlacement::Place{index_of(places[id].device), places[id].stage};
  }
  const auto mapped = onnx::MappedFile::open(model_file, limits.file_bytes);
  with_context([&] { return file; },
               [&] {
                 PartialFile written(file);
                 write_placed_model(mapped->bytes(), placement, [&](std::string_view piece) { written.append(piece); });
                 written.commit();
               });
}

}  // namespace sparse_run::cli
