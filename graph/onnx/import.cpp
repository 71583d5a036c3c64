// From a file to a model: map, scan, parse, read the header, read the graph.
#include "graph/onnx/import.hpp"

#include <memory>

#include <google/protobuf/arena.h>

#include "base/error.hpp"
#include "graph/onnx/budget.hpp"
#include "graph/onnx/content_hash.hpp"
#include "graph/onnx/external_data.hpp"
#include "graph/onnx/graph_reader.hpp"
#include "graph/onnx/mapped_file.hpp"
#include "graph/onnx/names.hpp"
#include "graph/onnx/parse_message.hpp"

namespace sparse_run {

namespace {

constexpr std::int64_t kOldestIr = 3;
constexpr std::int64_t kNewestIr = 13;

void check_header(const onnx_wire::ModelProto& proto) {
  if (!proto.has_ir_version() || !proto.has_graph()) {
    throw_error(ErrorKind::model, "not an ONNX model: it has no {}", proto.has_graph() ? "IR version" : "graph");
  }
  if (proto.ir_version() < 1) throw_error(ErrorKind::model, "IR version {} is impossible", proto.ir_version());
  if (proto.ir_version() < kOldestIr || proto.ir_version() > kNewestIr) {
    throw_error(ErrorKind::unsupported, "IR version {} is not supported: {} to {} are", proto.ir_version(), kOldestIr,
                kNewestIr);
  }
}

TensorSharding read_sharding(const onnx_wire::ShardingSpecProto& proto, const ImportLimits& limits) {
  TensorSharding sharding;
  onnx::check_name(proto.tensor_name(), limits, "a sharded tensor");
  sharding.tensor = proto.tensor_name();
  sharding.devices.assign(proto.device().begin(), proto.device().end());
  for (const auto& group : proto.index_to_device_group_map()) {
    sharding.device_groups[group.key()].assign(group.value().begin(), group.value().end());
  }
  for (const auto& dim : proto.sharded_dim()) {
    ShardedAxis axis{dim.axis(), {}};
    for (const auto& part : dim.simple_sharding()) {
      axis.parts.push_back({part.num_shards(), {}, part.dim_param()});
      if (part.has_dim_value()) axis.parts.back().size = part.dim_value();
    }
    sharding.axes.push_back(std::move(axis));
  }
  return sharding;
}

NodePlacement read_placement(const std::string& node, const onnx_wire::NodeDeviceConfigurationProto& proto,
                             const ImportLimits& limits) {
  NodePlacement placement;
  onnx::check_name(proto.configuration_id(), limits, "a device configuration");
  placement.node = node;
  placement.configuration = proto.configuration_id();
  if (proto.has_pipeline_stage()) placement.pipeline_stage = proto.pipeline_stage();
  for (const auto& spec : proto.sharding_spec()) placement.shardings.push_back(read_sharding(spec, limits));
  return placement;
}

void read_header(const onnx_wire::ModelProto& proto, const ImportLimits& limits, Model& model) {
  model.ir_version = static_cast<int>(proto.ir_version());
  onnx::check_name(proto.producer_name(), limits, "the producer");
  onnx::check_name(proto.producer_version(), limits, "the producer's version");
  onnx::check_name(proto.domain(), limits, "the model's domain");
  model.producer_name = proto.producer_name();
  model.producer_version = proto.producer_version();
  model.domain = proto.domain();
  model.model_version = proto.model_version();
  for (const auto& entry : proto.metadata_props()) model.metadata.emplace_back(entry.key(), entry.value());
  for (const auto& configuration : proto.configuration()) {
    onnx::check_name(configuration.name(), limits, "a device configuration");
    model.configurations.push_back({configuration.name(),
                                    configuration.num_devices(),
                                    {configuration.device().begin(), configuration.device().end()}});
  }
}

// `mapping` keeps `bytes` alive, or is nullptr: then tensors are copied.
Model read_model(std::span<const std::byte> bytes, const std::shared_ptr<const onnx::MappedFile>& mapping,
                 std::optional<std::filesystem::path> folder, const ImportLimits& limits) {
  google::protobuf::Arena arena;
  auto& proto = *google::protobuf::Arena::CreateMessage<onnx_wire::ModelProto>(&arena);
  onnx::parse_message(bytes, onnx::RootMessage::model, limits, proto);
  check_header(proto);

  Model model;
  read_header(proto, limits, model);
  const onnx::Opsets opsets = onnx::read_opsets(proto.opset_import(), {}, limits);
  for (const auto& [domain, version] : opsets) model.opsets.push_back({domain, version});

  onnx::Budget budget(limits);
  onnx::ExternalData external(std::move(folder), limits);
  onnx::TensorReader tensors(bytes, mapping, external, budget);
  const onnx::FunctionTable functions(proto, opsets, limits);
  onnx::GraphReader reader(tensors, budget, functions);
  auto result = reader.read_model(proto.graph(), opsets);
  model.graph = std::move(result.graph);
  model.node_names = std::move(result.node_names);
  // Up to IR 3 every initializer had to be listed as an input, which says nothing about its being one.
  if (model.ir_version > 3) model.default_inputs = std::move(result.default_inputs);
  for (const auto& [name, node] : result.nodes) {
    for (const auto& configuration : node->device_configurations()) {
      model.placements.push_back(read_placement(name, configuration, limits));
    }
  }
  const std::uint64_t hash = mapping ? onnx::hash_file(*mapping, 0) : onnx::content_hash(bytes);
  model.has_external_data = external.used();
  model.hash = onnx::hash_text(external.hash(hash));
  return model;
}

}  // namespace

Model load_model(const std::filesystem::path& path, const ImportLimits& limits) {
  return with_context([&] { return path.string(); },
                      [&] {
                        const auto file = onnx::MappedFile::open(path, limits.file_bytes);
                        return read_model(file->bytes(), file, path.parent_path(), limits);
                      });
}

Model parse_model(std::span<const std::byte> bytes, const ImportLimits& limits) {
  if (bytes.empty()) throw_error(ErrorKind::model, "the model is empty");
  if (bytes.size() > limits.file_bytes) {
    throw_error(ErrorKind::limit, "the model has {} bytes, more than the limit of {}", bytes.size(), limits.file_bytes);
  }
  return read_model(bytes, nullptr, std::nullopt, limits);
}

}  // namespace sparse_run
