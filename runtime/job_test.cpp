// Order, splitting, padding, bounded flight and failures of jobs.
#include "runtime/job.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

namespace sparse_run {
namespace {

using testing::HasSubstr;

Tensor counting(std::int64_t rows, std::int64_t columns) {
  Tensor tensor = Tensor::allocate(DType::f32, {rows, columns});
  float next = 0;
  for (float& x : tensor.data<float>()) x = next++;
  return tensor;
}

std::vector<Value> twice(std::span<const Value> inputs) {
  Tensor result = inputs[0].tensor.clone();
  for (float& x : result.data<float>()) x *= 2;
  return {result};
}

struct Collected {
  std::vector<std::pair<std::int64_t, std::int64_t>> parts;
  std::vector<float> values;
  JobSink sink() {
    return [this](std::int64_t first, std::int64_t count, std::vector<Value> outputs) {
      parts.emplace_back(first, count);
      EXPECT_EQ(outputs.at(0).tensor.shape().at(0), count);
      for (const float x : outputs[0].tensor.data<float>()) values.push_back(x);
    };
  }
};

TEST(Job, results_arrive_in_order_whatever_finishes_first) {
  const std::vector<JobInput> inputs = {{counting(37, 3), true}};
  JobOptions options;
  options.micro_batch = 2;
  options.in_flight = 4;
  Collected collected;
  std::int64_t last_done = 0;
  run_job(
      [](std::span<const Value> request) {
        const auto first_value = static_cast<int>(request[0].tensor.data<float>()[0]);
        std::this_thread::sleep_for(std::chrono::microseconds(first_value % 4 == 0 ? 2000 : 10));
        return twice(request);
      },
      inputs, options, collected.sink(),
      [&](std::int64_t done, std::int64_t total) {
        EXPECT_GT(done, last_done);
        EXPECT_EQ(total, 37);
        last_done = done;
      });
  EXPECT_EQ(last_done, 37);
  ASSERT_EQ(collected.parts.size(), 19u);
  EXPECT_EQ(collected.parts.back(), std::pair(std::int64_t{36}, std::int64_t{1}));
  ASSERT_EQ(collected.values.size(), 111u);
  for (std::size_t i = 0; i < collected.values.size(); ++i) EXPECT_EQ(collected.values[i], 2.0f * float(i));
}

TEST(Job, inputs_that_can_be_read_are_copied_part_by_part) {
  const Tensor source = counting(7, 3);
  std::atomic<std::size_t> bytes_read = 0;
  JobInput input{Tensor::allocate(DType::f32, {7, 3}), true};  // values come from `read` alone
  for (float& x : input.value.tensor.data<float>()) x = -1;
  input.read = [&](std::size_t at, std::span<std::byte> into) {
    std::memcpy(into.data(), static_cast<const std::byte*>(source.raw()) + at, into.size());
    bytes_read += into.size();
  };
  const std::vector<JobInput> inputs = {input};
  JobOptions options;
  options.micro_batch = 2;
  Collected collected;
  run_job([](std::span<const Value> request) { return twice(request); }, inputs, options, collected.sink(), {});
  ASSERT_EQ(collected.values.size(), 21u);
  for (std::size_t i = 0; i < collected.values.size(); ++i) EXPECT_EQ(collected.values[i], 2.0f * float(i));
  EXPECT_EQ(bytes_read, source.bytes());
}

TEST(Job, an_input_that_cannot_be_read_any_more_ends_the_job) {
  JobInput input{counting(9, 1), true};
  input.read = [](std::size_t at, std::span<std::byte>) {
    if (at >= 4 * sizeof(float)) throw_error(ErrorKind::input, "it became shorter");
  };
  const std::vector<JobInput> inputs = {input};
  JobOptions options;
  options.micro_batch = 2;
  Collected collected;
  try {
    run_job([](std::span<const Value> request) { return twice(request); }, inputs, options, collected.sink(), {});
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    EXPECT_THAT(error.what(), HasSubstr("it became shorter"));
    EXPECT_THAT(error.what(), HasSubstr("rows 4 to 5"));
  }
}

TEST(Job, a_fixed_batch_fills_up_the_last_request_and_cuts_its_result) {
  const std::vector<JobInput> inputs = {{counting(5, 2), true}};
  JobOptions options;
  options.micro_batch = 4;
  options.pad_last = true;
  Collected collected;
  run_job(
      [](std::span<const Value> request) {
        EXPECT_EQ(request[0].tensor.shape(), (Shape{4, 2}));
        return twice(request);
      },
      inputs, options, collected.sink(), {});
  EXPECT_EQ(collected.values, (std::vector<float>{0, 2, 4, 6, 8, 10, 12, 14, 16, 18}));
}

TEST(Job, inputs_that_are_not_split_reach_every_request_whole) {
  const std::vector<JobInput> inputs = {{counting(4, 1), true}, {counting(3, 3), false}};
  JobOptions options;
  int requests = 0;
  options.in_flight = 1;
  Collected collected;
  run_job(
      [&](std::span<const Value> request) {
        EXPECT_EQ(request[1].tensor.shape(), (Shape{3, 3}));
        ++requests;
        return twice(request);
      },
      inputs, options, collected.sink(), {});
  EXPECT_EQ(requests, 4);
}

TEST(Job, no_more_than_in_flight_requests_are_alive) {
  const std::vector<JobInput> inputs = {{counting(40, 1), true}};
  JobOptions options;
  options.in_flight = 2;
  std::atomic<int> alive{0};
  std::atomic<int> most{0};
  run_job(
      [&](std::span<const Value> request) {
        const int now = ++alive;
        int seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        std::this_thread::sleep_for(std::chrono::microseconds(100));
        return twice(request);
      },
      inputs, options, [&](std::int64_t, std::int64_t, std::vector<Value>) { --alive; }, {});
  EXPECT_EQ(alive, 0);
  EXPECT_LE(most, 2);
}

TEST(Job, a_failing_request_stops_the_job_after_a_prefix) {
  const std::vector<JobInput> inputs = {{counting(100, 1), true}};
  JobOptions options;
  options.in_flight = 3;
  Collected collected;
  try {
    run_job(
        [](std::span<const Value> request) {
          if (request[0].tensor.data<float>()[0] == 7) throw Error(ErrorKind::input, "seven");
          return twice(request);
        },
        inputs, options, collected.sink(), {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    EXPECT_THAT(error.what(), HasSubstr("rows 7 to 7: seven"));
  }
  ASSERT_LE(collected.values.size(), 7u);
  for (std::size_t i = 0; i < collected.values.size(); ++i) EXPECT_EQ(collected.values[i], 2.0f * float(i));
}

TEST(Job, a_failing_sink_stops_the_job) {
  const std::vector<JobInput> inputs = {{counting(100, 1), true}};
  std::atomic<int> requests{0};
  EXPECT_THROW(
      run_job(
          [&](std::span<const Value> request) {
            ++requests;
            return twice(request);
          },
          inputs, {},
          [](std::int64_t, std::int64_t, std::vector<Value>) { throw Error(ErrorKind::input, "disk full"); }, {}),
      Error);
  EXPECT_LT(requests, 10);
}

TEST(Job, cancelling_ends_the_job_as_interrupted) {
  const std::vector<JobInput> inputs = {{counting(1000, 1), true}};
  std::atomic<bool> cancelled{false};
  JobOptions options;
  options.cancelled = &cancelled;
  try {
    run_job(twice, inputs, options, [&](std::int64_t, std::int64_t, std::vector<Value>) { cancelled = true; }, {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::interrupted);
  }
}

TEST(Job, split_inputs_of_different_length_are_refused) {
  const std::vector<JobInput> inputs = {{counting(4, 1), true}, {counting(5, 1), true}};
  EXPECT_THROW(run_job(twice, inputs, {}, [](std::int64_t, std::int64_t, std::vector<Value>) {}, {}), Error);
}

TEST(Job, an_input_without_rows_calls_nothing) {
  const std::vector<JobInput> inputs = {{counting(0, 3), true}};
  Collected collected;
  run_job(twice, inputs, {}, collected.sink(), {});
  EXPECT_TRUE(collected.parts.empty());
}

TEST(Job, strings_are_split_and_padded) {
  Tensor words = Tensor::of<std::string>({3}, {"a", "b", "c"});
  const std::vector<JobInput> inputs = {{words, true}};
  JobOptions options;
  options.micro_batch = 2;
  options.pad_last = true;
  std::vector<std::string> seen;
  run_job([](std::span<const Value> request) { return std::vector<Value>{request[0].tensor.clone()}; }, inputs, options,
          [&](std::int64_t, std::int64_t, std::vector<Value> outputs) {
            for (const auto& word : outputs[0].tensor.data<std::string>()) seen.push_back(word);
          },
          {});
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "b", "c"}));
}

}  // namespace
}  // namespace sparse_run
