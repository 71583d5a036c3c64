// Transposes of matrices against the reference, at sizes around those of blocks.
#include <gmock/gmock.h>

#include "cpu/kernels/step_check.hpp"
#include "graph/passes/sketch.hpp"

namespace sparse_run::cpu {
namespace {

std::string kernel_of(const Shape& shape, const std::vector<std::int64_t>& perm) {
  GraphSketch s;
  const auto layers = check_steps(s.build(s.op("Transpose", {s.input("x", shape)}, {{"perm", perm}})), 2);
  return layers.at(0).kernel;
}

TEST(Transpose, of_matrices_goes_through_registers_at_every_size) {
  for (const std::int64_t rows : {4, 15, 16, 63, 64, 65, 200}) {
    for (const std::int64_t columns : {4, 17, 64, 130}) {
      EXPECT_EQ(kernel_of({rows, columns}, {1, 0}), "cpu.transpose.registers.f32");
      EXPECT_EQ(kernel_of({3, rows, columns}, {0, 2, 1}), "cpu.transpose.registers.f32");
    }
  }
}

TEST(Transpose, dimensions_that_are_rotated_are_a_matrix) {
  EXPECT_EQ(kernel_of({2, 5, 7, 9}, {0, 2, 3, 1}), "cpu.transpose.registers.f32");
  EXPECT_EQ(kernel_of({2, 5, 7, 9}, {0, 3, 1, 2}), "cpu.transpose.registers.f32");
  EXPECT_EQ(kernel_of({5, 7, 9}, {1, 2, 0}), "cpu.transpose.registers.f32");
}

TEST(Transpose, other_orders_and_narrow_matrices_are_copied_along_strides) {
  EXPECT_EQ(kernel_of({4, 5, 6, 7}, {0, 2, 1, 3}), "cpu.transpose.tiled");
  EXPECT_EQ(kernel_of({4, 5, 6}, {2, 1, 0}), "cpu.transpose.tiled");
  EXPECT_EQ(kernel_of({3, 100}, {1, 0}), "cpu.transpose.tiled");
}

}  // namespace
}  // namespace sparse_run::cpu
