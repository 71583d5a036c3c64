// Tests of counting zeros and naming their pattern.
#include "graph/passes/sparsity.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "base/clock.hpp"
#include "graph/passes/sketch.hpp"

namespace sparse_run {
namespace {

/// Random numbers of which `keep(position, random)` says where they are not zero.
Tensor pruned(Shape shape, auto&& keep, unsigned seed = 5) {
  Tensor tensor = Tensor::allocate(DType::f32, shape);
  std::mt19937 random(seed);
  std::int64_t position = 0;
  for (float& value : tensor.data<float>()) {
    value = keep(position++, random) ? 0.5f + static_cast<float>(random() % 100) : 0.0f;
  }
  return tensor;
}

TEST(Sparsity, negative_zero_counts_and_nan_does_not) {
  const Sparsity s = sparsity_of(Tensor::of<float>({4}, {-0.0f, 0.0f, NAN, 1.0f}));
  EXPECT_EQ(s.zeros, 2);
  EXPECT_EQ(s.elements, 4);
  EXPECT_DOUBLE_EQ(s.share(), 0.5);
}

TEST(Sparsity, an_empty_tensor_has_none) { EXPECT_EQ(sparsity_of(Tensor::of<float>({0, 3}, {})).share(), 0); }

/// The same tensor as a sparse constant, in one of the two forms of indices.
SparseTensor coo(const Tensor& dense, bool coordinates) {
  std::vector<float> values;
  std::vector<std::int64_t> indices;
  const auto elements = dense.data<float>();
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (elements[i] == 0) continue;
    values.push_back(elements[i]);
    auto rest = static_cast<std::int64_t>(i);
    if (!coordinates) {
      indices.push_back(rest);
      continue;
    }
    std::vector<std::int64_t> place(dense.rank());
    for (std::size_t d = dense.rank(); d-- > 0; rest /= dense.shape()[d]) place[d] = rest % dense.shape()[d];
    indices.insert(indices.end(), place.begin(), place.end());
  }
  const auto count = static_cast<std::int64_t>(values.size());
  return {dense.shape(), Tensor::of<float>({count}, values),
          Tensor::of<std::int64_t>(coordinates ? Shape{count, static_cast<std::int64_t>(dense.rank())} : Shape{count},
                                   indices)};
}

TEST(Sparsity, a_sparse_constant_shows_the_pattern_of_the_same_dense_one) {
  const auto in_block = [](std::int64_t i) { return (i / 64 / 4 * 7919 + i % 64 / 4) % 5 == 0; };
  const std::vector<Tensor> tensors{
      pruned({64, 64}, [](auto, auto& random) { return random() % 10 == 0; }),
      pruned({64, 64}, [](auto i, auto&) { return i / 64 % 2 == 0; }),
      pruned({64, 64}, [](auto i, auto&) { return i % 4 < 2; }),
      pruned({64, 64}, [&](auto i, auto&) { return in_block(i); }),
      pruned({30, 20}, [](auto, auto&) { return false; }),
      pruned({30, 20}, [](auto, auto&) { return true; }),
      pruned({8, 16, 3, 3}, [](auto i, auto&) { return i / 9 % 16 < 4; }),
  };
  for (const Tensor& tensor : tensors) {
    const Sparsity dense = sparsity_of(tensor);
    for (const bool coordinates : {false, true}) {
      const Sparsity sparse = sparsity_of(coo(tensor, coordinates));
      EXPECT_EQ(sparse.describe(), dense.describe());
      EXPECT_EQ(sparse.zeros, dense.zeros);
      EXPECT_EQ(sparse.elements, dense.elements);
    }
  }
}

TEST(Sparsity, blocks_show_in_a_constant_too_large_to_be_made_dense) {
  constexpr std::int64_t kSide = 20'000, kBlocksAlong = kSide / 4;
  std::vector<float> values;
  std::vector<std::int64_t> positions;
  for (std::int64_t block = 0; block < 5 * kBlocksAlong; ++block) {  // five in each row of blocks and each column
    for (std::int64_t row = 0; row < 4; ++row) {
      for (std::int64_t column = 0; column < 4; ++column) {
        const std::int64_t across = (block / 5 + block % 5 * 911) % kBlocksAlong;
        positions.push_back((block / 5 * 4 + row) * kSide + across * 4 + column);
        values.push_back(1);
      }
    }
  }
  std::ranges::sort(positions);
  const auto count = static_cast<std::int64_t>(values.size());
  const Sparsity found = sparsity_of(
      SparseTensor{{kSide, kSide}, Tensor::of<float>({count}, values), Tensor::of<std::int64_t>({count}, positions)});
  EXPECT_EQ(found.describe(), "blocks of 4x4");
  EXPECT_EQ(found.elements, kSide * kSide);
  EXPECT_EQ(found.zeros, kSide * kSide - count);
}

TEST(Sparsity, a_tensor_without_zeros_is_dense) {
  EXPECT_EQ(sparsity_of(pruned({16, 16}, [](auto, auto&) { return true; })).describe(), "dense");
}

TEST(Sparsity, random_zeros_are_unstructured_at_any_share) {
  for (const unsigned percent : {10u, 50u, 90u, 99u}) {
    const Sparsity s =
        sparsity_of(pruned({64, 128, 3, 3}, [&](auto, auto& random) { return random() % 100 >= percent; }));
    EXPECT_EQ(s.describe(), "unstructured") << percent;
    EXPECT_NEAR(s.share(), percent / 100.0, 0.02);
  }
}

TEST(Sparsity, whole_output_and_input_channels) {
  EXPECT_EQ(sparsity_of(pruned({8, 16, 3, 3}, [](auto i, auto&) { return i / 144 % 2 == 0; })).describe(),
            "channels (axis 0)");
  EXPECT_EQ(sparsity_of(pruned({8, 16, 3, 3}, [](auto i, auto&) { return i / 9 % 16 < 4; })).describe(),
            "channels (axis 1)");
}

TEST(Sparsity, two_of_four_along_either_axis) {
  // In each group of four a random pair is kept.
  const auto pair_of = [](std::int64_t group) { return std::hash<std::int64_t>{}(group * 7919) % 3; };
  const auto keep = [&](std::int64_t group, std::int64_t place) {
    const auto pair = pair_of(group);
    return pair == 0 ? place < 2 : pair == 1 ? place % 2 == 0 : place == 0 || place == 3;
  };
  EXPECT_EQ(sparsity_of(pruned({64, 64}, [&](auto i, auto&) { return keep(i / 4, i % 4); })).describe(),
            "2:4 along axis 1");
  EXPECT_EQ(
      sparsity_of(pruned({64, 64}, [&](auto i, auto&) { return keep(i / 256 * 64 + i % 64, i / 64 % 4); })).describe(),
      "2:4 along axis 0");
}

TEST(Sparsity, one_of_four) {
  EXPECT_EQ(sparsity_of(pruned({64, 64}, [](auto i, auto&) { return i % 4 == i / 4 % 3; })).describe(),
            "1:4 along axis 1");
}

TEST(Sparsity, blocks_along_an_axis_and_squares) {
  const auto kept_block = [](std::int64_t block) { return block * 2654435761 % 1000 < 200; };
  EXPECT_EQ(sparsity_of(pruned({64, 64}, [&](auto i, auto&) { return kept_block(i / 4); })).describe(),
            "blocks of 4 along axis 1");
  EXPECT_EQ(sparsity_of(pruned({64, 64}, [&](auto i, auto&) { return kept_block(i / 256 * 64 + i % 64); })).describe(),
            "blocks of 4 along axis 0");
  EXPECT_EQ(
      sparsity_of(pruned({64, 64}, [&](auto i, auto&) { return kept_block(i / 256 * 16 + i % 64 / 4); })).describe(),
      "blocks of 4x4");
}

TEST(Sparsity, sparse_tensors_count_what_they_do_not_store) {
  SparseTensor sparse;
  sparse.shape = {10, 10};
  sparse.values = Tensor::of<float>({3}, {1, 0, 2});
  sparse.indices = Tensor::of<std::int64_t>({3, 2}, {0, 1, 2, 2, 9, 9});
  EXPECT_EQ(sparsity_of(sparse).zeros, 98);
  sparse.shape = {1 << 20, 1 << 20};
  EXPECT_EQ(sparsity_of(sparse).zeros, (std::int64_t{1} << 40) - 2);
}

TEST(WeightSparsity, is_seen_through_dequantisation_transposes_and_masks) {
  GraphSketch s;
  const ValueId x = s.input("x", {1, 4});
  const ValueId quantised = s.constant(Tensor::of<std::uint8_t>({2, 4}, {7, 7, 7, 7, 1, 2, 3, 7}), "q");
  const ValueId point = s.constant(Tensor::scalar<std::uint8_t>(7));
  const ValueId w = s.op("DequantizeLinear", {quantised, s.number(0.5f), point});
  s.output(s.op("MatMul", {x, s.op("Transpose", {w}, {{"perm", std::vector<std::int64_t>{1, 0}}})}));
  const ValueId dense = s.constant(Tensor::of<float>({4, 1}, {1, 2, 3, 0}), "dense");
  const ValueId mask = s.constant(Tensor::of<float>({4, 1}, {1, 0, 0, 1}));
  const Graph g = s.build(s.op("MatMul", {x, s.op("Mul", {dense, mask})}));
  const auto weights = weight_sparsity(g);
  ASSERT_EQ(weights.size(), 2u);
  EXPECT_EQ(g.value(weights[0].constant).name, "q");
  EXPECT_EQ(weights[0].shape, (Shape{4, 2}));
  EXPECT_EQ(weights[0].sparsity.zeros, 5);
  EXPECT_EQ(weights[0].operand, 1u);
  EXPECT_EQ(g.value(weights[1].constant).name, "dense");
  EXPECT_EQ(weights[1].sparsity.zeros, 3);
}

TEST(WeightSparsity, computed_operands_are_no_weights) {
  GraphSketch s;
  EXPECT_TRUE(weight_sparsity(s.build(s.op("MatMul", {s.input("a", {2, 2}), s.input("b", {2, 2})}))).empty());
}

TEST(Sparsity, twenty_five_million_weights_take_a_moment) {
  const Tensor w = pruned({512, 512, 3, 3}, [](auto, auto& random) { return random() % 10 == 0; });
  const auto start = Clock::now();
  for (int i = 0; i < 11; ++i) EXPECT_EQ(sparsity_of(w).pattern, Sparsity::Pattern::unstructured);
  const double seconds = seconds_since(start);
  RecordProperty("ms", std::to_string(1e3 * seconds));
  EXPECT_LT(seconds, 3.0);
}

}  // namespace
}  // namespace sparse_run
