// When a device fails: the request says so, others finish, and the session goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "cpu/reference/evaluator.hpp"
#include "tests/device/device_under_test.hpp"
#include "tests/device/random_network.hpp"

namespace sparse_run {
namespace {

using testing::HasSubstr;

class DeviceFaults : public testing::TestWithParam<DeviceUnderTest> {
 protected:
  void SetUp() override {
    std::mt19937_64 random(3);
    network_ = random_network(random, 14);
    SessionOptions options;
    options.threads = 2;
    // The first half on the CPU, the second on the device, the last node on the CPU.
    session_ = std::make_unique<Session>(
        network_, std::vector<std::shared_ptr<Device>>{open_.cpu, open_.device},
        std::make_shared<reference::ReferenceEvaluator>(),
        [this](const Graph& graph) {
          Plan plan;
          plan.policy = "two cuts";
          const auto count = static_cast<NodeId>(graph.nodes().size());
          const NodeId cuts[] = {0, count / 2, count - 1, count};
          for (std::size_t i = 0; i < 3; ++i) {
            PlannedPartition partition;
            partition.device = i == 1 ? open_.device->name() : open_.cpu->name();
            for (NodeId id = cuts[i]; id < cuts[i + 1]; ++id) partition.nodes.push_back(id);
            plan.partitions.push_back(std::move(partition));
          }
          connect_partitions(plan, graph);
          return plan;
        },
        options);
    inputs_ = random_inputs(*session_, random);
    expected_ = session_->run(inputs_);
    at_rest_ = open_.device->memory()->used_bytes();
  }

  /// The error of one run.
  Error failure() {
    try {
      session_->run(inputs_);
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorKind::internal, "no error at all");
  }
  void expect_health() {
    EXPECT_EQ(divergence(session_->run(inputs_), expected_), 0);
    EXPECT_EQ(open_.device->memory()->used_bytes(), at_rest_);
  }

  OpenDevice open_ = GetParam().open(std::size_t{64} << 20);
  std::shared_ptr<const Graph> network_;
  std::unique_ptr<Session> session_;
  std::vector<Value> inputs_;
  std::vector<Value> expected_;
  std::size_t at_rest_ = 0;
};

TEST_P(DeviceFaults, a_failed_allocation_is_named_and_passes) {
  for (int nth = 1; nth <= 3; ++nth) {
    open_.faults->fail_allocation(nth);
    const Error error = failure();
    EXPECT_EQ(error.kind(), ErrorKind::device);
    EXPECT_THAT(error.what(), HasSubstr("allocating"));
    EXPECT_THAT(error.what(), HasSubstr(open_.device->name()));
    expect_health();
  }
}

TEST_P(DeviceFaults, a_failed_copy_is_named_and_passes) {
  for (int nth = 1; nth <= 2; ++nth) {
    open_.faults->fail_copy(nth);
    const Error error = failure();
    EXPECT_EQ(error.kind(), ErrorKind::device);
    EXPECT_THAT(error.what(), HasSubstr("a copy failed"));
    expect_health();
  }
}

TEST_P(DeviceFaults, a_failed_kernel_names_partition_and_node) {
  open_.faults->fail_kernel(1);
  const Error error = failure();
  EXPECT_EQ(error.kind(), ErrorKind::device);
  EXPECT_THAT(error.what(), HasSubstr("partition 1 on " + open_.device->name()));
  EXPECT_THAT(error.what(), HasSubstr("node '"));
  expect_health();
}

TEST_P(DeviceFaults, a_lost_device_fails_every_request_until_it_is_back) {
  open_.faults->lose_device(2);
  for (int i = 0; i < 3; ++i) {
    const Error error = failure();
    EXPECT_EQ(error.kind(), ErrorKind::device);
    EXPECT_THAT(error.what(), HasSubstr("lost"));
  }
  open_.faults->clear();
  expect_health();
}

TEST_P(DeviceFaults, other_requests_in_flight_finish) {
  constexpr int kThreads = 4;
  constexpr int kRuns = 25;
  open_.faults->fail_kernel(40);
  std::atomic<int> right{0};
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRuns; ++i) {
        try {
          if (divergence(session_->run(inputs_), expected_) == 0) ++right;
        } catch (const Error&) {
          ++failed;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(right, kThreads * kRuns - 1);
  expect_health();
}

TEST_P(DeviceFaults, a_device_lost_under_load_hangs_nobody) {
  open_.faults->lose_device(60);
  std::atomic<int> ended{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        try {
          session_->run(inputs_);
        } catch (const Error& error) {
          EXPECT_EQ(error.kind(), ErrorKind::device);
        }
        ++ended;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ended, 100);
  EXPECT_TRUE(open_.faults->lost());
  open_.faults->clear();
  expect_health();
}

TEST_P(DeviceFaults, work_behind_a_failed_copy_fails_with_it) {
  DeviceMemory& memory = *open_.device->memory();
  const Tensor host = Tensor::of<float>({3}, {1, 2, 3});
  const Tensor device = memory.allocate(DType::f32, {3});
  const Tensor back = Tensor::of<float>({3}, {0, 0, 0});
  open_.faults->fail_copy(1);
  const EventPtr in = memory.copy_in({{host, device}}, {});
  const EventPtr out = memory.copy_out({{device, back}}, {in});
  EXPECT_THROW(out->wait(), Error);
  EXPECT_EQ(back.data<float>()[0], 0);
}

INSTANTIATE_TEST_SUITE_P(Devices, DeviceFaults, devices_with_faults(),
                         [](const auto& entry) { return entry.param.name; });

}  // namespace
}  // namespace sparse_run
