// Editing a model on the wire: tensors are passed on without being read.
#include "graph/onnx/placed_model.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "graph/onnx/wire_fields.hpp"

namespace sparse_run {

namespace {

using onnx::WireField;
using onnx::WireType;

constexpr std::uint64_t kFirstIr = 11;  // that has device configurations

// Field numbers of onnx.proto.
namespace model_field {
constexpr std::uint32_t ir_version = 1;
constexpr std::uint32_t graph = 7;
constexpr std::uint32_t configuration = 26;
}  // namespace model_field
namespace graph_field {
constexpr std::uint32_t node = 1;
}
namespace node_field {
constexpr std::uint32_t output = 2;
constexpr std::uint32_t device_configurations = 10;
}  // namespace node_field
namespace configuration_field {
constexpr std::uint32_t name = 1;
constexpr std::uint32_t num_devices = 2;
constexpr std::uint32_t device = 3;
}  // namespace configuration_field
namespace node_devices_field {
constexpr std::uint32_t configuration_id = 1;
constexpr std::uint32_t sharding_spec = 2;
constexpr std::uint32_t pipeline_stage = 3;
}  // namespace node_devices_field
namespace sharding_field {
constexpr std::uint32_t tensor_name = 1;
constexpr std::uint32_t device = 2;
}  // namespace sharding_field

bool is(const WireField& field, std::uint32_t number) {
  return field.number == number && field.type == WireType::bytes;
}

/// The name of a DeviceConfigurationProto or NodeDeviceConfigurationProto: both have it as their first field.
std::string_view name_of(std::string_view message) {
  std::string_view name;
  while (!message.empty()) {
    const WireField field = onnx::take_field(message);
    if (is(field, configuration_field::name)) name = field.payload;
  }
  return name;
}

std::string device_configuration(const ModelPlacement& placement) {
  std::string message;
  onnx::append_bytes(message, configuration_field::name, placement.configuration);
  onnx::append_number(message, configuration_field::num_devices, placement.devices.size());
  for (const std::string& device : placement.devices) onnx::append_bytes(message, configuration_field::device, device);
  return message;
}

std::string node_devices(const ModelPlacement& placement, const ModelPlacement::Place& place,
                         const std::vector<std::string_view>& outputs) {
  std::string message;
  onnx::append_bytes(message, node_devices_field::configuration_id, placement.configuration);
  for (const std::string_view output : outputs) {
    if (output.empty()) continue;
    std::string sharding;
    onnx::append_bytes(sharding, sharding_field::tensor_name, output);
    onnx::append_number(sharding, sharding_field::device, place.device);
    onnx::append_bytes(message, node_devices_field::sharding_spec, sharding);
  }
  onnx::append_number(message, node_devices_field::pipeline_stage, static_cast<std::uint64_t>(place.stage));
  return message;
}

class Writer {
 public:
  explicit Writer(const ModelPlacement& placement) : placement_(placement) {}

  void write(std::string_view model, const std::function<void(std::string_view)>& sink) {
    std::string header;
    std::uint64_t ir_version = kFirstIr;
    std::string_view graph;
    std::vector<std::string_view> rest;
    while (!model.empty()) {
      const WireField field = onnx::take_field(model);
      if (field.number == model_field::ir_version && field.type == WireType::varint) {
        ir_version = std::max(kFirstIr, field.value);
      } else if (is(field, model_field::graph)) {
        if (!graph.empty()) throw Error(ErrorKind::model, "the file has two graphs; write it with one");
        graph = field.payload;
      } else if (!is(field, model_field::configuration) || name_of(field.payload) != placement_.configuration) {
        rest.push_back(field.whole);
      }
    }
    std::vector<std::string> nodes;
    std::uint64_t graph_bytes = read_nodes(graph, nodes);
    require(nodes.size() == placement_.nodes.size(), "a placement is for another number of nodes than the model has");

    onnx::append_number(header, model_field::ir_version, ir_version);
    sink(header);
    for (const std::string_view field : rest) sink(field);
    std::string added;
    onnx::append_bytes(added, model_field::configuration, device_configuration(placement_));
    onnx::append_varint(added, (std::uint64_t{model_field::graph} << 3) | static_cast<std::uint64_t>(WireType::bytes));
    onnx::append_varint(added, graph_bytes);
    sink(added);
    std::size_t next = 0;
    while (!graph.empty()) {
      const WireField field = onnx::take_field(graph);
      sink(is(field, graph_field::node) ? std::string_view(nodes[next++]) : field.whole);
    }
  }

 private:
  /// Rewrites all nodes, tags included; returns the bytes of the graph with them.
  std::uint64_t read_nodes(std::string_view graph, std::vector<std::string>& nodes) const {
    std::uint64_t bytes = 0;
    while (!graph.empty()) {
      const WireField field = onnx::take_field(graph);
      if (is(field, graph_field::node)) {
        nodes.push_back(placed_node(field.payload, nodes.size()));
        bytes += nodes.back().size();
      } else {
        bytes += field.whole.size();
      }
    }
    return bytes;
  }

  std::string placed_node(std::string_view node, std::size_t index) const {
    std::string kept;
    std::vector<std::string_view> outputs;
    while (!node.empty()) {
      const WireField field = onnx::take_field(node);
      if (is(field, node_field::output)) outputs.push_back(field.payload);
      const bool replaced =
          is(field, node_field::device_configurations) && name_of(field.payload) == placement_.configuration;
      if (!replaced) kept += field.whole;
    }
    if (index < placement_.nodes.size() && placement_.nodes[index]) {
      onnx::append_bytes(kept, node_field::device_configurations,
                         node_devices(placement_, *placement_.nodes[index], outputs));
    }
    std::string whole;
    onnx::append_bytes(whole, graph_field::node, kept);
    return whole;
  }

  const ModelPlacement& placement_;
};

}  // namespace

void write_placed_model(std::span<const std::byte> model, const ModelPlacement& placement,
                        const std::function<void(std::string_view piece)>& sink) {
  Writer(placement).write({reinterpret_cast<const char*>(model.data()), model.size()}, sink);
}

}  // namespace sparse_run
