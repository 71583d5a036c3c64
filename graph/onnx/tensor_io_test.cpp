// Tests of value files.
#include "graph/onnx/tensor_io.hpp"

#include <gtest/gtest.h>

#include "graph/onnx/model_fixture.hpp"

namespace sparse_run {
namespace {

using namespace onnx_fixture;
using testing::ElementsAre;

class value_file : public testing::Test {
 protected:
  template <class Message>
  Value read(const Message& message, const Type& expected) {
    return read_value_file(folder_.write("input_0.pb", message.SerializeAsString()), expected);
  }
  static onnx_wire::TensorProto tensor(std::vector<float> values) {
    onnx_wire::TensorProto wire;
    set_raw<float>(wire, {static_cast<std::int64_t>(values.size())}, values);
    return wire;
  }

  TemporaryFolder folder_;
  const Type f32_ = Type::tensor(DType::f32);
};

TEST_F(value_file, tensor) {
  const Value value = read(tensor({1, 2}), f32_);
  ASSERT_TRUE(value.is_tensor());
  EXPECT_THAT(value.tensor.data<float>(), ElementsAre(1, 2));
}

TEST_F(value_file, sequence_of_tensors_of_different_shapes) {
  onnx_wire::SequenceProto sequence;
  sequence.set_elem_type(onnx_wire::SequenceProto::TENSOR);
  *sequence.add_tensor_values() = tensor({1});
  *sequence.add_tensor_values() = tensor({2, 3});
  const Value value = read(sequence, Type::sequence(f32_));
  ASSERT_EQ(value.kind, ValueKind::sequence);
  ASSERT_EQ(value.elements.size(), 2u);
  EXPECT_THAT(value.elements[1].tensor.data<float>(), ElementsAre(2, 3));
}

TEST_F(value_file, empty_sequence) {
  onnx_wire::SequenceProto sequence;
  sequence.set_elem_type(onnx_wire::SequenceProto::TENSOR);
  EXPECT_TRUE(read(sequence, Type::sequence(f32_)).elements.empty());
}

TEST_F(value_file, optional_with_and_without_content) {
  onnx_wire::OptionalProto optional;
  optional.set_name("o");
  EXPECT_TRUE(read(optional, Type::optional(f32_)).elements.empty());
  optional.set_elem_type(onnx_wire::OptionalProto::TENSOR);
  *optional.mutable_tensor_value() = tensor({5});
  const Value value = read(optional, Type::optional(f32_));
  ASSERT_EQ(value.kind, ValueKind::optional);
  ASSERT_EQ(value.elements.size(), 1u);
  EXPECT_THAT(value.elements[0].tensor.data<float>(), ElementsAre(5));
}

TEST_F(value_file, optional_sequence) {
  onnx_wire::OptionalProto optional;
  optional.set_elem_type(onnx_wire::OptionalProto::SEQUENCE);
  optional.mutable_sequence_value()->set_elem_type(onnx_wire::SequenceProto::TENSOR);
  *optional.mutable_sequence_value()->add_tensor_values() = tensor({5});
  const Value value = read(optional, Type::optional(Type::sequence(f32_)));
  EXPECT_THAT(value.elements.at(0).elements.at(0).tensor.data<float>(), ElementsAre(5));
}

TEST_F(value_file, problems_are_those_of_an_input) {
  expect_error(ErrorKind::input, {"absent.pb", "no such file"}, [&] { read_value_file(folder_ / "absent.pb", f32_); });
  expect_error(ErrorKind::input, {"input_0.pb", "holds f32", "expected i64"},
               [&] { read(tensor({1}), Type::tensor(DType::i64)); });
  onnx_wire::TensorProto short_one = tensor({1, 2});
  short_one.set_dims(0, 3);
  expect_error(ErrorKind::input, {"input_0.pb", "raw_data has 8 bytes"}, [&] { read(short_one, f32_); });
  const auto text = folder_.write("text.pb", "not a tensor");
  expect_error(ErrorKind::input, {"text.pb", "damaged"}, [&] { read_value_file(text, f32_); });
}

TEST_F(value_file, maps_are_unsupported) {
  onnx_wire::SequenceProto sequence;
  sequence.set_elem_type(onnx_wire::SequenceProto::MAP);
  expect_error(ErrorKind::unsupported, {"input_0.pb", "maps"}, [&] { read(sequence, Type::sequence(f32_)); });
}

}  // namespace
}  // namespace sparse_run
