// The table of ranks says what each did and what of its transfers was hidden.
#include "cli/rank_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "comm/loopback.hpp"
#include "comm/progress.hpp"

namespace sparse_run::cli {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

TEST(RankTable, reports_are_gathered_as_they_were) {
  comm::LoopbackHub hub(1);
  comm::Progress transport(hub.link(0), {});
  Cluster cluster(transport);
  RankReport own;
  own.requests = 12;
  own.busy_s = 1.5;
  own.hidden_s = 0.25;
  own.received_bytes = 77;
  const auto all = gather_rank_reports(cluster, own);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].requests, 12);
  EXPECT_EQ(all[0].busy_s, 1.5);
  EXPECT_EQ(all[0].hidden_s, 0.25);
  EXPECT_EQ(all[0].received_bytes, 77u);
}

TEST(RankTable, shares_are_of_each_rank_and_of_all) {
  RankReport first;
  first.requests = 10;
  first.busy_s = 3;
  first.waiting_s = 1;
  first.transfer_s = 2;
  first.hidden_s = 1.5;
  RankReport second = first;
  second.waiting_s = 0;
  second.hidden_s = 0.5;
  const std::string text = rank_table({first, second});
  EXPECT_THAT(text, ContainsRegex("0 +10 .* 25\\.0% .* 75%"));
  EXPECT_THAT(text, ContainsRegex("1 +10 .* 0\\.0% .* 25%"));
  EXPECT_THAT(text, ContainsRegex("all +20 .* 14\\.3% .* 50%"));
}

TEST(RankTable, packed_messages_show_their_bytes_before_and_after) {
  RankReport first, second;
  EXPECT_THAT(rank_table({first, second}), Not(HasSubstr("packed")));
  first.plain_bytes = 4 << 20;
  first.packed_bytes = 1 << 20;
  const std::string text = rank_table({first, second});
  EXPECT_THAT(text, HasSubstr("packed"));
  EXPECT_THAT(text, ContainsRegex("0 .*4[.0]* MiB to 1[.0]* MiB"));
  EXPECT_THAT(text, ContainsRegex("all .*4[.0]* MiB to 1[.0]* MiB"));
}

TEST(RankTable, where_hidden_time_is_not_known_waiting_bounds_it) {
  RankReport report;
  report.busy_s = 3;
  report.waiting_s = 0.5;
  report.transfer_s = 2;
  EXPECT_THAT(rank_table({report}), ContainsRegex(" 75%"));
  report.waiting_s = 5;
  EXPECT_THAT(rank_table({report}), ContainsRegex(" 0%"));
}

}  // namespace
}  // namespace sparse_run::cli
