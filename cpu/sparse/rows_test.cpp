// Sparse weights times single vectors, every instruction set against plain loops in double precision.
#include "cpu/sparse/rows.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cpu/column/column_test_support.hpp"

namespace sparse_run::cpu {
namespace {

class SparseRowsTest : public testing::TestWithParam<Isa> {};

TEST_P(SparseRowsTest, random_products_equal_plain_loops) {
  std::mt19937 random = seeded_random();
  for (int round = 0; round < 150; ++round) {
    const std::size_t rows = uniform(random, 0, 60), k = pick(random, {0, 1, 2, 17, 100, 333});
    const std::size_t lanes = uniform(random, 1, 3), x_stride = k + 1, y_stride = rows + 2;
    const double zeros = std::vector<double>{0, 0.5, 0.9, 0.98, 1}[uniform(random, 0, 4)];
    const WeightStorage storage = round % 4 < 2 ? WeightStorage::f32 : WeightStorage::bf16;
    Csr w = Csr::from_dense(random_floats(random, rows * k, zeros), rows, k);
    if (storage == WeightStorage::bf16) {
      for (float& weight : w.value) weight = from_bf16(to_bf16(weight));  // nothing more is lost then
    }
    const std::vector<float> x = random_floats(random, lanes * x_stride), bias = random_floats(random, rows);
    const std::vector<float> start = random_floats(random, lanes * y_stride);
    const bool with_bias = round % 2 == 0, with_residual = round % 3 == 0, curved = round % 5 == 0;
    std::vector<float> y = start;
    const Epilogue epilogue{with_bias ? bias.data() : nullptr, with_residual ? y.data() : nullptr, y_stride,
                            curved ? Activation::of(Curve::tanh) : Activation::relu()};
    const SparseRows sparse(w, storage, GetParam());
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
          value += double{w.value[i]} * x[l * x_stride + w.column[i]];
        }
        value = curved ? std::tanh(value) : std::max(0.0, value);
        ASSERT_NEAR(y[l * y_stride + r], value, 1e-5 * (1 + std::sqrt(double(k)))) << rows << "x" << k << " " << zeros;
      }
    }
  }
}

TEST_P(SparseRowsTest, columns_beyond_16_bits_are_reached) {
  std::mt19937 random = seeded_random();
  const std::size_t rows = 37, k = 150000;
  std::vector<std::int64_t> places;
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = uniform(random, 0, 30000); c < k; c += uniform(random, 1, 60000)) {
      places.push_back(static_cast<std::int64_t>(r * k + c));
    }
  }
  const Csr w = Csr::from_linear(places, random_floats(random, places.size()), rows, k);
  const std::vector<float> x = random_floats(random, k);
  std::vector<float> y(rows);
  SparseRows(w, GetParam()).run(x.data(), k, 1, y.data(), rows, {});
  for (std::size_t r = 0; r < rows; ++r) {
    double value = 0;
    for (std::size_t i = w.row_begin[r]; i < w.row_begin[r + 1]; ++i) value += double{w.value[i]} * x[w.column[i]];
    ASSERT_NEAR(y[r], value, 1e-5) << r;
  }
}

TEST_P(SparseRowsTest, infinite_inputs_reach_only_the_rows_that_read_them) {
  const float infinity = std::numeric_limits<float>::infinity();
  const Csr w = Csr::from_dense(std::vector<float>{1, 1, 0, 1, 0, 0}, 3, 2);
  const std::vector<float> x{infinity, 2.0f};
  std::vector<float> y(3);
  SparseRows(w, GetParam()).run(x.data(), 2, 1, y.data(), 3, {});
  EXPECT_EQ(y, (std::vector<float>{infinity, 2.0f, 0.0f}));
}

INSTANTIATE_TEST_SUITE_P(, SparseRowsTest, testing::ValuesIn(runnable_isas()), isa_name);

}  // namespace
}  // namespace sparse_run::cpu
