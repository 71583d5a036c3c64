// The transport: one thread that owns a link, moves requests to it, watches the peers, and completes operations.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/clock.hpp"
#include "comm/contract/transport.hpp"
#include "comm/doorbell.hpp"
#include "comm/link.hpp"
#include "comm/request_queue.hpp"

namespace sparse_run::comm {

struct ProgressOptions {
  double deadline_s = 30;          ///< the longest silence of a peer, abort included
  double longest_pause_us = 2000;  ///< between two looks at an idle link
  /// The least time that opening the link may take: a launcher and names that nobody resolves are slow before any peer
  /// can be called silent.
  double opening_s = 20;
  /// What keeps a peer from coming, empty for nothing: asked now and then while the link opens. When that lasts for the
  /// deadline, opening ends early.
  std::function<std::string()> obstacle = {};
  double patience_s = 2e-3;  ///< how long help() looks at a link on which nothing moves
};

/// Pauses between looks at the link grow with the time since something moved, while this process computes more steeply;
/// a posted request ends a pause, and while somebody waits (hurry) they are short. Heartbeats tell peers how many
/// messages each channel carried: a receive whose message was sent but does not come expires, though its peer lives. A
/// thread that waits may take the link over for that time (help): then it makes the calls, one thread at a time as
/// ever, and the progress thread only looks after heartbeats.
class Progress final : public Transport {
 public:
  /// Opens the link on the new thread. Error(comm) when that fails or takes longer than it may; the thread is
  /// then left behind, because a link that hangs cannot be closed, and the process should end.
  Progress(std::unique_ptr<Link> link, const ProgressOptions& options);
  /// Ends the thread. Without a failure the link is closed in order: every rank must be on its way here, and
  /// one that does not come within the deadline is left.
  ~Progress() override;

  int rank() const noexcept override { return rank_; }
  int size() const noexcept override { return size_; }
  OperationId post_send(Address to, std::span<const std::byte> bytes, Completion completion, double seconds) override;
  OperationId post_receive(Address from, std::span<std::byte> bytes, Completion completion, double seconds,
                           Length length = Length::exact) override;
  void cancel(OperationId id) override;
  void send_message(int peer, int topic, std::vector<std::byte> body) override;
  void on_message(std::function<void(Message)> handler) override;
  void abort(const Failure& failure) override;
  std::optional<Failure> failure() const override;
  void on_failure(std::function<void(const Failure&)> handler) override;
  void hurry(int change) noexcept override;
  bool help(const std::function<bool()>& done) override;
  void expect_help(int change) noexcept override;
  void computing(int change) noexcept override;
  std::vector<double> silence() const override;
  void ping() override;
  std::int64_t clock_offset_ns() const override;
  Traffic traffic() const override;
  bool closed_in_order() const noexcept { return closed_in_order_; }

 private:
  struct Request;
  struct Shared;  // what the thread and the object share; outlives an object whose thread hangs
  class Loop;

  static void run_loop(std::shared_ptr<Shared> shared);  ///< the thread's work, from opening the link to its end
  OperationId post(Request request);

  std::shared_ptr<Shared> shared_;
  std::thread thread_;
  double deadline_s_ = 30;
  int rank_ = 0;
  int size_ = 1;
  bool closed_in_order_ = true;
};

}  // namespace sparse_run::comm
