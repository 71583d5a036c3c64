// Memory of an emulated GPU is out of the host's reach, limited, and shared out among requests.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "cpu/reference/evaluator.hpp"
#include "tests/device/random_network.hpp"
#include "tests/device/trial.hpp"

namespace sparse_run {
namespace {

using testing::HasSubstr;

float read_first(const Tensor& tensor) { return *static_cast<const volatile float*>(tensor.raw()); }

TEST(EmulatedMemory, host_code_that_reads_it_faults) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const TrialDevices devices(1);
  const Tensor tensor = devices.emulated[0]->memory()->allocate(DType::f32, {4});
  EXPECT_DEATH(read_first(tensor), "");
}

TEST(EmulatedMemory, a_tensor_of_the_host_is_no_operand) {
  const TrialDevices devices(1);
  DeviceMemory& memory = *devices.emulated[0]->memory();
  const Tensor host = Tensor::of<float>({2}, {1, 2});
  EXPECT_THROW(memory.copy_in({{host, Tensor::of<float>({2}, {0, 0})}}, {})->wait(), Error);
}

class LimitedSession : public testing::Test {
 protected:
  std::unique_ptr<Session> session(std::size_t limit) {
    std::mt19937_64 random(5);
    SessionOptions options;
    options.threads = 2;
    options.device_memory_limits["emulated:0"] = limit;
    return std::make_unique<Session>(random_network(random, 16), devices_.all(),
                                     std::make_shared<reference::ReferenceEvaluator>(), all_on("emulated:0"), options);
  }
  TrialDevices devices_{1};
};

TEST_F(LimitedSession, a_plan_that_needs_more_than_the_limit_is_refused_before_it_runs) {
  auto limited = session(4096);
  std::mt19937_64 random(1);
  try {
    limited->run(random_inputs(*limited, random));
    FAIL() << "nothing was refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::limit);
    EXPECT_THAT(error.what(), HasSubstr("emulated:0"));
    EXPECT_THAT(error.what(), HasSubstr("--memory-limit"));
  }
  EXPECT_EQ(devices_.used_bytes(), 0u);
}

TEST_F(LimitedSession, requests_wait_for_memory_instead_of_failing) {
  std::mt19937_64 random(1);
  auto roomy = session(std::size_t{64} << 20);
  const auto inputs = random_inputs(*roomy, random);
  const auto report = roomy->prepare(types_of(inputs));
  ASSERT_EQ(report->devices.size(), 1u);
  const std::vector<std::vector<Value>> all{inputs};
  const std::vector<std::vector<Value>> expected{roomy->run(inputs)};
  roomy.reset();
  // Room for one request and a half: the others have to queue.
  const DeviceUse& use = report->devices[0];
  ASSERT_GT(use.bytes_per_request, 0u);
  auto tight = session(use.held_bytes + use.bytes_per_request * 3 / 2);
  EXPECT_EQ(run_side_by_side(*tight, all, expected, 6, 30), 0);
}

TEST_F(LimitedSession, waiting_requests_can_be_cancelled) {
  std::mt19937_64 random(1);
  auto roomy = session(std::size_t{64} << 20);
  const auto inputs = random_inputs(*roomy, random);
  const std::atomic<bool> cancelled{true};
  RunOptions options;
  options.cancelled = &cancelled;
  try {
    roomy->run(inputs, options);
    FAIL() << "a cancelled run gave a result";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::interrupted);
  }
  EXPECT_NO_THROW(roomy->run(inputs));
}

TEST(EmulatedMemory, impossible_sizes_are_refused) {
  gpu::EmulatedGpuOptions options;
  options.memory_bytes = std::size_t{1} << 50;
  try {
    const TrialDevices devices(1, options);
    FAIL() << "a pebibyte was mapped";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::device);
  }
}

}  // namespace
}  // namespace sparse_run
