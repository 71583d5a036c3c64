// Events are reached once, wake those who wait, and carry failures.
#include "device/event.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

namespace sparse_run {
namespace {

TEST(Event, callbacks_run_when_it_is_reached) {
  Event event;
  int calls = 0;
  event.then([&](const std::exception_ptr& error) { calls += error ? 100 : 1; });
  EXPECT_FALSE(event.ready());
  EXPECT_EQ(calls, 0);
  event.complete(3, 7);
  EXPECT_TRUE(event.ready());
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(event.begin_ns(), 3);
  EXPECT_EQ(event.end_ns(), 7);
}

TEST(Event, a_callback_on_a_reached_event_runs_at_once) {
  Event event;
  event.complete(0, 0);
  bool called = false;
  event.then([&](const std::exception_ptr& error) { called = error == nullptr; });
  EXPECT_TRUE(called);
}

TEST(Event, failures_reach_waiters_and_callbacks) {
  Event event;
  bool failed = false;
  event.then([&](const std::exception_ptr& error) { failed = error != nullptr; });
  event.complete(0, 0, std::make_exception_ptr(std::runtime_error("broken")));
  EXPECT_TRUE(failed);
  EXPECT_THROW(event.wait(), std::runtime_error);
  EXPECT_NE(event.outcome(), nullptr);
}

TEST(Event, waiting_threads_wake) {
  Event event;
  std::thread waiter([&] { event.wait(); });
  event.complete(1, 2);
  waiter.join();
  EXPECT_EQ(event.outcome(), nullptr);
}

}  // namespace
}  // namespace sparse_run
