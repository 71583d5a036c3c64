// The refusal of a build without CUDA names what is missing and what to do.
#include "gpu/absent.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sparse_run::gpu {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(CudaAbsence, names_what_is_missing_and_what_to_install) {
  EXPECT_THAT(cuda_absence(), HasSubstr("no CUDA device is compiled in"));
  EXPECT_THAT(cuda_absence(), HasSubstr("nvidia-cuda-toolkit"));
  EXPECT_THAT(cuda_absence(), HasSubstr("choose cpu"));
}

TEST(CudaAbsence, is_one_line) { EXPECT_THAT(cuda_absence(), Not(HasSubstr("\n"))); }

}  // namespace
}  // namespace sparse_run::gpu
