// Weights of pattern N:M times few vectors, every instruction set and storage against plain loops in double precision.
#include "cpu/sparse/groups.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "cpu/column/column_test_support.hpp"

namespace sparse_run::cpu {
namespace {

/// Row-major weights with exactly `kept` entries in every whole group of `of` columns.
std::vector<float> patterned(std::mt19937& random, std::size_t rows, std::size_t k, std::size_t kept, std::size_t of) {
  std::vector<float> w(rows * k);
  std::vector<std::size_t> place(of);
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t group = 0; group < k; group += of) {
      std::iota(place.begin(), place.end(), 0);
      std::shuffle(place.begin(), place.end(), random);
      for (std::size_t i = 0; i < kept; ++i) {
        if (group + place[i] < k) w[row * k + group + place[i]] = random_floats(random, 1)[0] + 2;
      }
    }
  }
  return w;
}

class SparseGroupsTest : public testing::TestWithParam<Isa> {};

TEST_P(SparseGroupsTest, random_products_equal_plain_loops) {
  std::mt19937 random = seeded_random();
  for (int round = 0; round < 200; ++round) {
    const std::size_t of = pick(random, {4, 8}), kept = uniform(random, 1, of / 2);
    const std::size_t rows = pick(random, {0, 1, 3, 15, 16, 17, 33, 64}),
                      k = pick(random, {0, 1, 4, 7, 8, 30, 100, 133});
    const std::size_t lanes = uniform(random, 1, 9), x_stride = k + uniform(random, 0, 3), y_stride = rows + 2;
    const Csr w = Csr::from_dense(patterned(random, rows, k, kept, of), rows, k);
    const std::vector<float> x = random_floats(random, lanes * x_stride), bias = random_floats(random, rows);
    const std::vector<float> start = random_floats(random, lanes * y_stride);
    const bool with_bias = round % 2 == 0, with_residual = round % 3 == 0, curved = round % 5 == 0;
    const WeightStorage storage = round % 4 < 2 ? WeightStorage::f32 : WeightStorage::bf16;
    std::vector<float> y = start;
    const Epilogue epilogue{with_bias ? bias.data() : nullptr, with_residual ? y.data() : nullptr, y_stride,
                            curved ? Activation::of(Curve::tanh) : Activation::relu()};
    const SparseGroups sparse(w, {static_cast<int>(kept), static_cast<int>(of)}, storage, GetParam());
    const std::size_t middle = uniform(random, 0, sparse.slices());
    sparse.run(x.data(), x_stride, lanes, y.data(), y_stride, epilogue, 0, middle);
    sparse.run(x.data(), x_stride, lanes, y.data(), y_stride, epilogue, middle, sparse.slices());
    for (std::size_t l = 0; l < lanes; ++l) {
      for (std::size_t r = 0; r < y_stride; ++r) {
        const float before = start[l * y_stride + r];
        if (r >= rows) {
          ASSERT_EQ(y[l * y_stride + r], before);
          continue;
        }
        double value = (with_bias ? bias[r] : 0.0) + (with_residual ? before : 0.0);
        for (std::size_t i = w.row_begin[r]; i < w.row_begin[r + 1]; ++i) {
          const float weight = storage == WeightStorage::f32 ? w.value[i] : from_bf16(to_bf16(w.value[i]));
          value += double{weight} * x[l * x_stride + w.column[i]];
        }
        value = curved ? std::tanh(value) : std::max(0.0, value);
        ASSERT_NEAR(y[l * y_stride + r], value, 1e-5 * (1 + std::sqrt(double(k))))
            << kept << ":" << of << ", " << rows << "x" << k << " lanes " << lanes;
      }
    }
  }
}

TEST_P(SparseGroupsTest, groups_with_fewer_entries_are_filled_up_with_zeros) {
  const Csr w = Csr::from_dense(std::vector<float>{0, 0, 0, 0, 0, 3, 0, 0, 5, 0, 0, 7, 0, 0, 0, 0}, 2, 8);
  const SparseGroups sparse(w, {2, 4}, WeightStorage::f32, GetParam());
  const std::vector<float> x{1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<float> y(2);
  sparse.run(x.data(), 8, 1, y.data(), 2, {}, 0, sparse.slices());
  EXPECT_EQ(y, (std::vector<float>{18, 33}));
}

TEST_P(SparseGroupsTest, unusual_weights_are_multiplied) {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN(),
              tiny = std::numeric_limits<float>::denorm_min();
  const Csr w = Csr::from_dense(std::vector<float>{infinity, 0, 0, 0, 0, nan, 0, 0, 0, 0, tiny, 0}, 3, 4);
  const std::vector<float> x{2, 3, 4, 5};
  for (const WeightStorage storage : {WeightStorage::f32, WeightStorage::bf16}) {
    const SparseGroups sparse(w, {1, 4}, storage, GetParam());
    std::vector<float> y(3);
    sparse.run(x.data(), 4, 1, y.data(), 3, {}, 0, sparse.slices());
    EXPECT_EQ(y[0], infinity);
    EXPECT_TRUE(std::isnan(y[1]));
    EXPECT_EQ(y[2], storage == WeightStorage::f32 ? 4 * tiny : 0.0f);
  }
}

INSTANTIATE_TEST_SUITE_P(, SparseGroupsTest, testing::ValuesIn(runnable_isas()), isa_name);

TEST(GroupPatternOf, recognises_the_pattern_that_stores_least) {
  std::mt19937 random = seeded_random();
  const auto pattern = [&](std::size_t kept, std::size_t of) {
    return SparseGroups::pattern_of(Csr::from_dense(patterned(random, 20, 64, kept, of), 20, 64));
  };
  EXPECT_EQ(pattern(1, 4), (GroupPattern{1, 4}));
  EXPECT_EQ(pattern(2, 4), (GroupPattern{2, 4}));
  EXPECT_EQ(pattern(1, 8), (GroupPattern{1, 8}));
  EXPECT_EQ(pattern(3, 8), (GroupPattern{3, 8}));
  EXPECT_EQ(pattern(3, 4), std::nullopt) << "more than half";
}

TEST(GroupPatternOf, unstructured_and_empty_weights_have_none) {
  std::mt19937 random = seeded_random();
  for (const double zeros : {0.0, 0.5, 0.75, 0.9, 1.0}) {
    EXPECT_EQ(SparseGroups::pattern_of(Csr::from_dense(random_floats(random, 100 * 64, zeros), 100, 64)), std::nullopt);
  }
  EXPECT_EQ(SparseGroups::pattern_of(Csr::from_dense(std::vector<float>(), 0, 64)), std::nullopt);
}

TEST(Bf16Storage, rounds_to_the_nearest_of_two_the_even_one) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(from_bf16(to_bf16(1.0f)), 1.0f);
  EXPECT_EQ(from_bf16(to_bf16(1.0f + 0x1p-8f)), 1.0f) << "halfway, to even";
  EXPECT_EQ(from_bf16(to_bf16(1.0f + 0x3p-8f)), 1.0f + 0x1p-6f) << "halfway, to even";
  EXPECT_EQ(from_bf16(to_bf16(-1.0f - 0x1.8p-8f)), -1.0f - 0x1p-7f);
  EXPECT_EQ(from_bf16(to_bf16(infinity)), infinity);
  EXPECT_EQ(from_bf16(to_bf16(std::numeric_limits<float>::max())), infinity);
  EXPECT_TRUE(std::isnan(from_bf16(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_TRUE(std::isnan(from_bf16(to_bf16(std::bit_cast<float>(0x7f800001u)))));
  EXPECT_EQ(to_bf16(-0.0f), 0x8000);
}

}  // namespace
}  // namespace sparse_run::cpu
