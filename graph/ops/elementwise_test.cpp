// Type inference of elementwise and reduction operators: unknown dimensions and ranks, versions, refusals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/ops/infer.hpp"

namespace sparse_run {
namespace {

using ::testing::HasSubstr;

Node node_of(std::string op, std::size_t inputs, int opset = 27) {
  Node node;
  node.name = "n";
  node.op = std::move(op);
  node.opset = opset;
  for (ValueId i = 0; i < inputs; ++i) node.inputs.push_back(i);
  node.outputs.push_back(100);
  return node;
}

Type infer(const Node& node, std::vector<Type> inputs, std::vector<const Tensor*> constants = {}) {
  constants.resize(inputs.size(), nullptr);
  return infer_node(node, inputs, constants, {})[0];
}

std::string refusal(const Node& node, std::vector<Type> inputs, ErrorKind kind) {
  try {
    infer(node, std::move(inputs));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "accepted";
}

TEST(InferElementwise, an_unknown_dimension_takes_the_other_operands) {
  const Type out =
      infer(node_of("Add", 2), {Type::tensor(DType::f32, Shape{-1, 1, 4}), Type::tensor(DType::f32, Shape{3, 1})});
  EXPECT_EQ(to_string(out), "f32[?x3x4]");
}

TEST(InferElementwise, an_unknown_rank_leaves_the_result_open) {
  const Type out = infer(node_of("Mul", 2), {Type::tensor(DType::f16), Type::tensor(DType::f16, Shape{3})});
  EXPECT_EQ(to_string(out), "f16[...]");
}

TEST(InferElementwise, nothing_known_is_no_error) {
  for (const char* op : {"Add", "Pow", "PRelu", "Equal", "Min", "CumSum", "ReduceSum", "RMSNormalization"}) {
    EXPECT_EQ(infer(node_of(op, 2), {Type{}, Type{}}).shape, std::nullopt) << op;
  }
  for (const char* op : {"Relu", "Softmax", "ArgMax", "ReduceMax", "Clip", "DynamicQuantizeLinear"}) {
    Node node = node_of(op, 1);
    if (std::string(op) == "DynamicQuantizeLinear") node.outputs = {100, 101, 102};
    EXPECT_EQ(infer(node, {Type{}}).shape, std::nullopt) << op;
  }
}

TEST(InferElementwise, contradictions_name_shapes_and_types) {
  EXPECT_THAT(refusal(node_of("Add", 2), {Type::tensor(DType::f32, Shape{2}), Type::tensor(DType::f32, Shape{3})},
                      ErrorKind::model),
              HasSubstr("node 'n' (Add): input shapes 2 and 3 do not broadcast"));
  EXPECT_THAT(refusal(node_of("Add", 2), {Type::tensor(DType::f32), Type::tensor(DType::i8)}, ErrorKind::model),
              HasSubstr("f32 and i8"));
  EXPECT_THAT(refusal(node_of("Sqrt", 1), {Type::tensor(DType::i32)}, ErrorKind::model), HasSubstr("floating point"));
  EXPECT_THAT(refusal(node_of("Add", 2), {Type::sequence(Type{}), Type::tensor(DType::f32)}, ErrorKind::model),
              HasSubstr("must be a tensor"));
  EXPECT_THAT(refusal(node_of("PRelu", 2), {Type::tensor(DType::f32, Shape{2}), Type::tensor(DType::f32, Shape{3, 2})},
                      ErrorKind::model),
              HasSubstr("3x2 does not broadcast to 2"));
}

TEST(InferElementwise, narrow_types_are_refused_by_name) {
  EXPECT_THAT(refusal(node_of("Add", 2), {Type::tensor(DType::i4), Type::tensor(DType::i4)}, ErrorKind::unsupported),
              HasSubstr("i4"));
}

TEST(InferElementwise, an_absurd_rank_is_refused) {
  EXPECT_THAT(
      refusal(node_of("ConstantOfShape", 1), {Type::tensor(DType::i64, Shape{1'000'000'000})}, ErrorKind::limit),
      HasSubstr("1000000000 dimensions"));
}

TEST(InferElementwise, constant_of_shape_reads_its_operand) {
  const Tensor dims = Tensor::of<std::int64_t>({2}, {3, 4});
  EXPECT_EQ(to_string(infer(node_of("ConstantOfShape", 1), {Type::of(dims)}, {&dims})), "f32[3x4]");
  EXPECT_EQ(to_string(infer(node_of("ConstantOfShape", 1), {Type::of(dims)})), "f32[?x?]");
  const Tensor negative = Tensor::of<std::int64_t>({1}, {-1});
  EXPECT_THROW(infer(node_of("ConstantOfShape", 1), {Type::of(negative)}, {&negative}), Error);
}

TEST(InferReduce, axes_that_are_not_known_yet_leave_dimensions_open) {
  const Type data = Type::tensor(DType::f32, Shape{2, 3, 4});
  const Type one_axis = Type::tensor(DType::i64, Shape{1});
  EXPECT_EQ(to_string(infer(node_of("ReduceSum", 2), {data, one_axis})), "f32[?x?x?]");
  Node dropping = node_of("ReduceSum", 2);
  dropping.attributes["keepdims"] = std::int64_t{0};
  EXPECT_EQ(to_string(infer(dropping, {data, one_axis})), "f32[?x?]");
  EXPECT_EQ(to_string(infer(dropping, {data, Type::tensor(DType::i64)})), "f32[...]");
}

TEST(InferReduce, unknown_dimensions_survive_where_they_are_kept) {
  Node node = node_of("ReduceMax", 1, 13);
  node.attributes["axes"] = std::vector<std::int64_t>{1};
  EXPECT_EQ(to_string(infer(node, {Type::tensor(DType::f32, Shape{-1, 3, 4})})), "f32[?x1x4]");
}

TEST(InferNormalization, layer_statistics_have_the_stash_type) {
  Node node = node_of("LayerNormalization", 2);
  node.outputs = {100, 101, 102};
  node.attributes["axis"] = std::int64_t{1};
  const std::vector<Type> inputs{Type::tensor(DType::f16, Shape{-1, 3, 4}), Type::tensor(DType::f16, Shape{4})};
  const std::vector<const Tensor*> constants(2, nullptr);
  const std::vector<Type> outputs = infer_node(node, inputs, constants, {});
  EXPECT_EQ(to_string(outputs[0]), "f16[?x3x4]");
  EXPECT_EQ(to_string(outputs[1]), "f32[?x1x1]");
}

TEST(InferNormalization, channels_must_match) {
  const std::vector<Type> inputs{Type::tensor(DType::f32, Shape{1, 3, 4}), Type::tensor(DType::f32, Shape{2}),
                                 Type::tensor(DType::f32, Shape{3}), Type::tensor(DType::f32, Shape{3}),
                                 Type::tensor(DType::f32, Shape{3})};
  EXPECT_THAT(refusal(node_of("BatchNormalization", 5), inputs, ErrorKind::model),
              HasSubstr("input 1 has shape 2, expected 3"));
}

TEST(InferQuantization, scale_must_fit_axis_or_blocks) {
  const Type data = Type::tensor(DType::i8, Shape{2, 6});
  Node node = node_of("DequantizeLinear", 2);
  EXPECT_THAT(refusal(node, {data, Type::tensor(DType::f32, Shape{2})}, ErrorKind::model), HasSubstr("expected 6"));
  node.attributes["block_size"] = std::int64_t{4};
  EXPECT_EQ(to_string(infer(node, {data, Type::tensor(DType::f32, Shape{2, 2})})), "f32[2x6]");
  EXPECT_THAT(refusal(node, {data, Type::tensor(DType::f32, Shape{2, 3})}, ErrorKind::model),
              HasSubstr("expected 2x2"));
}

}  // namespace
}  // namespace sparse_run
