// Sequences and optionals among the operands: which operators take them, and how the others refuse them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/ops/infer.hpp"

namespace sparse_run {
namespace {

using ::testing::HasSubstr;

const Type kFloats = Type::tensor(DType::f32, Shape{2, 3});
const Type kSequence = Type::sequence(kFloats);

Node node_of(std::string op, std::size_t inputs) {
  Node node;
  node.name = std::string("n");
  node.op = std::move(op);
  node.opset = 21;
  for (ValueId i = 0; i < inputs; ++i) node.inputs.push_back(i);
  node.outputs.push_back(100);
  return node;
}

Type infer(const Node& node, const std::vector<Type>& inputs) {
  const std::vector<const Tensor*> unknown(inputs.size(), nullptr);
  return infer_node(node, inputs, unknown, {})[0];
}

void expect_refused(const Node& node, const std::vector<Type>& inputs, const std::string& part) {
  try {
    infer(node, inputs);
    ADD_FAILURE() << node.op << " took it";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::model) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(part));
    EXPECT_THAT(error.what(), HasSubstr(node.describe()));
  }
}

TEST(ComposedOperands, operators_of_tensors_refuse_sequences_and_optionals) {
  for (const OpSchema* schema : OpRegistry::standard().all()) {
    const bool of_composed = schema->name.starts_with("Sequence") || schema->name.starts_with("Optional") ||
                             schema->name == "ConcatFromSequence" || schema->name == "If" || schema->name == "Loop" ||
                             schema->name == "Identity";
    if (schema->max_inputs == 0 || (of_composed && schema->name != "SequenceConstruct")) continue;
    const auto count = static_cast<std::size_t>(std::max(schema->min_inputs, 1));
    Node node = node_of(std::string(schema->name), count);
    node.domain = schema->domain;
    node.opset = schema->since;
    node.outputs.resize(static_cast<std::size_t>(std::max(schema->min_outputs, 1)), 100);
    std::vector<Type> types(count, kFloats);
    types.back() = kSequence;
    expect_refused(node, types, fmt::format("input {} must be a tensor, it is sequence(f32[2x3])", count - 1));
    types.back() = Type::optional(kFloats);
    expect_refused(node, types, fmt::format("input {} must be a tensor, it is optional(f32[2x3])", count - 1));
  }
}

TEST(ComposedOperands, an_omitted_operand_is_no_composed_one) {
  Node node = node_of("Clip", 3);
  node.inputs[1] = kNoValue;
  EXPECT_EQ(to_string(infer(node, {kFloats, kSequence, Type::tensor(DType::f32, Shape{})})), "f32[2x3]");
}

TEST(ComposedOperands, positions_and_inserted_elements_are_tensors) {
  expect_refused(node_of("SequenceAt", 2), {kSequence, kSequence}, "input 1 must be a tensor");
  expect_refused(node_of("SequenceErase", 2), {kSequence, kSequence}, "input 1 must be a tensor");
  expect_refused(node_of("SequenceInsert", 2), {kSequence, kSequence}, "input 1 must be a tensor");
  expect_refused(node_of("SequenceLength", 1), {kFloats}, "must be a sequence");
}

TEST(ComposedOperands, an_optional_input_takes_what_it_may_hold) {
  const Type declared = Type::optional(Type::sequence(Type::tensor(DType::f32)));
  EXPECT_EQ(to_string(input_type(declared, kSequence)), "sequence(f32[2x3])");
  EXPECT_EQ(to_string(input_type(declared, Type::optional(kSequence))), "optional(sequence(f32[2x3]))");
  EXPECT_EQ(to_string(input_type(declared, Type{})), "optional(sequence(f32[...]))");
  EXPECT_THROW(input_type(declared, kFloats), Error);
  EXPECT_THROW(input_type(kFloats, declared), Error);
}

TEST(ComposedOperands, identity_keeps_them) {
  EXPECT_EQ(to_string(infer(node_of("Identity", 1), {kSequence})), "sequence(f32[2x3])");
}

}  // namespace
}  // namespace sparse_run
