// Placements written into a model are read back, and nothing else of it changes.
#include "graph/onnx/placed_model.hpp"

#include <gtest/gtest.h>

#include "graph/onnx/model_fixture.hpp"
#include "graph/onnx/wire_fields.hpp"

namespace sparse_run {
namespace {

/// t = Relu(x), y = Add(t, w), the second node without a name.
onnx_wire::ModelProto two_nodes(int ir_version) {
  onnx_wire::ModelProto wire;
  wire.set_ir_version(ir_version);
  wire.set_producer_name("by hand");
  wire.add_opset_import()->set_version(17);
  auto& graph = *wire.mutable_graph();
  graph.set_name("two");
  onnx_fixture::set_tensor_type(*graph.add_input(), "x", {2});
  onnx_fixture::set_tensor_type(*graph.add_output(), "y", {2});
  onnx_fixture::set_raw<float>(*graph.add_initializer(), {2}, {3, 4}, "w");
  onnx_fixture::add_node(*graph.mutable_node(), "Relu", {"x"}, {"t"}, "first");
  onnx_fixture::add_node(*graph.mutable_node(), "Add", {"t", "w"}, {"y"});
  return wire;
}

std::string placed(const std::string& model, const ModelPlacement& placement) {
  std::string written;
  write_placed_model(std::as_bytes(std::span(model)), placement, [&](std::string_view piece) { written += piece; });
  return written;
}

Model parse(const std::string& bytes) { return parse_model(std::as_bytes(std::span(bytes))); }

TEST(PlacedModel, devices_of_nodes_are_read_back) {
  const std::string written =
      placed(two_nodes(8).SerializeAsString(),
             {"here", {"cpu", "gpu:0"}, {ModelPlacement::Place{1, 0}, ModelPlacement::Place{0, 2}}});
  const Model model = parse(written);
  EXPECT_EQ(model.ir_version, 11);
  ASSERT_EQ(model.configurations.size(), 1u);
  EXPECT_EQ(model.configurations[0].name, "here");
  EXPECT_EQ(model.configurations[0].device_count, 2);
  EXPECT_EQ(model.configurations[0].devices, (std::vector<std::string>{"cpu", "gpu:0"}));
  ASSERT_EQ(model.placements.size(), 2u);
  EXPECT_EQ(model.placements[0].node, "first");
  EXPECT_EQ(model.placements[1].node, model.node_names[1]);
  ASSERT_EQ(model.placements[0].shardings.size(), 1u);
  EXPECT_EQ(model.placements[0].shardings[0].tensor, "t");
  EXPECT_EQ(model.placements[0].shardings[0].devices, std::vector<std::int64_t>{1});
  EXPECT_EQ(model.placements[1].shardings[0].devices, std::vector<std::int64_t>{0});
  EXPECT_EQ(model.placements[1].pipeline_stage, 2);
}

TEST(PlacedModel, everything_else_stays) {
  auto wire = two_nodes(12);
  wire.mutable_graph()->set_doc_string("kept");
  onnx_wire::ModelProto back;
  ASSERT_TRUE(back.ParseFromString(placed(wire.SerializeAsString(), {"here", {"cpu"}, {std::nullopt, std::nullopt}})));
  EXPECT_EQ(back.configuration_size(), 1);
  back.clear_configuration();
  EXPECT_EQ(back.SerializeAsString(), wire.SerializeAsString());
}

TEST(PlacedModel, a_configuration_of_the_same_name_is_replaced_and_others_are_kept) {
  std::string model = two_nodes(8).SerializeAsString();
  model = placed(model, {"theirs", {"a", "b"}, {ModelPlacement::Place{1, 0}, std::nullopt}});
  model = placed(model, {"ours", {"cpu", "gpu:0"}, {ModelPlacement::Place{1, 0}, ModelPlacement::Place{1, 0}}});
  model = placed(model, {"ours", {"cpu"}, {std::nullopt, ModelPlacement::Place{0, 0}}});
  const Model read = parse(model);
  ASSERT_EQ(read.configurations.size(), 2u);
  ASSERT_EQ(read.placements.size(), 2u);
  EXPECT_EQ(read.placements[0].configuration, "theirs");
  EXPECT_EQ(read.placements[1].configuration, "ours");
  EXPECT_EQ(read.placements[1].shardings[0].devices, std::vector<std::int64_t>{0});
}

TEST(PlacedModel, damaged_bytes_are_a_model_error) {
  const std::string model = two_nodes(8).SerializeAsString();
  const ModelPlacement placement{"here", {"cpu"}, {std::nullopt, std::nullopt}};
  for (std::size_t length = 1; length < model.size(); ++length) {
    try {
      placed(model.substr(0, length), placement);
    } catch (const Error& error) {
      EXPECT_TRUE(error.kind() == ErrorKind::model || error.kind() == ErrorKind::internal) << length;
    }
  }
  EXPECT_THROW(placed(std::string("\x3b\x01", 2), placement), Error);  // a group, which ONNX does not have
}

TEST(WireFields, numbers_of_every_size_come_back) {
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{127}, std::uint64_t{128}, ~std::uint64_t{0}}) {
    std::string bytes;
    onnx::append_number(bytes, 300, value);
    std::string_view rest = bytes;
    const onnx::WireField field = onnx::take_field(rest);
    EXPECT_EQ(field.number, 300u);
    EXPECT_EQ(field.value, value);
    EXPECT_EQ(field.whole, bytes);
    EXPECT_TRUE(rest.empty());
  }
}

}  // namespace
}  // namespace sparse_run
