// The sparse column kernel of every instruction set against plain loops in double precision.
#include "cpu/sparse/columns.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "cpu/column/column_test_support.hpp"

namespace sparse_run::cpu {
namespace {

class SparseColumnsTest : public testing::TestWithParam<Isa> {};

std::vector<double> product(const Csr& w, const Matrix& x) {
  std::vector<double> y(w.rows * x.lanes);
  for (std::size_t r = 0; r < w.rows; ++r) {
    for (std::size_t i = w.row_begin[r]; i < w.row_begin[r + 1]; ++i) {
      for (std::size_t l = 0; l < x.lanes; ++l) y[r * x.lanes + l] += double{w.value[i]} * x.at(w.column[i], l);
    }
  }
  return y;
}

TEST_P(SparseColumnsTest, random_products_equal_plain_loops) {
  std::mt19937 random = seeded_random();
  for (int round = 0; round < 200; ++round) {
    const std::size_t rows = pick(random, {0, 1, 2, 3, 7, 16, 33, 64, 101}), lanes = uniform(random, 1, 100);
    const std::size_t k = pick(random, {0, 1, 2, 5, 17, 64, 128, 191, 400, 600});
    const double zeros = std::vector<double>{0, 0.5, 0.8, 0.9, 0.95, 0.995, 1}[uniform(random, 0, 6)];
    const Matrix x = Matrix::random(random, k, lanes, lanes + uniform(random, 0, 20));
    Csr w = Csr::from_dense(random_floats(random, rows * k, zeros), rows, k);
    const bool halves = round % 5 < 2;
    if (halves) {
      for (float& weight : w.value) weight = from_bf16(to_bf16(weight));  // so that bf16 storage loses nothing more
    }
    const auto bias = random_floats(random, rows);
    const bool with_bias = round % 2 == 0, with_residual = round % 3 == 0, relu = round % 4 == 0;
    const std::size_t y_stride = lanes + uniform(random, 0, 9);
    std::vector<float> start = random_floats(random, rows * y_stride + 1);  // the residual, in place
    std::vector<SparseVariant> variants = SparseColumns::candidates(w.zeros(), w.columns, pick(random, {1, 9}), lanes, GetParam());
    variants.push_back({static_cast<int>(uniform(random, 1, 6)), uniform(random, 1, 60)});
    if (halves) {
      for (SparseVariant& variant : variants) variant.storage = WeightStorage::bf16;
    }
    const std::vector<double> expected = product(w, x);
    for (const SparseVariant& variant : variants) {
      const SparseColumns sparse(w, variant, GetParam());
      std::vector<float> y = start;
      const Epilogue epilogue{with_bias ? bias.data() : nullptr, with_residual ? y.data() : nullptr, y_stride,
                              relu ? Activation::relu() : Activation::none()};
      sparse.run(ColumnInput::rows(x.data(), static_cast<std::ptrdiff_t>(x.stride)), lanes, y.data(), y_stride,
                 epilogue);
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t l = 0; l < y_stride; ++l) {
          const float before = start[r * y_stride + l];
          if (l >= lanes) {
            ASSERT_EQ(y[r * y_stride + l], before) << "written beyond the lanes";
            continue;
          }
          double value = expected[r * lanes + l] + (with_bias ? bias[r] : 0) + (with_residual ? before : 0);
          if (relu) value = std::max(0.0, value);
          ASSERT_NEAR(y[r * y_stride + l], value, 1e-5 * (1 + std::sqrt(double(k))))
              << rows << "x" << k << "x" << lanes << " zeros " << zeros << " vectors " << variant.vectors << " k_tile "
              << variant.k_tile;
        }
      }
      ASSERT_EQ(y.back(), start.back());
    }
  }
}

TEST_P(SparseColumnsTest, convolutions_read_through_their_window) {
  std::mt19937 random = seeded_random();
  for (int round = 0; round < 150; ++round) {
    const WindowCase c = WindowCase::random(random);
    const auto taps = static_cast<std::size_t>(c.window.taps());
    const std::size_t rows = uniform(random, 1, 20), k = c.channels * taps;
    const Csr w = Csr::from_dense(random_floats(random, rows * k, 0.8), rows, k);
    const Matrix x = c.panel();
    const std::vector<double> expected = product(w, x);
    for (const SparseVariant& variant : SparseColumns::candidates(w.zeros(), w.columns, c.window, GetParam())) {
      std::vector<float> y(rows * x.lanes, 1.0f), start = y;
      const std::size_t cut = uniform(random, 0, x.lanes);
      const SparseColumns sparse(w, variant, GetParam(), &c.window);
      const ColumnInput input = ColumnInput::windowed(c.data.data(), c.window);
      const Epilogue epilogue{nullptr, y.data(), x.lanes, Activation::relu()};
      Epilogue second = epilogue;
      second.residual += cut;
      sparse.run(input, 0, cut, y.data(), x.lanes, epilogue);
      sparse.run(input, cut, x.lanes, y.data() + cut, x.lanes, second);
      for (std::size_t i = 0; i < y.size(); ++i) {
        ASSERT_NEAR(y[i], std::max(0.0, expected[i] + start[i]), 2e-4)
            << c.describe() << " strip " << variant.strip << " vectors " << variant.vectors << " k_tile "
            << variant.k_tile << " cut " << cut;
      }
    }
  }
}

TEST_P(SparseColumnsTest, lane_blocks_together_make_the_whole) {
  std::mt19937 random = seeded_random();
  const std::size_t rows = 33, k = 200, lanes = 150;
  const Csr w = Csr::from_dense(random_floats(random, rows * k, 0.9), rows, k);
  const Matrix x = Matrix::random(random, k, lanes, lanes);
  const SparseColumns sparse(w, {4, 70}, GetParam());
  const ColumnInput input = ColumnInput::rows(x.data(), lanes);
  std::vector<float> whole(rows * lanes), parts(rows * lanes);
  sparse.run(input, lanes, whole.data(), lanes, {});
  sparse.run(input, 0, 77, parts.data(), lanes, {});
  sparse.run(input, 77, lanes, parts.data() + 77, lanes, {});
  for (std::size_t i = 0; i < whole.size(); ++i) ASSERT_NEAR(whole[i], parts[i], 1e-5);
}

TEST_P(SparseColumnsTest, empty_rows_give_bias) {
  Csr w{5, 300, {0, 0, 1, 1, 1, 1}, {299}, {2.0f}};
  const std::vector<float> x(300 * 3, 1.5f), bias{1, 2, 3, 4, 5};
  std::vector<float> y(5 * 3);
  SparseColumns(w, {1, 50}, GetParam()).run(ColumnInput::rows(x.data(), 3), 3, y.data(), 3, {.bias = bias.data()});
  EXPECT_EQ(y, (std::vector<float>{1, 1, 1, 5, 5, 5, 3, 3, 3, 4, 4, 4, 5, 5, 5}));
}

TEST_P(SparseColumnsTest, all_zero_weights_give_bias) {
  const std::vector<float> x(4 * 20, std::numeric_limits<float>::quiet_NaN()), bias{7, 8};
  std::vector<float> y(2 * 20);
  const Csr w = Csr::from_dense(std::vector<float>(8), 2, 4);
  SparseColumns(w, {4, 3}, GetParam()).run(ColumnInput::rows(x.data(), 20), 20, y.data(), 20, {.bias = bias.data()});
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], i < 20 ? 7 : 8);
}

TEST_P(SparseColumnsTest, nan_and_infinite_weights_are_entries) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  const Csr w = Csr::from_dense(std::vector<float>{0, nan, 0, infinity, 0, 0}, 3, 2);
  EXPECT_EQ(w.nnz(), 2u);
  const std::vector<float> x(2 * 20, 1.0f);
  std::vector<float> y(3 * 20);
  SparseColumns(w, {2, 2}, GetParam()).run(ColumnInput::rows(x.data(), 20), 20, y.data(), 20, {});
  for (std::size_t l = 0; l < 20; ++l) {
    EXPECT_TRUE(std::isnan(y[l]));
    EXPECT_EQ(y[20 + l], infinity);
    EXPECT_EQ(y[40 + l], 0.0f);
  }
}

TEST_P(SparseColumnsTest, infinite_inputs_reach_only_the_rows_that_read_them) {
  const float infinity = std::numeric_limits<float>::infinity();
  const Csr w = Csr::from_dense(std::vector<float>{1, 1, 0, 1}, 2, 2);  // unequal rows: the second is filled up
  const std::vector<float> x{infinity, 2.0f};
  std::vector<float> y(2);
  SparseColumns(w, {1, 2}, GetParam()).run(ColumnInput::rows(x.data(), 1), 1, y.data(), 1, {});
  EXPECT_EQ(y, (std::vector<float>{infinity, 2.0f}));
}

TEST_P(SparseColumnsTest, curved_activations_are_applied_once) {
  std::mt19937 random = seeded_random();
  const std::size_t rows = 7, k = 90, lanes = 37;  // an odd row is paired with itself
  const Csr w = Csr::from_dense(random_floats(random, rows * k, 0.8), rows, k);
  const Matrix x = Matrix::random(random, k, lanes, lanes);
  const std::vector<double> expected = product(w, x);
  std::vector<float> y(rows * lanes);
  Epilogue epilogue;
  epilogue.activation = Activation::of(Curve::tanh);
  SparseColumns(w, {3, 30}, GetParam()).run(ColumnInput::rows(x.data(), lanes), lanes, y.data(), lanes, epilogue);
  for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], std::tanh(expected[i]), 1e-5);
}

TEST(Csr, linear_positions_and_dense_data_agree) {
  const std::vector<float> dense{0, 1, 0, 2, 0, 0, 0, 0, 3};
  const Csr a = Csr::from_dense(dense, 3, 3);
  const Csr b = Csr::from_linear(std::vector<std::int64_t>{1, 3, 8}, std::vector<float>{1, 2, 3}, 3, 3);
  EXPECT_EQ(a.row_begin, (std::vector<std::size_t>{0, 1, 2, 3}));
  EXPECT_EQ(a.row_begin, b.row_begin);
  EXPECT_EQ(a.column, b.column);
  EXPECT_EQ(a.value, b.value);
  EXPECT_DOUBLE_EQ(a.zeros(), 1 - 3.0 / 9);
}

TEST(Csr, balanced_rows_share_the_entries) {
  const Csr w{5, 40, {0, 40, 40, 41, 60, 80}, std::vector<std::uint32_t>(80), std::vector<float>(80, 1.0f)};
  EXPECT_EQ(w.balanced_rows(2), (std::vector<std::size_t>{0, 3, 5}));
  EXPECT_EQ(w.balanced_rows(1), (std::vector<std::size_t>{0, 5}));
  EXPECT_EQ(w.balanced_rows(7).front(), 0u);
  EXPECT_EQ(w.balanced_rows(7).back(), 5u);
  EXPECT_TRUE(std::ranges::is_sorted(w.balanced_rows(7)));
}

TEST(Csr, transposing_twice_gives_the_same_and_slices_are_rows) {
  std::mt19937 random = seeded_random();
  const Csr w = Csr::from_dense(random_floats(random, 20 * 31, 0.7), 20, 31);
  const Csr back = w.transposed().transposed();
  EXPECT_EQ(back.row_begin, w.row_begin);
  EXPECT_EQ(back.column, w.column);
  EXPECT_EQ(back.value, w.value);
  const Csr slice = w.slice_rows(3, 9);
  EXPECT_EQ(slice.rows, 6u);
  EXPECT_EQ(slice.nnz(), w.row_begin[9] - w.row_begin[3]);
  EXPECT_EQ(slice.row_nnz(0), w.row_nnz(3));
}

INSTANTIATE_TEST_SUITE_P(, SparseColumnsTest, testing::ValuesIn(runnable_isas()), isa_name);

}  // namespace
}  // namespace sparse_run::cpu
