// Steps whose lanes are tokens against the reference kernels, at odd sizes.
#include <gtest/gtest.h>

#include "cpu/kernels/step_check.hpp"
#include "graph/passes/sketch.hpp"

namespace sparse_run::cpu {
namespace {

std::mt19937 source(3);

Tensor weights(Shape shape, unsigned keep_every) {
  Tensor tensor = reference::random_tensor(Type::tensor(DType::f32, std::move(shape)), source);
  for (float& value : tensor.data<float>()) {
    if (source() % keep_every != 0) value = 0;
  }
  return tensor;
}

TEST(SparseLeftProduct, equals_the_reference_at_every_number_of_lanes) {
  for (const std::int64_t lanes : {1, 7, 12, 15, 16, 17, 31, 64, 100, 128, 384}) {
    for (const int threads : {1, 2, 5}) {
      GraphSketch s;
      const std::int64_t rows = 1 + source() % 90, k = 1 + source() % 300;
      const bool transposed = source() % 2 == 0;
      const ValueId w = s.constant(weights(transposed ? Shape{k, rows} : Shape{rows, k}, 8));
      GraphSketch::Attributes attributes{{"activation", std::string("Gelu")}};
      if (transposed) attributes["transA"] = std::int64_t{1};
      const ValueId y =
          s.op("FusedMatMul",
               {w, s.input("x", {1, k, lanes}), s.constant(weights({rows, 1}, 1)), s.input("r", {1, rows, lanes})},
               attributes, kInternalDomain);
      const auto layers = check_steps(s.build(y), threads);
      ASSERT_EQ(layers.size(), 1u);
      if (layers[0].zeros > 0.5) {
        EXPECT_TRUE(layers[0].kernel.starts_with("cpu.matmul.sparse_lanes.f32")) << layers[0].kernel;
      }
    }
  }
}

TEST(SparseLeftProduct, weights_without_entries_give_the_bias) {
  GraphSketch s;
  const ValueId w = s.constant(Tensor::of<float>({5, 20}, std::vector<float>(100)));
  const ValueId y =
      s.op("FusedMatMul", {w, s.input("x", {1, 20, 19}), s.constant(weights({5, 1}, 1))}, {}, kInternalDomain);
  check_steps(s.build(y), 2);
}

TEST(SparseRowsProduct, equals_the_reference_at_every_number_of_rows_it_takes) {
  for (const std::int64_t tokens : {1, 2, 3, 8, 11}) {
    for (const int threads : {1, 2, 5}) {
      for (const bool with_bias : {false, true}) {
        GraphSketch s;
        const std::int64_t features = 1 + source() % 90, k = 1 + source() % 300;
        std::vector<ValueId> operands{s.input("x", {tokens, k}), s.constant(weights({k, features}, 9))};
        if (with_bias) {
          operands.push_back(s.constant(weights({features}, 1)));
          operands.push_back(s.input("r", {tokens, features}));
        }
        const auto layers = check_steps(
            s.build(s.op("FusedMatMul", operands, {{"activation", std::string("Relu")}}, kInternalDomain)), threads);
        EXPECT_EQ(layers.size(), 1u);
      }
    }
  }
}

TEST(ChannelNormalization, equals_the_reference) {
  for (const std::int64_t lanes : {1, 3, 16, 64, 65, 100, 384}) {
    for (const bool biased : {false, true}) {
      GraphSketch s;
      const std::int64_t channels = 1 + source() % 200;
      std::vector<ValueId> operands{s.input("x", {2, channels, lanes}), s.constant(weights({channels}, 1))};
      if (biased) operands.push_back(s.constant(weights({channels}, 1)));
      const auto layers =
          check_steps(s.build(s.op("ChannelNormalization", operands, {{"epsilon", 1e-3f}}, kInternalDomain)), 2);
      EXPECT_EQ(layers.at(0).kernel, "cpu.layernorm.lanes.f32");
    }
  }
}

TEST(ChannelAttention, equals_the_reference_with_and_without_masks) {
  for (const std::int64_t length : {1, 7, 33, 64, 100, 130}) {
    for (const Shape& mask : {Shape{}, Shape{2, 1, 1, length}, Shape{length, length}, Shape{2, 3, length, length}}) {
      GraphSketch s;
      const auto operand = [&](const char* name, std::int64_t width) {
        return s.input(name, {1, 3 * width, 2 * length});
      };
      std::vector<ValueId> operands{operand("q", 8), operand("k", 8), operand("v", 5)};
      if (!mask.empty()) operands.push_back(s.input("mask", mask));
      const ValueId y =
          s.op("ChannelAttention", operands,
               {{"num_heads", std::int64_t{3}}, {"batch", std::int64_t{2}}, {"scale", 0.3f}}, kInternalDomain);
      const auto layers = check_steps(s.build(y), 2);
      EXPECT_EQ(layers.at(0).kernel, "cpu.attention.lanes.f32");
    }
  }
}

TEST(ChannelAttention, queries_and_keys_may_differ_in_number) {
  GraphSketch s;
  const ValueId y =
      s.op("ChannelAttention", {s.input("q", {1, 8, 6}), s.input("k", {1, 8, 10}), s.input("v", {1, 4, 10})},
           {{"num_heads", std::int64_t{2}}, {"batch", std::int64_t{2}}}, kInternalDomain);
  check_steps(s.build(y), 2);
}

}  // namespace
}  // namespace sparse_run::cpu
