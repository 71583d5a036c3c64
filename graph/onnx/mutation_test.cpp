// Damages a valid model in thousands of ways: whatever happens, only Error may leave the importer.
#include <gtest/gtest.h>

#include <random>

#include "graph/onnx/model_fixture.hpp"

namespace sparse_run {
namespace {

using namespace onnx_fixture;
using Proto = onnx_wire::AttributeProto;

// Every construct the importer knows, in a few hundred bytes, so that each damaged byte matters.
std::string rich_model() {
  Wire wire = small_model();
  auto& graph = *wire.mutable_graph();
  auto& shape = *graph.mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
  shape.mutable_dim(0)->set_dim_param("n");
  set_tensor_type(*graph.add_input(), "c", {}, DType::boolean);
  auto& sparse = *graph.add_sparse_initializer();
  sparse.add_dims(3);
  sparse.add_dims(3);
  set_raw<float>(*sparse.mutable_values(), {2}, {1, 2}, "s");
  set_raw<std::int64_t>(*sparse.mutable_indices(), {2, 2}, {0, 1, 2, 2});
  auto& typed = *graph.add_initializer();
  typed.set_name("t");
  typed.set_data_type(7);
  typed.add_dims(2);
  typed.add_int64_data(-1);
  typed.add_int64_data(300);
  auto& choice = add_node(*graph.mutable_node(), "If", {"c"}, {"z"}, "if");
  for (const char* branch : {"then_branch", "else_branch"}) {
    auto& body = *add_attribute(choice, branch, Proto::GRAPH).mutable_g();
    add_node(*body.mutable_node(), "MatMul", {"y", "s"}, {branch});
    body.add_output()->set_name(branch);
  }
  auto& call = add_node(*graph.mutable_node(), "F", {"z", "t"}, {"q"}, "call");
  call.set_domain("d");
  add_attribute(call, "k", Proto::INT).set_i(1);
  auto& function = *wire.add_functions();
  function.set_domain("d");
  function.set_name("F");
  function.add_input("a");
  function.add_input("b");
  function.add_output("r");
  function.add_attribute("k");
  auto& inner = add_node(*function.mutable_node(), "Gather", {"a", "b"}, {"r"});
  add_attribute(inner, "axis", Proto::INT).set_ref_attr_name("k");
  set_tensor_type(*graph.add_output(), "q", {2, 2});
  auto& placed = *graph.mutable_node(0)->add_device_configurations();
  placed.set_configuration_id("x");
  placed.add_sharding_spec()->add_sharded_dim()->add_simple_sharding()->set_num_shards(2);
  return wire.SerializeAsString();
}

std::string damage(std::string bytes, std::mt19937& random) {
  const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  const std::size_t times = 1 + below(3);
  for (std::size_t i = 0; i < times && !bytes.empty(); ++i) {
    const std::size_t at = below(bytes.size());
    switch (below(6)) {
      case 0:
        bytes.resize(at);
        break;
      case 1:
        bytes[at] = static_cast<char>(below(256));
        break;
      case 2:
        bytes[at] = static_cast<char>(0xff);
        break;
      case 3:
        bytes.erase(at, 1 + below(8));
        break;
      case 4:
        bytes.insert(at, bytes.substr(below(bytes.size()), 1 + below(40)));
        break;
      default:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
    }
  }
  return bytes;
}

TEST(mutation, only_errors_escape) {
  const std::string valid = rich_model();
  ASSERT_EQ(parse_model(std::as_bytes(std::span(valid))).graph->outputs().size(), 2u);
  ImportLimits limits = ImportLimits::untrusted();
  limits.constant_bytes = std::uint64_t{1} << 26;
  int refused = 0;
  constexpr int kSeeds = 8000;
  for (int seed = 0; seed < kSeeds; ++seed) {
    std::mt19937 random(static_cast<unsigned>(seed));
    const std::string bytes = damage(valid, random);
    try {
      parse_model(std::as_bytes(std::span(bytes)), limits);
    } catch (const Error& error) {
      ++refused;
      EXPECT_NE(error.kind(), ErrorKind::internal) << "seed " << seed << ": " << error.what();
    } catch (const std::exception& other) {
      ADD_FAILURE() << "seed " << seed << ": " << other.what();
    }
  }
  EXPECT_GT(refused, kSeeds / 4);
  EXPECT_LT(refused, kSeeds) << "some damage (a weight, a name used once) is invisible";
}

TEST(mutation, every_single_bit_flip) {
  const std::string valid = rich_model();
  for (std::size_t bit = 0; bit < valid.size() * 8; ++bit) {
    std::string bytes = valid;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    try {
      parse_model(std::as_bytes(std::span(bytes)), ImportLimits::untrusted());
    } catch (const Error& error) {
      EXPECT_NE(error.kind(), ErrorKind::internal) << "bit " << bit << ": " << error.what();
    } catch (const std::exception& other) {
      ADD_FAILURE() << "bit " << bit << ": " << other.what();
    }
  }
}

}  // namespace
}  // namespace sparse_run
