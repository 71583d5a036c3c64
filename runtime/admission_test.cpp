// Requests share a device's memory and wait for each other; what can never fit is refused.
#include "runtime/admission.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "base/error.hpp"

namespace sparse_run {
namespace {

using Bytes = std::vector<std::size_t>;

ErrorKind kind_of(const auto& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::internal;
}

TEST(Admission, what_is_held_is_given_back) {
  Admission admission({{"gpu", 100}});
  const Bytes request{40};
  for (int i = 0; i < 3; ++i) {
    const auto held = admission.hold({60}, request);
    EXPECT_EQ(kind_of([&] { admission.hold({1}, request); }), ErrorKind::limit);
  }
}

TEST(Admission, a_refusal_names_device_and_remedy) {
  Admission admission({{"cpu", 0}, {"gpu:0", 100}});
  const Bytes request{0, 50};
  try {
    admission.hold({0, 51}, request);
    FAIL() << "more than the limit was held";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("gpu:0"));
    EXPECT_THAT(error.what(), testing::HasSubstr("--memory-limit"));
  }
  EXPECT_NO_THROW(admission.hold({0, 50}, request));
}

TEST(Admission, devices_without_a_share_are_not_asked) {
  Admission admission({{"cpu", 0}, {"gpu:0", 100}});
  EXPECT_NO_THROW(admission.enter({0, 100}, nullptr));
}

TEST(Admission, a_request_waits_until_another_leaves) {
  Admission admission({{"gpu", 100}});
  std::optional<Admission::Grant> first(admission.enter({70}, nullptr));
  std::atomic<bool> entered{false};
  std::thread second([&] {
    const auto grant = admission.enter({70}, nullptr);
    entered = true;
  });
  const auto third = admission.enter({30}, nullptr);  // fits beside the first
  EXPECT_FALSE(entered);
  first.reset();
  second.join();
  EXPECT_TRUE(entered);
}

TEST(Admission, waiting_ends_when_the_run_is_cancelled) {
  Admission admission({{"gpu", 100}});
  const auto first = admission.enter({70}, nullptr);
  std::atomic<bool> cancelled{true};
  EXPECT_EQ(kind_of([&] { admission.enter({70}, &cancelled); }), ErrorKind::interrupted);
}

}  // namespace
}  // namespace sparse_run
