// The transport over loopback links: order, failure, liveness, idleness.
#include "comm/progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <time.h>
#include <atomic>

#include <condition_variable>
#include <cstring>
#include <random>

#include "comm/faults.hpp"
#include "comm/loopback.hpp"

namespace sparse_run::comm {
namespace {

using testing::HasSubstr;

/// Remembers how an operation ended and lets a test wait for it.
class Ending {
 public:
  Completion callback() {
    return [this](const Result& result) {
      const std::lock_guard lock(mutex_);
      result_ = result;
      changed_.notify_all();
    };
  }
  Result wait() {
    std::unique_lock lock(mutex_);
    const bool came = changed_.wait_for(lock, std::chrono::seconds(20), [&] { return result_.has_value(); });
    EXPECT_TRUE(came) << "the operation never ended";
    return result_.value_or(Result{Outcome::failed, "never"});
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Result> result_;
};

struct Ranks {
  explicit Ranks(int size, double deadline_s = 20, const Faults& faults = {}) : hub(size) {
    for (int rank = 0; rank < size; ++rank) {
      transports.push_back(std::make_unique<Progress>(with_faults(hub.link(rank), rank == 0 ? faults : Faults{}),
                                                      ProgressOptions{deadline_s, 500}));
    }
  }
  Progress& operator[](int rank) { return *transports[static_cast<std::size_t>(rank)]; }
  LoopbackHub hub;
  std::vector<std::unique_ptr<Progress>> transports;
};

std::span<const std::byte> bytes_of(const std::vector<int>& values) { return std::as_bytes(std::span(values)); }

TEST(Progress, a_receive_gets_what_was_sent_on_its_channel) {
  Ranks ranks(3);
  const std::vector<int> first{1, 2, 3}, second{4, 5, 6};
  std::vector<int> a(3), b(3);
  Ending sent_a, sent_b, got_a, got_b;
  ranks[2].post_receive({0, 7}, std::as_writable_bytes(std::span(b)), got_b.callback(), 0);
  ranks[2].post_receive({0, 5}, std::as_writable_bytes(std::span(a)), got_a.callback(), 0);
  ranks[0].post_send({2, 5}, bytes_of(first), sent_a.callback(), 0);
  ranks[0].post_send({2, 7}, bytes_of(second), sent_b.callback(), 0);
  for (Ending* ending : {&sent_a, &sent_b, &got_a, &got_b}) EXPECT_EQ(ending->wait().outcome, Outcome::done);
  EXPECT_EQ(a, first);
  EXPECT_EQ(b, second);
  EXPECT_EQ(ranks[0].traffic().sent_operations, 2u);
}

TEST(Progress, a_shorter_message_is_taken_where_at_most_so_many_bytes_are_expected) {
  Ranks ranks(2);
  const std::vector<int> sent{7, 8};
  std::vector<int> got(5, -1);
  Ending gone, come;
  ranks[1].post_receive({0, 3}, std::as_writable_bytes(std::span(got)), come.callback(), 0, Length::at_most);
  ranks[0].post_send({1, 3}, bytes_of(sent), gone.callback(), 0);
  EXPECT_EQ(gone.wait().bytes, 2 * sizeof(int));
  const Result result = come.wait();
  EXPECT_EQ(result.outcome, Outcome::done);
  EXPECT_EQ(result.bytes, 2 * sizeof(int));
  EXPECT_EQ(got, (std::vector<int>{7, 8, -1, -1, -1}));
  EXPECT_EQ(ranks[1].traffic().received_operations, 1u);
}

TEST(Progress, a_shorter_message_than_expected_ends_the_job) {
  Ranks ranks(2);
  const std::vector<int> sent{7, 8};
  std::vector<int> got(5);
  Ending gone, come;
  ranks[1].post_receive({0, 3}, std::as_writable_bytes(std::span(got)), come.callback(), 0);
  ranks[0].post_send({1, 3}, bytes_of(sent), gone.callback(), 0);
  EXPECT_EQ(come.wait().outcome, Outcome::failed);
  ASSERT_TRUE(ranks[1].failure().has_value());
  EXPECT_THAT(ranks[1].failure()->text, HasSubstr("rank 0 sent 8 bytes on channel 3 where rank 1 expected 20"));
}

TEST(Progress, messages_of_many_threads_arrive_in_order_per_thread) {
  Ranks ranks(2);
  constexpr int kThreads = 4, kEach = 500;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::vector<int>> seen(kThreads);
  int total = 0;
  ranks[1].on_message([&](Message message) {
    int number = 0;
    ASSERT_EQ(message.body.size(), sizeof number);
    std::memcpy(&number, message.body.data(), sizeof number);
    const std::lock_guard lock(mutex);
    seen[static_cast<std::size_t>(message.topic)].push_back(number);
    if (++total == kThreads * kEach) changed.notify_all();
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        std::vector<std::byte> body(sizeof i);
        std::memcpy(body.data(), &i, sizeof i);
        ranks[0].send_message(1, t, std::move(body));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), [&] { return total == kThreads * kEach; }));
  for (const auto& numbers : seen) {
    for (int i = 0; i < kEach; ++i) ASSERT_EQ(numbers[static_cast<std::size_t>(i)], i);
  }
}

TEST(Progress, random_traffic_matches_in_order_of_posting) {
  const unsigned seed = 20;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  Ranks ranks(3);
  constexpr int kMessages = 300;
  struct Transfer {
    std::vector<int> sent, received;
    Ending send_ending, receive_ending;
  };
  std::vector<std::unique_ptr<Transfer>> transfers;
  std::vector<std::function<void()>> sends, receives;
  for (int i = 0; i < kMessages; ++i) {
    auto transfer = std::make_unique<Transfer>();
    const int from = static_cast<int>(random() % 3), to = static_cast<int>(random() % 3);
    const int channel = from * 3 + to;  // sizes differ between channels only: matching in order shows in values
    transfer->sent.assign(static_cast<std::size_t>(channel), i);
    transfer->received.assign(static_cast<std::size_t>(channel), -1);
    Transfer* t = transfer.get();
    sends.push_back([&, t, from, to, channel] {
      ranks[from].post_send({to, channel}, bytes_of(t->sent), t->send_ending.callback(), 0);
    });
    receives.push_back([&, t, from, to, channel] {
      ranks[to].post_receive({from, channel}, std::as_writable_bytes(std::span(t->received)),
                             t->receive_ending.callback(), 0);
    });
    transfers.push_back(std::move(transfer));
  }
  std::thread sender([&] {
    for (auto& send : sends) send();
  });
  for (auto& receive : receives) receive();
  sender.join();
  for (const auto& transfer : transfers) {
    EXPECT_EQ(transfer->send_ending.wait().outcome, Outcome::done);
    EXPECT_EQ(transfer->receive_ending.wait().outcome, Outcome::done);
    EXPECT_EQ(transfer->received, transfer->sent);
  }
}

TEST(Progress, threads_that_wait_move_the_transport_themselves) {
  Ranks ranks(2);
  constexpr int kExchanges = 200;
  const auto exchange = [&](int rank) {
    Progress& own = ranks[rank];
    own.expect_help(1);
    for (int i = 0; i < kExchanges; ++i) {
      const std::vector<int> mine{rank, i};
      std::vector<int> theirs(2);
      std::atomic<int> open{2};
      const auto ended = [&](const Result& result) {
        EXPECT_EQ(result.outcome, Outcome::done);
        --open;
      };
      own.post_receive({1 - rank, 3}, std::as_writable_bytes(std::span(theirs)), ended, 0);
      own.post_send({1 - rank, 3}, bytes_of(mine), ended, 0);
      while (!own.help([&] { return open == 0; })) {
      }
      EXPECT_EQ(theirs, (std::vector<int>{1 - rank, i}));
    }
    own.expect_help(-1);
  };
  std::thread other(exchange, 1);
  exchange(0);
  other.join();
}

TEST(Progress, help_ends_when_nothing_moves_and_when_the_job_fails) {
  Ranks ranks(2);
  EXPECT_FALSE(ranks[0].help([] { return false; }));
  EXPECT_TRUE(ranks[0].help([] { return true; }));
  std::vector<int> never(1);
  Ending ended;
  ranks[0].post_receive({1, 1}, std::as_writable_bytes(std::span(never)), ended.callback(), 0);
  ranks[1].abort({ErrorKind::model, 1, "enough"});
  while (!ranks[0].failure()) ranks[0].help([&] { return false; });
  EXPECT_EQ(ended.wait().outcome, Outcome::failed);
  EXPECT_FALSE(ranks[0].help([] { return false; }));
}

TEST(Progress, what_comes_while_this_process_computes_is_found_all_the_same) {
  Ranks ranks(2);
  const Computing computing(ranks[0]);
  const std::vector<int> sent{7};
  std::vector<int> got(1);
  Ending ended, left;
  ranks[0].post_receive({1, 2}, std::as_writable_bytes(std::span(got)), ended.callback(), 0);
  ranks[1].post_send({0, 2}, bytes_of(sent), left.callback(), 0);
  EXPECT_EQ(ended.wait().outcome, Outcome::done);
  EXPECT_EQ(got, sent);
  EXPECT_EQ(left.wait().outcome, Outcome::done);
}

/// A link that does not open before its time.
class SlowLink final : public Link {
 public:
  explicit SlowLink(std::shared_ptr<std::atomic<bool>> end) : end_(std::move(end)) {}
  void open() override {
    while (!*end_) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    throw Error(ErrorKind::comm, "nobody came");
  }
  int rank() const noexcept override { return 0; }
  int size() const noexcept override { return 2; }
  void send(std::uint64_t, Address, std::span<const std::byte>) override {}
  void receive(std::uint64_t, Address, std::span<std::byte>) override {}
  void cancel(std::uint64_t) override {}
  void send_bytes(int, std::vector<std::byte>) override {}
  void poll(LinkEvents&) override {}
  bool flushed() const override { return true; }
  bool moving() const override { return false; }
  void close() override {}

 private:
  std::shared_ptr<std::atomic<bool>> end_;  // shared with the test, which the thread may outlive
};

/// A link that never gets rid of what it was given, and counts how often it is looked at.
class StuckLink final : public Link {
 public:
  explicit StuckLink(std::shared_ptr<std::atomic<int>> looks) : looks_(std::move(looks)) {}
  void open() override {}
  int rank() const noexcept override { return 0; }
  int size() const noexcept override { return 2; }
  void send(std::uint64_t, Address, std::span<const std::byte>) override {}
  void receive(std::uint64_t, Address, std::span<std::byte>) override {}
  void cancel(std::uint64_t) override {}
  void send_bytes(int, std::vector<std::byte>) override {}
  void poll(LinkEvents&) override { ++*looks_; }
  bool flushed() const override { return false; }
  bool moving() const override { return true; }
  void close() override {}

 private:
  std::shared_ptr<std::atomic<int>> looks_;  // shared with the test, which the thread outlives
};

TEST(Progress, a_peer_that_takes_nothing_is_not_waited_for_with_a_busy_core_at_the_end) {
  const auto looks = std::make_shared<std::atomic<int>>(0);
  ProgressOptions options;
  options.deadline_s = 0.5;
  {
    Progress transport(std::make_unique<StuckLink>(looks), options);
    transport.send_message(1, 0, {});
  }
  EXPECT_GT(looks->load(), 0);
  EXPECT_LT(looks->load(), 10'000);  // of a million and more without pauses
}

TEST(Progress, an_obstacle_that_lasts_ends_the_opening_and_is_named) {
  const auto end = std::make_shared<std::atomic<bool>>(false);
  ProgressOptions options;
  options.deadline_s = 0.5;
  options.opening_s = 600;
  options.obstacle = [] { return "rank 1 is stopped"; };
  try {
    Progress transport(std::make_unique<SlowLink>(end), options);
    ADD_FAILURE() << "it opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::comm);
    EXPECT_THAT(error.what(), HasSubstr("rank 1 is stopped"));
  }
  *end = true;
}

TEST(Progress, looking_for_obstacles_may_fail) {
  const auto end = std::make_shared<std::atomic<bool>>(false);
  ProgressOptions options;
  options.deadline_s = 0.3;
  options.opening_s = 0.5;
  options.obstacle = []() -> std::string { throw std::runtime_error("cannot look"); };
  EXPECT_THROW(Progress(std::make_unique<SlowLink>(end), options), Error);
  *end = true;
}

TEST(Progress, a_cancelled_receive_ends_and_later_ones_still_match) {
  Ranks ranks(2);
  std::vector<int> unwanted(1), wanted(1);
  Ending cancelled, got, sent;
  const OperationId id =
      ranks[1].post_receive({0, 1}, std::as_writable_bytes(std::span(unwanted)), cancelled.callback(), 0);
  ranks[1].cancel(id);
  EXPECT_EQ(cancelled.wait().outcome, Outcome::cancelled);
  ranks[1].post_receive({0, 1}, std::as_writable_bytes(std::span(wanted)), got.callback(), 0);
  const std::vector<int> value{42};
  ranks[0].post_send({1, 1}, bytes_of(value), sent.callback(), 0);
  EXPECT_EQ(got.wait().outcome, Outcome::done);
  EXPECT_EQ(sent.wait().outcome, Outcome::done);
  EXPECT_EQ(wanted, value);
}

TEST(Progress, an_operation_that_gets_no_partner_expires) {
  Ranks ranks(2);
  std::vector<int> buffer(4);
  Ending ending;
  ranks[1].post_receive({0, 3}, std::as_writable_bytes(std::span(buffer)), ending.callback(), 0.2);
  const Result result = ending.wait();
  EXPECT_EQ(result.outcome, Outcome::expired);
  EXPECT_THAT(result.what, HasSubstr("channel 3"));
  EXPECT_FALSE(ranks[1].failure().has_value());
}

TEST(Progress, a_silent_rank_is_named_by_every_other) {
  Ranks ranks(3, 1.0);
  std::vector<int> buffer(1);
  Ending waiting_for_2, waiting_for_0;
  ranks[1].post_receive({2, 0}, std::as_writable_bytes(std::span(buffer)), waiting_for_2.callback(), 0);
  ranks.hub.silence(2);
  const Result result = waiting_for_2.wait();
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_THAT(result.what, HasSubstr("rank 2"));
  ranks[0].post_receive({1, 0}, std::as_writable_bytes(std::span(buffer)), waiting_for_0.callback(), 0);
  EXPECT_EQ(waiting_for_0.wait().outcome, Outcome::failed);
  ASSERT_TRUE(ranks[0].failure().has_value());
  EXPECT_EQ(ranks[0].failure()->rank, 2);
  EXPECT_EQ(ranks[0].failure()->kind, ErrorKind::comm);
}

TEST(Progress, a_live_peer_that_sends_nothing_is_not_lost) {
  Ranks ranks(2, 0.4);
  std::vector<int> buffer(1);
  Ending ending, sent;
  ranks[1].post_receive({0, 0}, std::as_writable_bytes(std::span(buffer)), ending.callback(), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  EXPECT_FALSE(ranks[1].failure().has_value());
  const std::vector<int> value{9};
  ranks[0].post_send({1, 0}, bytes_of(value), sent.callback(), 0);
  EXPECT_EQ(ending.wait().outcome, Outcome::done);
}

TEST(Progress, a_lost_message_is_found_though_its_sender_lives) {
  Faults faults;
  faults.lose = 1;
  Ranks ranks(2, 0.8, faults);
  std::vector<int> buffer(2);
  const std::vector<int> value{5, 6};
  Ending first_sent, second_sent, first_got, second_got;
  ranks[1].post_receive({0, 4}, std::as_writable_bytes(std::span(buffer).first(1)), first_got.callback(), 0);
  ranks[1].post_receive({0, 4}, std::as_writable_bytes(std::span(buffer).last(1)), second_got.callback(), 0);
  ranks[0].post_send({1, 4}, std::as_bytes(std::span(value).first(1)), first_sent.callback(), 0);
  ranks[0].post_send({1, 4}, std::as_bytes(std::span(value).last(1)), second_sent.callback(), 0);
  EXPECT_EQ(first_got.wait().outcome, Outcome::done);
  const Result lost = second_got.wait();
  EXPECT_EQ(lost.outcome, Outcome::failed);
  EXPECT_THAT(lost.what, HasSubstr("message 1 of rank 0 on channel 4"));
}

TEST(Progress, a_failing_send_brings_the_job_down_and_names_channel_and_peer) {
  Faults faults;
  faults.fail = 0;
  Ranks ranks(2, 20, faults);
  const std::vector<int> value{1};
  Ending ending;
  ranks[0].post_send({1, 11}, bytes_of(value), ending.callback(), 0);
  const Result result = ending.wait();
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_THAT(result.what, HasSubstr("channel 11 to rank 1"));
}

TEST(Progress, abort_reaches_every_rank_with_its_kind_and_text) {
  Ranks ranks(3);
  std::vector<int> buffer(1);
  Ending ending;
  ranks[2].post_receive({1, 0}, std::as_writable_bytes(std::span(buffer)), ending.callback(), 0);
  ranks[0].abort({ErrorKind::limit, 0, "memory is exhausted"});
  EXPECT_EQ(ending.wait().what, "memory is exhausted");
  EXPECT_EQ(ranks[2].failure()->kind, ErrorKind::limit);
  Ending late;
  ranks[2].post_send({1, 0}, bytes_of(buffer), late.callback(), 0);
  EXPECT_EQ(late.wait().outcome, Outcome::failed);
}

TEST(Progress, delay_holds_sends_back_and_keeps_their_order) {
  Faults faults;
  faults.delay_s = 0.05;
  Ranks ranks(2, 20, faults);
  std::vector<int> got(20);
  std::vector<int> values(20);
  std::vector<Ending> endings(40);
  const auto start = Clock::now();
  for (std::size_t i = 0; i < 20; ++i) {
    values[i] = static_cast<int>(i);
    ranks[1].post_receive({0, 0}, std::as_writable_bytes(std::span(got).subspan(i, 1)), endings[2 * i].callback(), 0);
    ranks[0].post_send({1, 0}, std::as_bytes(std::span(values).subspan(i, 1)), endings[2 * i + 1].callback(), 0);
  }
  for (Ending& ending : endings) EXPECT_EQ(ending.wait().outcome, Outcome::done);
  EXPECT_GE(seconds_since(start), 0.05);
  EXPECT_EQ(got, values);
}

TEST(Faults, are_read_and_nonsense_is_refused) {
  const Faults faults = parse_faults("delay=1ms,lose=17,silent=2s");
  EXPECT_DOUBLE_EQ(faults.delay_s, 1e-3);
  EXPECT_EQ(faults.lose, 17u);
  EXPECT_DOUBLE_EQ(faults.silent_after_s.value(), 2);
  EXPECT_FALSE(faults.fail.has_value());
  EXPECT_FALSE(parse_faults("").any());
  for (const char* bad : {"delay", "delay=", "delay=-1ms", "delay=1h", "lose=x", "explode=1", "fail=-3"}) {
    EXPECT_THROW(parse_faults(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace sparse_run::comm
