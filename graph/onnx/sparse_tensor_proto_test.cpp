// Tests of sparse constants: kept sparse, indices checked.
#include <gtest/gtest.h>

#include "graph/onnx/model_fixture.hpp"

namespace sparse_run {
namespace {

using namespace onnx_fixture;
using testing::ElementsAre;

// w of small_model() as sparse_initializer of shape 2x3 with the given indices and values.
Wire sparse_model(std::vector<std::int64_t> index_dims, const std::vector<std::int64_t>& indices,
                  const std::vector<float>& values) {
  Wire wire = small_model();
  auto& graph = *wire.mutable_graph();
  graph.clear_initializer();
  auto& sparse = *graph.add_sparse_initializer();
  sparse.add_dims(2);
  sparse.add_dims(3);
  set_raw<float>(*sparse.mutable_values(), {static_cast<std::int64_t>(values.size())}, values, "w");
  set_raw<std::int64_t>(*sparse.mutable_indices(), std::move(index_dims), indices);
  return wire;
}

TEST(sparse_initializer, linear_indices_stay_sparse) {
  const Model model = import(sparse_model({2}, {1, 5}, {10, 20}));
  const ValueDef& weight = model.graph->value(model.graph->node(0).inputs[1]);
  EXPECT_EQ(weight.type.shape, (Shape{2, 3}));
  const SparseTensor* sparse = weight.sparse();
  ASSERT_NE(sparse, nullptr);
  EXPECT_EQ(sparse->nnz(), 2);
  EXPECT_THAT(sparse->to_dense().data<float>(), ElementsAre(0, 10, 0, 0, 0, 20));
}

TEST(sparse_initializer, coordinates_mean_the_same) {
  const Model model = import(sparse_model({2, 2}, {0, 1, 1, 2}, {10, 20}));
  const SparseTensor* sparse = model.graph->value(model.graph->node(0).inputs[1]).sparse();
  ASSERT_NE(sparse, nullptr);
  EXPECT_THAT(sparse->to_dense().data<float>(), ElementsAre(0, 10, 0, 0, 0, 20));
}

TEST(sparse_initializer, empty_ones_may_leave_indices_out) {
  Wire wire = sparse_model({0}, {}, {});
  wire.mutable_graph()->mutable_sparse_initializer(0)->clear_indices();
  const Model model = import(wire);
  EXPECT_EQ(model.graph->value(model.graph->node(0).inputs[1]).sparse()->nnz(), 0);
}

TEST(sparse_initializer, huge_dense_shapes_cost_nothing) {
  Wire wire = sparse_model({1}, {(std::int64_t{1} << 40) - 1}, {10});
  auto& dims = *wire.mutable_graph()->mutable_sparse_initializer(0)->mutable_dims();
  dims.Set(0, std::int64_t{1} << 20);
  dims.Set(1, std::int64_t{1} << 20);
  const Model model = import(wire);
  EXPECT_EQ(model.graph->value(model.graph->node(0).inputs[1]).sparse()->nnz(), 1);
}

TEST(sparse_initializer, bad_linear_indices) {
  expect_refused(sparse_model({1}, {6}, {1}), ErrorKind::model, {"initializer 'w'", "index 6", "outside", "6"});
  expect_refused(sparse_model({1}, {-1}, {1}), ErrorKind::model, {"index -1", "outside"});
  expect_refused(sparse_model({2}, {3, 1}, {1, 2}), ErrorKind::model, {"not sorted", "1 after 3"});
  expect_refused(sparse_model({2}, {3, 3}, {1, 2}), ErrorKind::model, {"index 3", "twice"});
}

TEST(sparse_initializer, bad_coordinates) {
  expect_refused(sparse_model({1, 2}, {0, 3}, {1}), ErrorKind::model, {"index 3 on axis 1", "[0, 3)"});
  expect_refused(sparse_model({1, 2}, {-1, 0}, {1}), ErrorKind::model, {"index -1 on axis 0"});
  expect_refused(sparse_model({2, 2}, {1, 0, 0, 2}, {1, 2}), ErrorKind::model, {"not sorted", "0x2"});
  expect_refused(sparse_model({2, 2}, {1, 1, 1, 1}, {1, 2}), ErrorKind::model, {"1x1", "twice"});
}

TEST(sparse_initializer, shapes_that_do_not_fit_together) {
  expect_refused(sparse_model({2}, {1, 2}, {1}), ErrorKind::model, {"indices have shape 2", "1 values"});
  expect_refused(sparse_model({1, 3}, {0, 1, 1}, {1}), ErrorKind::model, {"indices have shape 1x3"});
  Wire wire = sparse_model({1}, {0}, {1});
  wire.mutable_graph()->mutable_sparse_initializer(0)->mutable_values()->add_dims(1);
  expect_refused(wire, ErrorKind::model, {"values have rank 2"});
  wire.mutable_graph()->mutable_sparse_initializer(0)->clear_dims();
  expect_refused(wire, ErrorKind::model, {"at least one dimension"});
  wire = sparse_model({1}, {0}, {1});
  wire.mutable_graph()->mutable_sparse_initializer(0)->mutable_indices()->set_data_type(11);
  expect_refused(wire, ErrorKind::model, {"indices are f64", "i64"});
  wire = sparse_model({1}, {0}, {1});
  wire.mutable_graph()->mutable_sparse_initializer(0)->clear_values();
  expect_refused(wire, ErrorKind::model, {"initializer has no name"});
}

TEST(sparse_initializer, dense_shape_beyond_63_bits) {
  Wire wire = sparse_model({1}, {0}, {1});
  auto& dims = *wire.mutable_graph()->mutable_sparse_initializer(0)->mutable_dims();
  dims.Set(0, std::int64_t{1} << 40);
  dims.Set(1, std::int64_t{1} << 40);
  expect_refused(wire, ErrorKind::limit, {"63 bits"});
}

}  // namespace
}  // namespace sparse_run
