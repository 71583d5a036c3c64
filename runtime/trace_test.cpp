// The trace format and its tracks.
#include "runtime/trace.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/clock.hpp"

namespace sparse_run {
namespace {

nlohmann::json written(const Trace& trace) {
  std::ostringstream out;
  trace.write(out);
  return nlohmann::json::parse(out.str());
}

std::vector<nlohmann::json> complete_events(const nlohmann::json& trace) {
  std::vector<nlohmann::json> events;
  for (const auto& event : trace.at("traceEvents")) {
    if (event.at("ph") == "X") events.push_back(event);
  }
  return events;
}

TEST(Trace, empty_trace_is_valid_json) { EXPECT_TRUE(complete_events(written(Trace())).empty()); }

TEST(Trace, events_keep_names_durations_and_details) {
  Trace trace;
  const std::int64_t start = now_ns();
  trace.add({"conv \"1\"\n", "layer", start, start + 2'500'000, "cpu.conv"});
  trace.add({"no detail", "request", start, start, ""});
  const auto events = complete_events(written(trace));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].at("name"), "conv \"1\"\n");
  EXPECT_EQ(events[0].at("cat"), "layer");
  EXPECT_DOUBLE_EQ(events[0].at("dur"), 2500.0);
  EXPECT_GE(events[0].at("ts").get<double>(), 0.0);
  EXPECT_EQ(events[0].at("args").at("detail"), "cpu.conv");
  EXPECT_FALSE(events[1].contains("args"));
}

TEST(Trace, threads_get_tracks_of_their_own) {
  Trace trace;
  trace.add({"main", "request", 0, 1, ""});
  std::thread([&] { trace.add({"other", "request", 0, 1, ""}); }).join();
  trace.add({"main again", "request", 0, 1, ""});
  const auto events = complete_events(written(trace));
  ASSERT_EQ(events.size(), 3u);
  EXPECT_NE(events[0].at("tid"), events[1].at("tid"));
  EXPECT_EQ(events[0].at("tid"), events[2].at("tid"));
}

TEST(Trace, names_that_are_not_utf8_still_give_valid_json) {
  Trace trace;
  trace.add({"\xff\xfe", "layer", 0, 1, "\xc3"});
  EXPECT_EQ(complete_events(written(trace)).size(), 1u);
}

}  // namespace
}  // namespace sparse_run
