// Transposition of every instruction set, whole blocks and edges.
#include "cpu/column/transpose.hpp"

#include <gtest/gtest.h>

#include "cpu/column/column_test_support.hpp"

namespace sparse_run::cpu {
namespace {

class TransposeTest : public testing::TestWithParam<Isa> {};

TEST_P(TransposeTest, rows_become_columns_and_padding_stays) {
  std::mt19937 random = seeded_random();
  for (int round = 0; round < 100; ++round) {
    const std::size_t rows = uniform(random, 0, 50), columns = uniform(random, 0, 50);
    const std::size_t in_stride = columns + uniform(random, 0, 3), out_stride = rows + uniform(random, 0, 3);
    const std::vector<float> in = random_floats(random, rows * in_stride);
    std::vector<float> out(columns * out_stride, 9.0f);
    run_transpose(in.data(), in_stride, rows, columns, out.data(), out_stride, GetParam());
    for (std::size_t c = 0; c < columns; ++c) {
      for (std::size_t r = 0; r < out_stride; ++r) {
        ASSERT_EQ(out[c * out_stride + r], r < rows ? in[r * in_stride + c] : 9.0f) << rows << "x" << columns;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, TransposeTest, testing::ValuesIn(runnable_isas()), isa_name);

}  // namespace
}  // namespace sparse_run::cpu
