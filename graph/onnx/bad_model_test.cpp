// Tests of refusing invalid models: the right kind of error, naming what is wrong and where.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "graph/onnx/model_fixture.hpp"

namespace sparse_run {
namespace {

using namespace onnx_fixture;
using Proto = onnx_wire::AttributeProto;

TEST(bad_model, missing_file_folder_and_empty_file) {
  const TemporaryFolder folder;
  expect_error(ErrorKind::model, {"absent.onnx", "no such file"}, [&] { load_model(folder / "absent.onnx"); });
  expect_error(ErrorKind::model, {folder.path().string(), "is a folder"}, [&] { load_model(folder.path()); });
  const auto empty = folder.write("empty.onnx", "");
  expect_error(ErrorKind::model, {"empty.onnx", "is empty"}, [&] { load_model(empty); });
  expect_error(ErrorKind::model, {"empty"}, [] { parse_model({}); });
}

TEST(bad_model, a_fifo_is_refused_and_not_waited_for) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe.onnx").c_str(), 0600), 0);
  expect_error(ErrorKind::model, {"pipe.onnx", "not a regular file"}, [&] { load_model(folder / "pipe.onnx"); });
}

TEST(bad_model, an_unreadable_file_names_the_reason) {
  if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
  const TemporaryFolder folder;
  const auto file = folder.write("secret.onnx", "x");
  ::chmod(file.c_str(), 0);
  expect_error(ErrorKind::model, {"secret.onnx", "cannot be opened"}, [&] { load_model(file); });
}

TEST(bad_model, other_file_formats) {
  const TemporaryFolder folder;
  for (const std::string content :
       {"PK\x03\x04 a zip archive", "{\"json\": true}", "\x89HDF\r\n\x1a\n", "text file\n"}) {
    const auto file = folder.write("other.onnx", content);
    expect_error(ErrorKind::model, {"other.onnx", "not an ONNX"}, [&] { load_model(file); });
  }
}

TEST(bad_model, every_truncation_is_refused) {
  const std::string whole = small_model().SerializeAsString();
  for (std::size_t length = 1; length < whole.size(); ++length) {
    const std::string part = whole.substr(0, length);
    try {
      parse_model(std::as_bytes(std::span(part)));
      // Cutting at the boundary between two fields leaves a valid message; here the opset import comes last.
      ADD_FAILURE() << "accepted the first " << length << " of " << whole.size() << " bytes";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::model) << error.what();
    }
  }
}

TEST(bad_model, versions_outside_the_supported_range) {
  Wire wire = small_model();
  wire.set_ir_version(14);
  expect_refused(wire, ErrorKind::unsupported, {"IR version 14", "3 to 13"});
  wire.set_ir_version(2);
  expect_refused(wire, ErrorKind::unsupported, {"IR version 2"});
  wire.set_ir_version(-1);
  expect_refused(wire, ErrorKind::model, {"IR version -1"});
  wire.clear_ir_version();
  expect_refused(wire, ErrorKind::model, {"no IR version"});
  wire = small_model();
  wire.mutable_opset_import(0)->set_version(28);
  expect_refused(wire, ErrorKind::unsupported, {"opset 28", "7 to 27"});
  wire.mutable_opset_import(0)->set_version(6);
  expect_refused(wire, ErrorKind::unsupported, {"opset 6", "7 to 27"});
  wire.mutable_opset_import(0)->set_version(0);
  expect_refused(wire, ErrorKind::model, {"opset version 0"});
  wire.mutable_opset_import(0)->set_version(std::int64_t{1} << 32 | 21);
  expect_refused(wire, ErrorKind::model, {"impossible"});
}

TEST(bad_model, opset_imports_missing_or_contradicting) {
  Wire wire = small_model();
  wire.clear_opset_import();
  expect_refused(wire, ErrorKind::model, {"node 'add' (Add)", "ai.onnx", "opset_import"});
  wire = small_model();
  auto& second = *wire.add_opset_import();
  second.set_domain("ai.onnx");
  second.set_version(20);
  expect_refused(wire, ErrorKind::model, {"versions 21 and 20"});
}

TEST(bad_model, no_graph_or_no_outputs) {
  Wire wire = small_model();
  wire.mutable_graph()->clear_output();
  expect_refused(wire, ErrorKind::model, {"no outputs"});
  wire.clear_graph();
  expect_refused(wire, ErrorKind::model, {"no graph"});
}

TEST(bad_model, cycles) {
  Wire wire = small_model();
  wire.mutable_graph()->mutable_node(0)->set_input(0, std::string("y"));
  expect_refused(wire, ErrorKind::model, {"node 'add' (Add)", "cycle"});
}

TEST(bad_model, operands_that_nothing_computes) {
  Wire wire = small_model();
  wire.mutable_graph()->mutable_node(0)->set_input(1, "nowhere");
  expect_refused(wire, ErrorKind::model, {"node 'add' (Add)", "'nowhere'", "nothing computes"});
}

TEST(bad_model, outputs_that_nothing_computes) {
  Wire wire = small_model();
  wire.mutable_graph()->mutable_output(0)->set_name("nowhere");
  expect_refused(wire, ErrorKind::model, {"output 'nowhere'", "no node"});
}

TEST(bad_model, duplicate_names) {
  Wire wire = small_model();
  wire.mutable_graph()->mutable_node(1)->add_output("sum");
  expect_refused(wire, ErrorKind::model, {"'sum'", "defined twice"});

  wire = small_model();
  wire.mutable_graph()->mutable_node(1)->set_output(0, "x");
  expect_refused(wire, ErrorKind::model, {"'x'", "defined twice"});

  wire = small_model();
  set_tensor_type(*wire.mutable_graph()->add_input(), "x", {2, 3});
  expect_refused(wire, ErrorKind::model, {"input 'x'", "listed twice"});

  wire = small_model();
  set_raw<float>(*wire.mutable_graph()->add_initializer(), {1}, {1}, "w");
  expect_refused(wire, ErrorKind::model, {"initializer 'w'", "defined twice"});

  wire = small_model();
  *wire.mutable_graph()->add_output() = wire.graph().output(0);
  expect_refused(wire, ErrorKind::model, {"output 'y'", "listed twice"});
}

TEST(bad_model, equal_node_names_are_allowed_and_made_distinct) {
  Wire wire = small_model();
  wire.mutable_graph()->mutable_node(1)->set_name("add");
  const Model model = import(wire);
  EXPECT_NE(model.graph->node(0).name, model.graph->node(1).name);
}

TEST(bad_model, inputs_without_name_or_type) {
  Wire wire = small_model();
  wire.mutable_graph()->mutable_input(0)->clear_type();
  expect_refused(wire, ErrorKind::model, {"input 'x'", "no type"});
  wire = small_model();
  wire.mutable_graph()->mutable_input(0)->clear_name();
  expect_refused(wire, ErrorKind::model, {"input has no name"});
}

TEST(bad_model, impossible_input_types) {
  Wire wire = small_model();
  auto& type = *wire.mutable_graph()->mutable_input(0)->mutable_type();
  type.mutable_tensor_type()->set_elem_type(99);
  expect_refused(wire, ErrorKind::model, {"input 'x'", "element type 99"});
  type.mutable_tensor_type()->set_elem_type(1);
  type.mutable_tensor_type()->mutable_shape()->mutable_dim(0)->set_dim_value(-5);
  expect_refused(wire, ErrorKind::model, {"input 'x'", "-5"});
  type.mutable_map_type()->set_key_type(7);
  expect_refused(wire, ErrorKind::unsupported, {"input 'x'", "map"});
  type.mutable_opaque_type();
  expect_refused(wire, ErrorKind::unsupported, {"input 'x'", "opaque"});
  type.mutable_sparse_tensor_type()->set_elem_type(1);
  expect_refused(wire, ErrorKind::unsupported, {"input 'x'", "sparse"});
}

TEST(bad_model, a_default_that_contradicts_its_input) {
  Wire wire = small_model();
  set_tensor_type(*wire.mutable_graph()->add_input(), "w", {2, 4});
  expect_refused(wire, ErrorKind::model, {"input 'w'", "f32[2x4]", "f32[2x3]"});
}

TEST(bad_model, nodes_without_an_operator) {
  Wire wire = small_model();
  wire.mutable_graph()->mutable_node(0)->clear_op_type();
  expect_refused(wire, ErrorKind::model, {"'add'", "no operator"});
}

TEST(bad_model, attributes) {
  Wire wire = small_model();
  auto& node = *wire.mutable_graph()->mutable_node(0);
  auto& attribute = *node.add_attribute();
  attribute.set_name("a");
  expect_refused(wire, ErrorKind::model, {"node 'add' (Add)", "attribute 'a'", "neither a type nor a value"});
  attribute.set_i(1);
  attribute.set_f(1);
  expect_refused(wire, ErrorKind::model, {"attribute 'a'", "several values"});
  attribute.set_type(Proto::TENSOR);
  expect_refused(wire, ErrorKind::model, {"attribute 'a'", "no tensor"});
  attribute.set_type(Proto::GRAPH);
  expect_refused(wire, ErrorKind::model, {"attribute 'a'", "no graph"});
  attribute.set_type(Proto::GRAPHS);
  expect_refused(wire, ErrorKind::unsupported, {"attribute 'a'", "lists of graphs"});
  attribute.set_type(Proto::TENSORS);
  expect_refused(wire, ErrorKind::unsupported, {"attribute 'a'", "lists of tensors"});
  attribute.set_type(Proto::INT);
  add_attribute(node, "a", Proto::INT);
  expect_refused(wire, ErrorKind::model, {"attribute 'a'", "given twice"});
  node.mutable_attribute(1)->clear_name();
  expect_refused(wire, ErrorKind::model, {"attribute has no name"});
}

TEST(bad_model, constant_nodes) {
  Wire wire = small_model();
  auto& node = add_node(*wire.mutable_graph()->mutable_node(), "Constant", {}, {"c"}, "constant");
  expect_refused(wire, ErrorKind::model, {"'constant'", "one attribute"});
  auto& attribute = add_attribute(node, "value", Proto::INT);
  expect_refused(wire, ErrorKind::model, {"'constant'", "'value'", "wrong type"});
  attribute.set_name("valeu");
  expect_refused(wire, ErrorKind::model, {"'constant'", "'valeu'"});
}

TEST(bad_model, names_that_are_not_text) {
  Wire wire = small_model();
  wire.mutable_graph()->mutable_node(0)->set_name("caf\xe9");
  expect_refused(wire, ErrorKind::model, {"a node", "UTF-8"});
  wire.mutable_graph()->mutable_node(0)->set_name("two\nlines");
  expect_refused(wire, ErrorKind::model, {"a node", "control character 0x0a"});
  wire.mutable_graph()->mutable_node(0)->set_name("caf\xc3\xa9");
  EXPECT_EQ(import(wire).graph->node(0).name, "caf\xc3\xa9");
}

// A message that a file holds twice is merged, so that these bytes nest inside the valid model.
void expect_too_deep(const std::string& nested) {
  const std::string bytes = small_model().SerializeAsString() + nested;
  expect_error(ErrorKind::limit, {"nested deeper"}, [&] { parse_model(std::as_bytes(std::span(bytes))); });
}

TEST(bad_model, ten_thousand_nested_bodies) {
  expect_too_deep(nested_bytes({7}, {1, 5, 6}, 10'000));  // graph { node { attribute { graph …
}

TEST(bad_model, ten_thousand_nested_types) {
  expect_too_deep(nested_bytes({7, 11, 2}, {4, 1}, 10'000));  // graph { input { type { sequence { element …
}

}  // namespace
}  // namespace sparse_run
