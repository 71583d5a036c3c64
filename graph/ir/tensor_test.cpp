// Tests of host tensors: limits on what is allocated, shapes without elements.
#include "graph/ir/tensor.hpp"

#include <gmock/gmock.h>

#include "base/error.hpp"

namespace sparse_run {
namespace {

TEST(Tensor, more_memory_than_the_machine_has_is_a_limit_error) {
  try {
    Tensor::allocate(DType::f32, Shape{std::int64_t{1} << 43});
    FAIL() << "32 TiB were allocated";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::limit);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("8796093022208"));
  }
}

TEST(Tensor, empty_tensor_with_huge_dimensions_is_allocated) {
  const Tensor tensor = Tensor::allocate(DType::f32, Shape{0, std::int64_t{1} << 62});
  EXPECT_EQ(tensor.size(), 0);
  EXPECT_EQ(tensor.bytes(), 0u);
}

TEST(Tensor, strides_of_a_shape_without_elements_do_not_overflow) {
  const std::int64_t huge = std::int64_t{1} << 62;
  EXPECT_THAT(row_major_strides(Shape{0, huge, huge}), ::testing::ElementsAre(0, huge, 1));
  EXPECT_THAT(row_major_strides(Shape{2, 3, 4}), ::testing::ElementsAre(12, 4, 1));
}

}  // namespace
}  // namespace sparse_run
