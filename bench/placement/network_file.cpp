// Graphs of the sample networks to ModelProto: standard operators, tensors, and attributes that are lists of integers.
#include "bench/placement/network_file.hpp"

#include <fstream>

#include "base/error.hpp"
#include "graph/onnx/onnx.pb.h"

namespace sparse_run::bench {

namespace {

void write_type(const ValueDef& value, onnx_wire::ValueInfoProto& info) {
  info.set_name(value.name);
  auto* tensor = info.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(value.type.dtype == DType::i64 ? onnx_wire::TensorProto::INT64 : onnx_wire::TensorProto::FLOAT);
  for (const std::int64_t dim : *value.type.shape) tensor->mutable_shape()->add_dim()->set_dim_value(dim);
}

/// Values of a sample may share a name, those of a file may not.
std::string name_of(const Graph& graph, ValueId id) {
  const ValueDef& value = graph.value(id);
  return value.constant ? value.name + "_" + std::to_string(id) : value.name;
}

void write_constant(const Graph& graph, ValueId id, onnx_wire::GraphProto& proto) {
  const Tensor& tensor = std::get<Tensor>(*graph.value(id).constant);
  require(tensor.dtype() == DType::f32, "weights of sample networks are f32");
  auto* initializer = proto.add_initializer();
  initializer->set_name(name_of(graph, id));
  initializer->set_data_type(onnx_wire::TensorProto::FLOAT);
  for (const std::int64_t dim : tensor.shape()) initializer->add_dims(dim);
  initializer->set_raw_data(tensor.raw(), tensor.bytes());
}

void write_node(const Graph& graph, const Node& node, onnx_wire::GraphProto& proto) {
  auto* written = proto.add_node();
  written->set_name(node.name);
  written->set_op_type(node.op);
  for (const ValueId id : node.inputs) written->add_input(name_of(graph, id));
  for (const ValueId id : node.outputs) written->add_output(name_of(graph, id));
  for (const auto& [name, attribute] : node.attributes) {
    const auto* numbers = std::get_if<std::vector<std::int64_t>>(&attribute);
    require(numbers != nullptr, "attributes of sample networks are lists of integers");
    auto* made = written->add_attribute();
    made->set_name(name);
    made->set_type(onnx_wire::AttributeProto::INTS);
    for (const std::int64_t number : *numbers) made->add_ints(number);
  }
}

}  // namespace

std::filesystem::path write_network(const SampleNetwork& network, const std::filesystem::path& folder) {
  const Graph& graph = *network.graph;
  onnx_wire::ModelProto model;
  model.set_ir_version(8);
  model.set_producer_name("placement-bench");
  model.add_opset_import()->set_version(17);
  auto* proto = model.mutable_graph();
  proto->set_name(network.name);
  proto->set_doc_string(network.about);
  for (const ValueId id : graph.inputs()) write_type(graph.value(id), *proto->add_input());
  for (const ValueId id : graph.outputs()) write_type(graph.value(id), *proto->add_output());
  for (std::size_t id = 0; id < graph.values().size(); ++id) {
    if (graph.values()[id].constant) write_constant(graph, static_cast<ValueId>(id), *proto);
  }
  for (const Node& node : graph.nodes()) write_node(graph, node, *proto);
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  const std::filesystem::path path = folder / (network.name + ".onnx");
  std::ofstream file(path, std::ios::binary);
  if (!model.SerializeToOstream(&file) || !file.flush()) {
    throw_error(ErrorKind::input, "{}: cannot be written", path.string());
  }
  return path;
}

}  // namespace sparse_run::bench
