// Tests of reading dense constants: every element type, both encodings, wrong lengths, sharing of mapped bytes.
#include "graph/onnx/tensor_proto.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "graph/onnx/model_fixture.hpp"

namespace sparse_run {
namespace {

using namespace onnx_fixture;
using testing::ElementsAre;
using TensorWire = onnx_wire::TensorProto;

// The tensor as an initializer of a model that does nothing else with it.
Wire model_of(const TensorWire& tensor) {
  Wire wire = small_model();
  auto& graph = *wire.mutable_graph();
  graph.clear_node();
  graph.clear_initializer();
  *graph.add_initializer() = tensor;
  graph.mutable_initializer(0)->set_name("t");
  graph.mutable_output(0)->set_name("t");
  graph.mutable_output(0)->clear_type();
  return wire;
}

Tensor read(const TensorWire& tensor) {
  const Model model = import(model_of(tensor));
  return *model.graph->value(model.graph->outputs()[0]).tensor();
}

TensorWire typed(DType dtype, std::vector<std::int64_t> dims) {
  TensorWire tensor;
  tensor.set_data_type(static_cast<std::int32_t>(dtype));
  for (const std::int64_t dim : dims) tensor.add_dims(dim);
  return tensor;
}

template <class T>
class raw_tensor : public testing::Test {};
using RawTypes = testing::Types<float, double, std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t,
                                std::int32_t, std::uint64_t, std::int64_t, std::complex<float>, std::complex<double>>;
TYPED_TEST_SUITE(raw_tensor, RawTypes);

TYPED_TEST(raw_tensor, has_its_values) {
  TensorWire wire;
  const std::vector<TypeParam> values = {TypeParam(1), TypeParam(2), TypeParam(100)};
  set_raw<TypeParam>(wire, {3, 1}, values);
  const Tensor tensor = read(wire);
  EXPECT_EQ(tensor.shape(), (Shape{3, 1}));
  const auto data = tensor.data<TypeParam>();
  EXPECT_TRUE(std::equal(data.begin(), data.end(), values.begin(), values.end()));
}

TEST(tensor_proto, typed_fields) {
  auto f32 = typed(DType::f32, {2});
  f32.add_float_data(0.5f);
  f32.add_float_data(std::numeric_limits<float>::infinity());
  EXPECT_THAT(read(f32).data<float>(), ElementsAre(0.5f, std::numeric_limits<float>::infinity()));
  auto f64 = typed(DType::f64, {1});
  f64.add_double_data(0.1);
  EXPECT_THAT(read(f64).data<double>(), ElementsAre(0.1));
  auto i64 = typed(DType::i64, {1});
  i64.add_int64_data(std::numeric_limits<std::int64_t>::min());
  EXPECT_THAT(read(i64).data<std::int64_t>(), ElementsAre(std::numeric_limits<std::int64_t>::min()));
  auto u64 = typed(DType::u64, {1});
  u64.add_uint64_data(~std::uint64_t{0});
  EXPECT_THAT(read(u64).data<std::uint64_t>(), ElementsAre(~std::uint64_t{0}));
  auto u32 = typed(DType::u32, {1});
  u32.add_uint64_data(0xffffffffu);
  EXPECT_THAT(read(u32).data<std::uint32_t>(), ElementsAre(0xffffffffu));
  auto i8 = typed(DType::i8, {2});
  i8.add_int32_data(-128);
  i8.add_int32_data(127);
  EXPECT_THAT(read(i8).data<std::int8_t>(), ElementsAre(-128, 127));
  auto u16 = typed(DType::u16, {1});
  u16.add_int32_data(65535);
  EXPECT_THAT(read(u16).data<std::uint16_t>(), ElementsAre(65535));
  auto flag = typed(DType::boolean, {2});
  flag.add_int32_data(0);
  flag.add_int32_data(1);
  EXPECT_THAT(read(flag).data<bool>(), ElementsAre(false, true));
  auto f16 = typed(DType::f16, {1});
  f16.add_int32_data(0x3c00);  // the bits of 1.0
  EXPECT_EQ(static_cast<float>(read(f16).data<Float16>()[0]), 1.0f);
  auto bf16 = typed(DType::bf16, {1});
  bf16.add_int32_data(0x3f80);  // the bits of 1.0
  EXPECT_EQ(static_cast<float>(read(bf16).data<BFloat16>()[0]), 1.0f);
  auto c64 = typed(DType::c64, {1});
  c64.add_float_data(1);
  c64.add_float_data(-2);
  EXPECT_THAT(read(c64).data<std::complex<float>>(), ElementsAre(std::complex<float>(1, -2)));
  auto strings = typed(DType::string, {2});
  strings.add_string_data("a");
  strings.add_string_data(std::string("b\0c", 3));
  EXPECT_THAT(read(strings).data<std::string>(), ElementsAre("a", std::string("b\0c", 3)));
}

TEST(tensor_proto, nan_survives) {
  auto wire = typed(DType::f32, {1});
  wire.add_float_data(std::numeric_limits<float>::quiet_NaN());
  EXPECT_NE(read(wire).data<float>()[0], read(wire).data<float>()[0]);
}

TEST(tensor_proto, any_nonzero_byte_is_true) {
  auto wire = typed(DType::boolean, {3});
  wire.set_raw_data(std::string("\x00\x01\x7f", 3));
  const Tensor tensor = read(wire);
  EXPECT_THAT(tensor.data<bool>(), ElementsAre(false, true, true));
  EXPECT_EQ(static_cast<const unsigned char*>(tensor.raw())[2], 1) << "a bool holds 0 or 1";
}

TEST(tensor_proto, empty_tensors) {
  EXPECT_EQ(read(typed(DType::f32, {0})).size(), 0);
  EXPECT_EQ(read(typed(DType::f32, {0, std::int64_t{1} << 62})).size(), 0);
  auto raw = typed(DType::i64, {2, 0});
  raw.set_raw_data("");
  EXPECT_EQ(read(raw).shape(), (Shape{2, 0}));
  EXPECT_EQ(read(typed(DType::string, {0})).dtype(), DType::string);
}

void expect_tensor_refused(const TensorWire& tensor, ErrorKind kind, std::vector<std::string> parts) {
  parts.emplace_back("initializer 't'");
  expect_refused(model_of(tensor), kind, parts);
}

TEST(tensor_proto, wrong_amounts_of_data) {
  auto wire = typed(DType::f32, {2, 2});
  expect_tensor_refused(wire, ErrorKind::model, {"float_data holds 0", "needs 4"});
  wire.add_float_data(1);
  expect_tensor_refused(wire, ErrorKind::model, {"float_data holds 1", "needs 4"});
  wire = typed(DType::f32, {2, 2});
  wire.set_raw_data(std::string(15, 'x'));
  expect_tensor_refused(wire, ErrorKind::model, {"raw_data has 15 bytes", "4 elements of f32 need 16"});
  wire.set_raw_data(std::string(17, 'x'));
  expect_tensor_refused(wire, ErrorKind::model, {"raw_data has 17 bytes"});
  auto complex = typed(DType::c64, {1});
  complex.add_float_data(1);
  expect_tensor_refused(complex, ErrorKind::model, {"float_data"});
  complex.add_float_data(1);
  complex.add_float_data(1);
  expect_tensor_refused(complex, ErrorKind::model, {"half a complex"});
  auto strings = typed(DType::string, {2});
  strings.add_string_data("one");
  expect_tensor_refused(strings, ErrorKind::model, {"string_data holds 1"});
}

TEST(tensor_proto, data_in_the_wrong_field_or_in_two) {
  auto wire = typed(DType::f32, {1});
  wire.add_int32_data(1);
  expect_tensor_refused(wire, ErrorKind::model, {"float_data holds 0"});
  wire.add_float_data(1);
  expect_tensor_refused(wire, ErrorKind::model, {"two fields"});
  wire.clear_int32_data();
  wire.set_raw_data("1234");
  expect_tensor_refused(wire, ErrorKind::model, {"two fields"});
  auto strings = typed(DType::string, {1});
  strings.set_raw_data("abc");
  expect_tensor_refused(strings, ErrorKind::model, {"raw data"});
}

TEST(tensor_proto, values_out_of_range_of_a_narrow_type) {
  auto wire = typed(DType::i8, {1});
  wire.add_int32_data(200);
  expect_tensor_refused(wire, ErrorKind::model, {"200", "i8"});
  auto wide = typed(DType::u32, {1});
  wide.add_uint64_data(std::uint64_t{1} << 32);
  expect_tensor_refused(wide, ErrorKind::model, {"4294967296", "u32"});
}

TEST(tensor_proto, huge_and_negative_dimensions) {
  expect_tensor_refused(typed(DType::f32, {-1}), ErrorKind::model, {"-1", "negative"});
  expect_tensor_refused(typed(DType::f32, {std::int64_t{1} << 32, std::int64_t{1} << 32}), ErrorKind::limit,
                        {"63 bits"});
  expect_tensor_refused(typed(DType::f32, {std::int64_t{1} << 50}), ErrorKind::limit, {"elements"});
  expect_tensor_refused(typed(DType::u8, {std::int64_t{1} << 39}), ErrorKind::model, {"int32_data holds 0"});
  expect_tensor_refused(typed(DType::f32, std::vector<std::int64_t>(17, 1)), ErrorKind::limit, {"rank 17"});
}

TEST(tensor_proto, types_without_kernels_are_named) {
  for (const DType dtype : {DType::f8e4m3fn, DType::f8e4m3fnuz, DType::f8e5m2, DType::f8e5m2fnuz, DType::u4, DType::i4,
                            DType::f4e2m1, DType::f8e8m0, DType::u2, DType::i2}) {
    expect_tensor_refused(typed(dtype, {1}), ErrorKind::unsupported, {std::string(to_string(dtype))});
  }
  expect_tensor_refused(typed(DType::undefined, {1}), ErrorKind::model, {"no element type"});
  expect_tensor_refused(typed(static_cast<DType>(77), {1}), ErrorKind::model, {"77"});
}

TEST(tensor_proto, segments_are_refused) {
  auto wire = typed(DType::f32, {1});
  wire.add_float_data(1);
  wire.mutable_segment()->set_begin(0);
  expect_tensor_refused(wire, ErrorKind::unsupported, {"segments"});
}

// Writes the model with a graph name that is `padding` long, so that the weight's position in the file varies.
std::pair<std::filesystem::path, std::string> write_shifted(const TemporaryFolder& folder, std::size_t padding) {
  Wire wire = small_model();
  wire.set_producer_name(std::string(padding, 'p'));
  const std::string bytes = wire.SerializeAsString();
  return {folder.write("shifted.onnx", bytes), bytes};
}

TEST(tensor_proto, aligned_bytes_are_shared_with_the_file_and_others_copied) {
  const TemporaryFolder folder;
  int shared = 0;
  for (std::size_t padding = 1; padding <= 4; ++padding) {
    const auto [file, bytes] = write_shifted(folder, padding);
    const float first[] = {1, 2, 3};
    const std::size_t offset = bytes.find(std::string(reinterpret_cast<const char*>(first), sizeof first));
    ASSERT_NE(offset, std::string::npos);
    const Model model = load_model(file);
    const Tensor& weight = *model.graph->value(model.graph->node(0).inputs[1]).tensor();
    EXPECT_THAT(weight.data<float>(), ElementsAre(1, 2, 3, 4, 5, 6));
    // Mappings start at page boundaries, so the position within a page tells a view from a copy (aligned to 64).
    const bool is_view = reinterpret_cast<std::uintptr_t>(weight.raw()) % 4096 == offset % 4096;
    EXPECT_EQ(is_view, offset % 4 == 0) << "offset " << offset;
    shared += is_view ? 1 : 0;
  }
  EXPECT_EQ(shared, 1) << "one of four consecutive offsets is a multiple of four";
}

TEST(tensor_proto, shared_bytes_outlive_the_model) {
  const TemporaryFolder folder;
  std::vector<Tensor> weights;
  for (std::size_t padding = 1; padding <= 4; ++padding) {
    const Model model = load_model(write_shifted(folder, padding).first);
    weights.push_back(*model.graph->value(model.graph->node(0).inputs[1]).tensor());
    std::filesystem::remove(folder / "shifted.onnx");
  }
  for (const Tensor& weight : weights) EXPECT_THAT(weight.data<float>(), ElementsAre(1, 2, 3, 4, 5, 6));
}

}  // namespace
}  // namespace sparse_run
