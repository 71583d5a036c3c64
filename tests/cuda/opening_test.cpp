// What is missing on a machine is said, each thing by its own name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gpu/cuda/device.hpp"
#include "tests/cuda/host/host_cuda.hpp"
#include "tests/cuda/node_trial.hpp"

namespace sparse_run::gpu::cuda {
namespace {

using host_cuda::add_host_gpu;
using testing::AllOf;
using testing::HasSubstr;

/// The words of the Error(device) that opening gives; "" when it gives none.
std::string refusal(const Libraries& libraries, int index, const GpuOptions& options = {}) {
  try {
    open_cuda_device(libraries, index, options);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::device) << error.what();
    return error.what();
  }
  return {};
}

class Opening : public testing::Test {
 protected:
  Libraries libraries_ = host_cuda::host_libraries();
  int index_ = add_host_gpu();
};

TEST_F(Opening, a_gpu_tells_what_it_is) {
  const auto device = open_cuda_device(libraries_, index_, {});
  EXPECT_EQ(device->name(), fmt::format("gpu:{}", index_));
  EXPECT_THAT(device->description(), AllOf(HasSubstr("Host GPU"), HasSubstr("compute capability 9.0")));
  EXPECT_EQ(device->memory_bytes(), std::size_t{1} << 30);
}

TEST(Driver, that_is_absent_is_named) {
  try {
    load_driver("libno-such-driver.so.1");
    FAIL() << "a driver was found";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::device);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("no NVIDIA driver"), HasSubstr("libno-such-driver.so.1")));
  }
}

TEST(Driver, without_all_functions_is_too_old) {
  try {
    load_driver("libm.so.6");  // a library that has none of them
    FAIL() << "a driver was found";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::device);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("too old"), HasSubstr("cuInit")));
  }
}

TEST_F(Opening, a_driver_older_than_the_kernels_is_refused) {
  libraries_.driver.driver_version = [](int* version) {
    *version = 12040;
    return status::kSuccess;
  };
  EXPECT_THAT(refusal(libraries_, index_), AllOf(HasSubstr("too old"), HasSubstr("12.4"), HasSubstr("13.0")));
}

TEST_F(Opening, a_machine_without_gpus_is_told_so) {
  libraries_.driver.init = [](unsigned) { return status::kNoDevice; };
  EXPECT_THAT(refusal(libraries_, index_), HasSubstr("finds no GPU"));
  libraries_ = host_cuda::host_libraries();
  libraries_.driver.device_count = [](int* count) {
    *count = 0;
    return status::kSuccess;
  };
  EXPECT_THAT(refusal(libraries_, index_), HasSubstr("finds no GPU"));
}

TEST_F(Opening, the_stub_of_the_toolkit_is_no_driver) {
  libraries_.driver.init = [](unsigned) { return status::kStubLibrary; };
  EXPECT_THAT(refusal(libraries_, index_), HasSubstr("stub"));
}

TEST_F(Opening, driver_and_kernel_module_of_different_versions_are_named) {
  libraries_.driver.init = [](unsigned) { return status::kDriverMismatch; };
  EXPECT_THAT(refusal(libraries_, index_), HasSubstr("different versions"));
}

TEST_F(Opening, an_index_out_of_range_names_what_there_is) {
  libraries_.driver.device_count = [](int* count) {
    *count = 2;
    return status::kSuccess;
  };
  EXPECT_THAT(refusal(libraries_, 7), AllOf(HasSubstr("gpu:7"), HasSubstr("this machine has 2, gpu:0 to gpu:1")));
}

TEST_F(Opening, an_old_architecture_is_refused_by_its_number) {
  const int old = add_host_gpu({.model = "Old GPU", .major = 7, .minor = 5});
  EXPECT_THAT(refusal(libraries_, old), AllOf(HasSubstr("Old GPU"), HasSubstr("7.5"), HasSubstr("8.0")));
}

TEST_F(Opening, kernels_that_do_not_run_on_the_gpu_are_said_to) {
  libraries_.driver.module_load = [](ModuleHandle*, const void*) { return status::kNoBinary; };
  EXPECT_THAT(refusal(libraries_, index_), AllOf(HasSubstr("do not run on"), HasSubstr("9.0")));
}

TEST_F(Opening, memory_taken_by_other_programs_is_told_apart_from_our_limit) {
  const int small = add_host_gpu({.memory_bytes = 1 << 20});
  const auto device = open_cuda_device(libraries_, small, {.memory_bytes = 8 << 20});
  try {
    const Tensor tensor = device->memory()->allocate(DType::u8, {2 << 20});
    FAIL() << "more than there is was given out";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::device);
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("out of memory"), HasSubstr("other programs"), HasSubstr("--memory-limit")));
  }
  EXPECT_NO_THROW(device->memory()->allocate(DType::u8, {1000}));
}

TEST(PlanOfAnotherGpu, names_the_kernel_and_the_library_that_are_not_here) {
  const auto bare = host_device({.generated = false}, true);
  std::mt19937_64 random(5);
  const NodeTrial trial =
      NodeTrial("MatMul").operand(random_tensor(random, {2, 3})).constant(random_tensor(random, {3, 4}));
  const std::string library = tested_gpu() ? "gpu.matmul.cublaslt.f32" : "cuBLASLt is not there";
  for (const auto& [kernel, words] : {std::pair<std::string, std::string>{"gpu.matmul.cublaslt.f32", library},
                                      {"gpu.matmul.of_the_future.f32", "is none of " + bare->name() + "'s"}}) {
    try {
      trial.run(*bare, kernel);
      FAIL() << kernel << " was run";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_THAT(error.what(), AllOf(HasSubstr(kernel), HasSubstr(words)));
    }
  }
}

TEST(GpuName, is_a_number_after_a_colon) {
  EXPECT_EQ(gpu_index("gpu:0"), 0);
  EXPECT_EQ(gpu_index("gpu:12"), 12);
  for (const char* name : {"gpu", "gpu:", "gpu:x", "gpu:1x", "gpu:-1", "gpu:99999999999", "cpu"}) {
    EXPECT_THROW(gpu_index(name), Error) << name;
  }
}

}  // namespace
}  // namespace sparse_run::gpu::cuda
