// The ranks of a job as one body: they speak in turn, agree on how a phase went, and fail together.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "comm/contract/transport.hpp"

namespace sparse_run {

/// What messages of a job are about.
enum class Topic : int { broadcast, gather, work, result, round };

/// How a phase or request went wrong on a rank.
struct Trouble {
  ErrorKind kind = ErrorKind::internal;
  std::string text;
};
/// The trouble behind the exception that is being handled.
Trouble trouble_of_current_exception();
/// Whether a trouble of this kind on one rank alone says more about that rank than about what was asked of it: memory,
/// devices, our own bugs. The others then end with ErrorKind::comm and name it.
bool is_a_rank_s_own(ErrorKind kind) noexcept;

/// Rank 0 leads. The collective calls (broadcast, gather, agree) are made by all ranks in the same order, from one
/// thread each; send and wait from any. A call that cannot succeed any more throws what brought the job down.
class Cluster {
 public:
  /// `transport` must outlive the cluster, which takes its messages. `on_failure` is called once, on the transport's
  /// thread, after everybody who waits was woken.
  explicit Cluster(comm::Transport& transport, std::function<void(const comm::Failure&)> on_failure = nullptr);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  int rank() const noexcept { return transport_.rank(); }
  int size() const noexcept { return transport_.size(); }
  bool leads() const noexcept { return rank() == 0; }
  comm::Transport& transport() noexcept { return transport_; }

  void send(int to, Topic topic, std::vector<std::byte> body);
  /// The next message on a topic, whoever sent it.
  comm::Message wait(Topic topic);
  /// The same, if there is one by now.
  std::optional<comm::Message> poll(Topic topic);
  /// Called on the transport's thread after a message on `topic` was queued; empty to stop. Must not block.
  void notify(Topic topic, std::function<void()> listener);

  /// Rank 0's bytes, everywhere.
  std::vector<std::byte> broadcast(std::vector<std::byte> bytes);
  /// Every rank's bytes, at rank 0 in order of ranks; empty elsewhere.
  std::vector<std::vector<std::byte>> gather(std::vector<std::byte> bytes);
  /// The end of a phase: throws everywhere when it went wrong anywhere. All ranks in the same trouble, or one whose
  /// cause is in what was asked for (model, input, usage …): that error, the rank named. Otherwise ErrorKind::comm.
  void agree(std::string_view phase, const std::optional<Trouble>& own);
  /// Runs `body` as a phase and agrees on how it went; a throw of `body` becomes the phase's.
  template <class Body>
  void phase(std::string_view name, Body&& body) {
    doing(std::string(name));
    std::optional<Trouble> trouble;
    try {
      body();
    } catch (...) {
      if (transport_.failure()) throw;
      trouble = trouble_of_current_exception();
    }
    agree(name, trouble);
  }

  /// Whether agree() has thrown: then every rank knows and ends by itself.
  bool agreed_to_fail() const noexcept { return agreed_to_fail_; }

  /// What this rank is at, for the report when the job fails.
  void doing(std::string what);
  std::string doing() const;
  void check_failure() const;

 private:
  comm::Transport& transport_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int, std::deque<comm::Message>> inbox_;
  std::map<int, std::function<void()>> listeners_;
  std::string doing_;
  bool failed_ = false;
  bool agreed_to_fail_ = false;
};

/// After an error on this rank while others wait for what it will not do: brings the job down, unless it is down.
void abort_with_current_exception(Cluster& cluster);

}  // namespace sparse_run
