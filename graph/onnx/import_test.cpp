// Tests of reading valid models.
#include "graph/onnx/import.hpp"

#include <gtest/gtest.h>

#include "graph/onnx/model_fixture.hpp"

namespace sparse_run {
namespace {

using namespace onnx_fixture;
using testing::ElementsAre;
using testing::StartsWith;
using Proto = onnx_wire::AttributeProto;

TEST(import, reads_nodes_values_and_header) {
  Wire wire = small_model();
  wire.set_producer_version("1.2");
  wire.set_model_version(7);
  wire.set_domain("org.example");
  auto& entry = *wire.add_metadata_props();
  entry.set_key("author");
  entry.set_value("someone");
  const Model model = import(wire);

  EXPECT_EQ(model.ir_version, 10);
  EXPECT_EQ(model.producer_name, "fixture");
  EXPECT_EQ(model.producer_version, "1.2");
  EXPECT_EQ(model.model_version, 7);
  EXPECT_EQ(model.domain, "org.example");
  EXPECT_THAT(model.metadata, ElementsAre(std::pair<std::string, std::string>("author", "someone")));
  ASSERT_EQ(model.opsets.size(), 1u);
  EXPECT_EQ(model.opsets[0].domain, "");
  EXPECT_EQ(model.opsets[0].version, 21);
  EXPECT_EQ(model.hash.size(), 16u);

  const Graph& graph = *model.graph;
  EXPECT_EQ(graph.name(), "small");
  ASSERT_EQ(graph.nodes().size(), 2u);
  const Node& add = graph.node(0);
  EXPECT_EQ(add.op, "Add");
  EXPECT_EQ(add.name, "add");
  EXPECT_EQ(add.domain, "");
  EXPECT_EQ(add.opset, 21);
  ASSERT_EQ(graph.inputs().size(), 1u);
  EXPECT_EQ(add.inputs[0], graph.inputs()[0]);
  const ValueDef& weight = graph.value(add.inputs[1]);
  EXPECT_EQ(weight.name, "w");
  ASSERT_NE(weight.tensor(), nullptr);
  EXPECT_THAT(weight.tensor()->data<float>(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_EQ(graph.value(graph.inputs()[0]).type.shape, (Shape{2, 3}));
  EXPECT_EQ(graph.value(graph.outputs()[0]).name, "y");
}

TEST(import, ai_onnx_is_the_empty_domain) {
  Wire wire = small_model();
  wire.mutable_opset_import(0)->set_domain("ai.onnx");
  wire.mutable_graph()->mutable_node(0)->set_domain("ai.onnx");
  const Model model = import(wire);
  EXPECT_EQ(model.graph->node(0).domain, "");
  EXPECT_EQ(model.graph->node(0).opset, 21);
}

TEST(import, nodes_of_other_domains_keep_domain_and_version) {
  Wire wire = small_model();
  auto& import_entry = *wire.add_opset_import();
  import_entry.set_domain("com.example");
  import_entry.set_version(3);
  wire.mutable_graph()->mutable_node(1)->set_domain("com.example");
  const Model model = import(wire);
  EXPECT_EQ(model.graph->node(1).domain, "com.example");
  EXPECT_EQ(model.graph->node(1).opset, 3);
}

TEST(import, same_bytes_have_the_same_hash_and_a_changed_weight_another) {
  Wire wire = small_model();
  const std::string hash = import(wire).hash;
  EXPECT_EQ(import(wire).hash, hash);
  (*wire.mutable_graph()->mutable_initializer(0)->mutable_raw_data())[0] ^= 1;
  EXPECT_NE(import(wire).hash, hash);
}

TEST(import, memory_and_file_give_the_same_model) {
  const Wire wire = small_model();
  const TemporaryFolder folder;
  const Model from_file = load_model(folder.write("model.onnx", wire.SerializeAsString()));
  EXPECT_EQ(from_file.hash, import(wire).hash);
  EXPECT_EQ(from_file.graph->nodes().size(), 2u);
}

TEST(import, initializer_that_is_an_input_too_is_its_default) {
  Wire wire = small_model();
  set_tensor_type(*wire.mutable_graph()->add_input(), "w", {2, 3});
  const Model model = import(wire);
  EXPECT_EQ(model.graph->inputs().size(), 1u);
  EXPECT_THAT(model.default_inputs, ElementsAre("w"));
}

TEST(import, up_to_ir_3_listed_initializers_are_plain_constants) {
  Wire wire = small_model();
  wire.set_ir_version(3);
  set_tensor_type(*wire.mutable_graph()->add_input(), "w", {2, 3});
  const Model model = import(wire);
  EXPECT_EQ(model.graph->inputs().size(), 1u);
  EXPECT_TRUE(model.default_inputs.empty());
}

TEST(import, symbolic_and_unknown_dimensions) {
  Wire wire = small_model();
  auto& shape = *wire.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
  shape.mutable_dim(0)->set_dim_param("batch");
  shape.mutable_dim(1)->clear_dim_value();
  const Model model = import(wire);
  const ValueDef& input = model.graph->value(model.graph->inputs()[0]);
  EXPECT_EQ(input.type.shape, (Shape{kUnknownDim, kUnknownDim}));
  EXPECT_THAT(input.symbols, ElementsAre("batch", ""));
}

TEST(import, dimensions_whose_name_is_a_placeholder_are_anonymous) {
  for (const char* placeholder : {"?", "-1", "", "None", "*", "0"}) {
    Wire wire = small_model();
    auto& shape = *wire.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
    shape.mutable_dim(0)->set_dim_param(placeholder);
    shape.mutable_dim(1)->set_dim_param("größe");
    const Model model = import(wire);
    const ValueDef& input = model.graph->value(model.graph->inputs()[0]);
    EXPECT_EQ(input.type.shape, (Shape{kUnknownDim, kUnknownDim}));
    EXPECT_THAT(input.symbols, ElementsAre("", "größe")) << placeholder;
  }
}

TEST(import, input_without_shape_has_unknown_rank) {
  Wire wire = small_model();
  wire.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  const Model model = import(wire);
  const Type& type = model.graph->value(model.graph->inputs()[0]).type;
  EXPECT_EQ(type.dtype, DType::f32);
  EXPECT_FALSE(type.shape.has_value());
}

TEST(import, sequence_and_optional_inputs) {
  Wire wire = small_model();
  auto& info = *wire.mutable_graph()->add_input();
  info.set_name("s");
  info.mutable_type()
      ->mutable_optional_type()
      ->mutable_elem_type()
      ->mutable_sequence_type()
      ->mutable_elem_type()
      ->mutable_tensor_type()
      ->set_elem_type(7);
  const Model model = import(wire);
  EXPECT_EQ(to_string(model.graph->value(model.graph->inputs()[1]).type), "optional(sequence(i64[...]))");
}

TEST(import, nodes_may_come_in_any_order) {
  Wire wire = small_model();
  wire.mutable_graph()->mutable_node()->SwapElements(0, 1);
  const Model model = import(wire);
  EXPECT_EQ(model.graph->node(0).op, "Add");
}

TEST(import, nodes_without_names_get_distinct_ones) {
  Wire wire = small_model();
  wire.mutable_graph()->mutable_node(0)->clear_name();
  wire.mutable_graph()->mutable_node(1)->set_name("Add_0");
  const Model model = import(wire);
  EXPECT_THAT(model.graph->node(0).name, StartsWith("Add_0"));
  EXPECT_NE(model.graph->node(0).name, model.graph->node(1).name);
}

TEST(import, empty_operands_are_omitted_and_empty_outputs_not_wanted) {
  Wire wire = small_model();
  auto& graph = *wire.mutable_graph();
  add_node(*graph.mutable_node(), "Clip", {"y", "", "high"}, {"clipped"}, "clip");
  set_raw<float>(*graph.add_initializer(), {}, {6}, "high");
  add_node(*graph.mutable_node(), "Dropout", {"clipped"}, {"z", ""}, "dropout");
  graph.mutable_output(0)->set_name("z");
  const Model model = import(wire);
  const Node& clip = model.graph->node(2);
  ASSERT_EQ(clip.inputs.size(), 3u);
  EXPECT_EQ(clip.inputs[1], kNoValue);
  EXPECT_EQ(model.graph->node(3).outputs[1], kNoValue);
}

TEST(import, attributes_of_every_type) {
  Wire wire = small_model();
  auto& node = *wire.mutable_graph()->mutable_node(1);
  add_attribute(node, "float", Proto::FLOAT).set_f(0.5f);
  add_attribute(node, "int", Proto::INT).set_i(-3);
  add_attribute(node, "string", Proto::STRING).set_s("text");
  add_attribute(node, "zero", Proto::INT);  // a writer may leave a zero out
  auto& floats = add_attribute(node, "floats", Proto::FLOATS);
  floats.add_floats(1);
  floats.add_floats(2);
  add_attribute(node, "ints", Proto::INTS).add_ints(4);
  add_attribute(node, "strings", Proto::STRINGS).add_strings("s");
  set_raw<std::int64_t>(*add_attribute(node, "tensor", Proto::TENSOR).mutable_t(), {2}, {8, 9});
  add_attribute(node, "type", Proto::TYPE_PROTO).mutable_tp()->mutable_tensor_type()->set_elem_type(1);
  auto& untyped = *node.add_attribute();
  untyped.set_name("untyped");
  untyped.set_i(5);
  const Model model = import(wire);
  const Node& relu = model.graph->node(1);
  EXPECT_EQ(relu.get<float>("float"), 0.5f);
  EXPECT_EQ(relu.get<std::int64_t>("int"), -3);
  EXPECT_EQ(relu.get<std::string>("string"), "text");
  EXPECT_EQ(relu.get<std::int64_t>("zero"), 0);
  EXPECT_THAT(relu.get<std::vector<float>>("floats"), ElementsAre(1, 2));
  EXPECT_THAT(relu.get<std::vector<std::int64_t>>("ints"), ElementsAre(4));
  EXPECT_THAT(relu.get<std::vector<std::string>>("strings"), ElementsAre("s"));
  EXPECT_THAT(relu.get<Tensor>("tensor").data<std::int64_t>(), ElementsAre(8, 9));
  EXPECT_EQ(relu.get<Type>("type").dtype, DType::f32);
  EXPECT_EQ(relu.get<std::int64_t>("untyped"), 5);
}

TEST(import, constant_nodes_become_constants) {
  Wire wire = small_model();
  auto& graph = *wire.mutable_graph();
  graph.clear_initializer();
  auto& constant = add_node(*graph.mutable_node(), "Constant", {}, {"w"});
  auto& values = add_attribute(constant, "value_floats", Proto::FLOATS);
  for (const float value : {7.f, 8.f, 9.f}) values.add_floats(value);
  const Model model = import(wire);
  ASSERT_EQ(model.graph->nodes().size(), 2u);
  const Tensor* weight = model.graph->value(model.graph->node(0).inputs[1]).tensor();
  ASSERT_NE(weight, nullptr);
  EXPECT_THAT(weight->data<float>(), ElementsAre(7, 8, 9));
}

TEST(import, device_configurations_are_kept) {
  Wire wire = small_model();
  wire.set_ir_version(11);
  auto& configuration = *wire.add_configuration();
  configuration.set_name("pair");
  configuration.set_num_devices(2);
  auto& placed = *wire.mutable_graph()->mutable_node(0)->add_device_configurations();
  placed.set_configuration_id("pair");
  placed.set_pipeline_stage(1);
  auto& spec = *placed.add_sharding_spec();
  spec.set_tensor_name("w");
  spec.add_device(-1);
  auto& group = *spec.add_index_to_device_group_map();
  group.set_key(-1);
  group.add_value(0);
  group.add_value(1);
  auto& dim = *spec.add_sharded_dim();
  dim.set_axis(1);
  auto& part = *dim.add_simple_sharding();
  part.set_num_shards(3);
  part.set_dim_value(3);
  const Model model = import(wire);
  ASSERT_EQ(model.configurations.size(), 1u);
  EXPECT_EQ(model.configurations[0].device_count, 2);
  ASSERT_EQ(model.placements.size(), 1u);
  const NodePlacement& placement = model.placements[0];
  EXPECT_EQ(placement.node, "add");
  EXPECT_EQ(placement.configuration, "pair");
  EXPECT_EQ(placement.pipeline_stage, 1);
  ASSERT_EQ(placement.shardings.size(), 1u);
  EXPECT_THAT(placement.shardings[0].device_groups.at(-1), ElementsAre(0, 1));
  EXPECT_EQ(placement.shardings[0].axes[0].parts[0].shards, 3);
  EXPECT_EQ(placement.shardings[0].axes[0].parts[0].size, 3);
}

TEST(import, training_information_and_documentation_are_skipped) {
  Wire wire = small_model();
  wire.set_doc_string(std::string(1000, 'd'));
  auto& step = *wire.add_training_info()->mutable_algorithm();
  add_node(*step.mutable_node(), "Nonsense", {"nothing"}, {"at all"});
  EXPECT_EQ(import(wire).graph->nodes().size(), 2u);
}

}  // namespace
}  // namespace sparse_run
