// Tests of the limits on what a model may ask for.
#include <gtest/gtest.h>

#include "graph/onnx/model_fixture.hpp"
#include "graph/onnx/tensor_io.hpp"

namespace sparse_run {
namespace {

using namespace onnx_fixture;
using Proto = onnx_wire::AttributeProto;

TEST(import_limits, strict_ones_are_below_the_defaults_and_let_a_small_model_through) {
  const ImportLimits strict = ImportLimits::untrusted();
  const ImportLimits usual;
  EXPECT_LT(strict.file_bytes, usual.file_bytes);
  EXPECT_LT(strict.structure_bytes, usual.structure_bytes);
  EXPECT_LT(strict.fields, usual.fields);
  EXPECT_LT(strict.nodes, usual.nodes);
  EXPECT_LT(strict.operands, usual.operands);
  EXPECT_LT(strict.constant_bytes, usual.constant_bytes);
  EXPECT_LT(strict.elements, usual.elements);
  EXPECT_LT(strict.rank, usual.rank);
  EXPECT_LT(strict.nesting, usual.nesting);
  EXPECT_LT(strict.name_length, usual.name_length);
  EXPECT_LT(strict.list_length, usual.list_length);
  EXPECT_EQ(import(small_model(), strict).graph->nodes().size(), 2u);
}

TEST(import_limits, file_size) {
  ImportLimits limits;
  limits.file_bytes = 10;
  expect_refused(small_model(), ErrorKind::limit, {"10"}, limits);
  const TemporaryFolder folder;
  const auto file = folder.write("model.onnx", small_model().SerializeAsString());
  expect_error(ErrorKind::limit, {"model.onnx", "limit of 10"}, [&] { load_model(file, limits); });
}

TEST(import_limits, structure_without_raw_data) {
  ImportLimits limits;
  limits.structure_bytes = 4000;
  Wire wire = small_model();
  wire.mutable_graph()->mutable_initializer(0)->set_dims(0, 2000);
  wire.mutable_graph()->mutable_initializer(0)->set_raw_data(std::string(24'000, '\0'));
  EXPECT_EQ(import(wire, limits).graph->nodes().size(), 2u) << "raw data does not count";
  wire.set_producer_name(std::string(4000, 'p'));
  expect_refused(wire, ErrorKind::limit, {"4000 bytes", "raw"}, limits);
}

TEST(import_limits, fields) {
  ImportLimits limits;
  limits.fields = 100;
  Wire wire = small_model();
  for (int i = 0; i < 100; ++i) wire.add_metadata_props();
  expect_refused(wire, ErrorKind::limit, {"100 fields"}, limits);
}

TEST(import_limits, nodes_and_operands) {
  ImportLimits limits;
  limits.nodes = 1;
  expect_refused(small_model(), ErrorKind::limit, {"1 nodes"}, limits);
  limits = {};
  limits.operands = 3;
  expect_refused(small_model(), ErrorKind::limit, {"3 operands"}, limits);
}

TEST(import_limits, constant_bytes_and_elements) {
  ImportLimits limits;
  limits.constant_bytes = 23;
  expect_refused(small_model(), ErrorKind::limit, {"23 bytes of constants"}, limits);
  limits = {};
  limits.elements = 5;
  expect_refused(small_model(), ErrorKind::limit, {"initializer 'w'", "6 elements", "5"}, limits);
}

TEST(import_limits, rank) {
  ImportLimits limits;
  limits.rank = 1;
  expect_refused(small_model(), ErrorKind::limit, {"rank 2", "1"}, limits);
}

TEST(import_limits, names_and_lists) {
  ImportLimits limits;
  limits.name_length = 8;
  Wire wire = small_model();
  wire.mutable_graph()->mutable_node(0)->set_name("much_too_long");
  expect_refused(wire, ErrorKind::limit, {"a node", "13 bytes", "8"}, limits);
  wire = small_model();
  auto& list = add_attribute(*wire.mutable_graph()->mutable_node(0), "list", Proto::INTS);
  for (int i = 0; i < 11; ++i) list.add_ints(i);
  limits = {};
  limits.list_length = 10;
  expect_refused(wire, ErrorKind::limit, {"attribute 'list'", "11 entries", "10"}, limits);
}

TEST(import_limits, many_equal_names_stay_fast) {
  Wire wire = small_model();
  for (int i = 0; i < 50'000; ++i) {
    add_node(*wire.mutable_graph()->mutable_node(), "Relu", {"x"}, {fmt::format("v{}", i)}, "same");
  }
  EXPECT_EQ(import(wire).graph->nodes().size(), 2u);
}

TEST(import_limits, sequence_files_nest_only_so_deep) {
  const TemporaryFolder folder;
  const auto file = folder.write("deep.pb", nested_bytes({}, {5}, 10'000));
  expect_error(ErrorKind::limit, {"deep.pb", "nested deeper"},
               [&] { read_value_file(file, Type::sequence(Type::tensor(DType::f32))); });
}

}  // namespace
}  // namespace sparse_run
