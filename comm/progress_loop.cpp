// The loop of the progress thread.
#include "base/thread_precedence.hpp"
#include "comm/message_bytes.hpp"
#include "comm/progress_state.hpp"

#include <sys/prctl.h>

#include <algorithm>
#include <cstring>
#include <map>

namespace sparse_run::comm {

namespace {

// Topics of the transport's own messages; those of its user are not negative.
constexpr int kHeartbeat = -1;
constexpr int kAbort = -2;
constexpr int kPing = -3;

/// A peer is lost after this share of the deadline: what is left is for telling the others and ending.
constexpr double kSilentShare = 0.75;
constexpr double kHeartbeatsPerDeadline = 8;
constexpr double kAbortFlushSeconds = 0.1;
constexpr std::chrono::microseconds kFlushPause(50);
constexpr int kRoundsBeforePause = 8;
constexpr std::chrono::microseconds kBurstPause(20);
/// Pauses grow from `first` by `growth`: the latency they add stays a share of the time since something moved.
struct Pauses {
  double first_us = 10;
  double growth = 1.2;
};
constexpr Pauses kIdle{10, 1.2};
/// A look in the middle of a kernel costs it 50 to 100 µs in a virtual machine: the timer, two switches, cold caches.
constexpr Pauses kComputing{200, 2.0};
constexpr double kLongestWhileMovingUs = 1000;     // of bytes under way
constexpr double kLongestWhileExpectingUs = 2000;  // of receives that may begin at any time
constexpr double kLongestWhileComputingUs = 8000;
constexpr double kHurriedPauseUs = 20;               // long enough for the system to really let others run
constexpr std::int64_t kLongestHurryNs = 5'000'000;  // without an event; from then on the wait is a long one
/// Without a pause, however much there is to move: this thread goes before others, who may have the core to themselves
/// only while it sleeps.
constexpr std::int64_t kLongestBurstNs = 2'000'000;

}  // namespace

class Progress::Loop {
 public:
  explicit Loop(std::shared_ptr<Shared> shared)
      : shared_(std::move(shared)), link_(*shared_->link), options_(shared_->options) {}

  void run() noexcept {
    ::prctl(PR_SET_TIMERSLACK, 1000UL);
    take_precedence();
    try {
      link_.open();
    } catch (...) {
      shared_->opened.set_exception(std::current_exception());
      shared_->ended.set_value();
      return;
    }
    rank_ = link_.rank();
    peers_.resize(static_cast<std::size_t>(link_.size()));
    shared_->heard_ns.assign(peers_.size(), now_ns());
    {
      const std::lock_guard driver(shared_->driving);
      shared_->loop = this;
    }
    shared_->opened.set_value({rank_, link_.size()});
    work();
    const auto finished = [&] {
      const std::lock_guard driver(shared_->driving);
      drain();  // failed or closed: what is still posted ends at once
      return shared_->stop && shared_->queue.empty();
    };
    while (!finished()) shared_->doorbell.sleep(100'000, [&] { return busy() || shared_->stop; });
    {
      const std::lock_guard driver(shared_->driving);
      shared_->loop = nullptr;
    }
    shared_->ended.set_value();
  }

  /// One look at requests, link and peers, under `driving`. True when something moved. Errors of the link end the job.
  bool round() noexcept {
    try {
      bool active = drain();
      if (shared_->failed) return active;
      events_.clear();
      link_.poll(events_);
      active |= !events_.empty();
      handle(events_);
      if (!shared_->failed) watch(now_ns());
      return active;
    } catch (const std::exception& error) {
      fail({ErrorKind::comm, -1, fmt::format("rank {}'s link failed: {}", rank_, error.what())}, true);
      return true;
    }
  }

 private:
  struct Pending {
    Address address;
    Completion completion;
    std::size_t bytes = 0;
    std::int64_t posted_ns = 0;
    std::int64_t due_ns = 0;      // 0: never
    std::int64_t overdue_ns = 0;  // since when its message is known to be sent; 0: it is not
    std::uint64_t number = 0;     // of the receives of its channel
    bool is_send = false;
    Length length = Length::exact;
  };
  struct Channel {
    std::uint64_t sent = 0;             // completed sends to the peer
    std::uint64_t posted_receives = 0;  // from the peer
    std::uint64_t reported = 0;         // sends the peer says it completed
  };
  struct Peer {
    std::map<int, Channel> channels;
    std::int64_t their_time_ns = 0;  // of their last heartbeat, on their clock
    std::int64_t heard_ns = 0;       // and when it came, on ours
  };

  bool busy() const { return !shared_->queue.empty(); }

  void work() noexcept {
    double pause_us = kIdle.first_us;
    int quiet_rounds = 0;
    int seen_waits = 0;
    std::int64_t last_event_ns = now_ns();
    std::int64_t last_pause_ns = last_event_ns;
    bool stopping = false;  // has seen `stop`, which then ends no pause any more
    while (!shared_->failed) {
      const bool helped = shared_->helpers.load(std::memory_order_relaxed) > 0;
      const bool computing = helped || shared_->computing.load(std::memory_order_relaxed) > 0;
      bool active = false;
      double longest_us = 0;
      if (std::unique_lock driver(shared_->driving, std::try_to_lock); driver) {
        active = round();
        if (shared_->failed || close_when_done()) return;
        stopping = shared_->stop;
        longest_us = longest_pause_us(computing, helped);
      } else {  // somebody helps
        shared_->doorbell.sleep(static_cast<long>(kLongestWhileExpectingUs),
                                [&] { return shared_->stop && !stopping; });
        continue;
      }
      const std::int64_t now = now_ns();
      const bool hurried = shared_->hurry.load(std::memory_order_relaxed) > 0;
      const Pauses& pauses = computing ? kComputing : kIdle;
      if (active) {
        quiet_rounds = 0;
        pause_us = pauses.first_us;
        last_event_ns = now;
        if (!hurried && now - last_pause_ns < kLongestBurstNs) continue;
      }
      const int waits = shared_->waits.load(std::memory_order_relaxed);
      if (waits != seen_waits) last_event_ns = now;  // somebody has just begun to wait
      seen_waits = waits;
      // Even in a hurry there are pauses, the shortest ones: whoever waits on this core has to get it to go on.
      const bool hurry = hurried && now - last_event_ns < kLongestHurryNs;
      if (!active && !hurry && !computing && ++quiet_rounds < kRoundsBeforePause) continue;
      if (hurry) pause_us = kHurriedPauseUs;
      pause_us = std::min(pause_us, longest_us);
      if (active && !hurry) {
        std::this_thread::sleep_for(kBurstPause);  // requests do not end this one
      } else {
        shared_->doorbell.sleep(static_cast<long>(pause_us),
                                [&] { return (busy() && !helped) || (shared_->stop && !stopping); });
        pause_us *= pauses.growth;
      }
      last_pause_ns = now_ns();
    }
  }

  double longest_pause_us(bool computing, bool helped) const {
    if (helped) return kLongestWhileComputingUs;  // who helps looks itself
    if (!computing) return options_.longest_pause_us;
    if (link_.moving()) return kLongestWhileMovingUs;
    return pending_.empty() ? kLongestWhileComputingUs : kLongestWhileExpectingUs;
  }

  /// The orderly end, under `driving`.
  bool close_when_done() noexcept {
    if (!shared_->stop || !pending_.empty() || !link_.flushed() || busy()) return false;
    try {
      link_.close();
      shared_->failed = true;  // nothing more can be posted
    } catch (const std::exception& error) {
      fail({ErrorKind::comm, -1, fmt::format("rank {}'s link failed: {}", rank_, error.what())}, true);
    }
    return true;
  }

  bool drain() {
    return shared_->queue.drain([&](Request&& request) {
      if (request.kind == Request::Kind::abort) {
        fail(request.failure, true);
      } else if (shared_->failed) {
        if (request.completion) request.completion({Outcome::failed, failure_text(), 0});
      } else {
        issue(std::move(request));
      }
    });
  }

  void issue(Request&& request) {
    switch (request.kind) {
      case Request::Kind::send:
      case Request::Kind::receive: {
        Pending pending{request.address,
                        std::move(request.completion),
                        request.bytes.size(),
                        now_ns(),
                        0,
                        0,
                        0,
                        request.kind == Request::Kind::send,
                        request.length};
        if (request.seconds > 0) pending.due_ns = pending.posted_ns + static_cast<std::int64_t>(request.seconds * 1e9);
        if (!pending.is_send) pending.number = ++channel(request.address).posted_receives;
        pending_.emplace(request.id, std::move(pending));
        if (request.kind == Request::Kind::send) {
          link_.send(request.id, request.address, request.bytes);
        } else {
          link_.receive(request.id, request.address, request.bytes);
        }
        break;
      }
      case Request::Kind::cancel: {
        const auto found = pending_.find(request.id);
        if (found == pending_.end()) break;
        link_.cancel(request.id);
        finish(found, {Outcome::cancelled, "cancelled", 0});
        break;
      }
      case Request::Kind::message:
        shared_->sent_bytes += request.message.size();
        if (request.address.peer == rank_) {
          deliver(rank_, std::move(request.message));
        } else {
          link_.send_bytes(request.address.peer, std::move(request.message));
        }
        break;
      case Request::Kind::ping:
        for (int peer = 0; peer < link_.size(); ++peer) {
          if (peer != rank_) link_.send_bytes(peer, envelope(kPing));
        }
        break;
      case Request::Kind::abort:
        break;  // handled by drain()
    }
  }

  Channel& channel(const Address& address) {
    return peers_[static_cast<std::size_t>(address.peer)].channels[address.channel];
  }

  void finish(std::unordered_map<OperationId, Pending>::iterator position, const Result& result) {
    const Completion completion = std::move(position->second.completion);
    pending_.erase(position);
    completion(result);
  }

  void handle(LinkEvents& events) {
    const std::int64_t now = now_ns();
    for (const LinkEvents::Finished& finished : events.finished) {
      const auto found = pending_.find(finished.token);
      if (found == pending_.end()) continue;
      const Pending& pending = found->second;
      if (!finished.ok) {
        fail({ErrorKind::comm, pending.address.peer,
              fmt::format("rank {}: channel {} to rank {} failed: {}", rank_, pending.address.channel,
                          pending.address.peer, finished.what)},
             true);
        return;
      }
      const std::size_t bytes = pending.is_send ? pending.bytes : finished.bytes;
      if (bytes < pending.bytes && pending.length == Length::exact) {
        fail({ErrorKind::comm, pending.address.peer,
              fmt::format("rank {} sent {} bytes on channel {} where rank {} expected {}", pending.address.peer, bytes,
                          pending.address.channel, rank_, pending.bytes)},
             true);
        return;
      }
      if (pending.is_send) {
        ++channel(pending.address).sent;
        shared_->sent_bytes += pending.bytes;
        ++shared_->sent_operations;
      } else {
        hear(pending.address.peer, now);
        shared_->received_bytes += bytes;
        ++shared_->received_operations;
      }
      finish(found, {Outcome::done, {}, bytes});
    }
    for (LinkEvents::Arrived& arrived : events.arrived) {
      hear(arrived.from, now);
      shared_->received_bytes += arrived.bytes.size();
      deliver(arrived.from, std::move(arrived.bytes));
      if (shared_->failed) return;
    }
  }

  void hear(int peer, std::int64_t now) {
    const std::lock_guard lock(shared_->mutex);
    shared_->heard_ns[static_cast<std::size_t>(peer)] = now;
  }

  void deliver(int from, std::vector<std::byte> bytes) {
    std::span<const std::byte> rest(bytes);
    int topic = 0;
    if (!take(rest, topic))
      return fail({ErrorKind::comm, from, fmt::format("rank {} sent a broken message", from)}, true);
    if (topic == kHeartbeat) return heartbeat_came(from, rest);
    if (topic == kAbort) return abort_came(from, rest);
    if (topic == kPing) return send_heartbeat(from, now_ns());
    Message message{from, topic, {rest.begin(), rest.end()}};
    std::function<void(Message)> handler;
    {
      const std::lock_guard lock(shared_->mutex);
      if (!shared_->on_message) {
        shared_->undelivered.push_back(std::move(message));
        return;
      }
      handler = shared_->on_message;
    }
    handler(std::move(message));
  }

  void send_heartbeat(int to, std::int64_t now) {
    const Peer& peer = peers_[static_cast<std::size_t>(to)];
    std::vector<std::byte> bytes = envelope(kHeartbeat);
    put(bytes, now);
    put(bytes, peer.their_time_ns);  // an echo, for clocks
    put(bytes, peer.heard_ns);
    for (const auto& [number, counts] : peer.channels) {
      put(bytes, std::int64_t{number});
      put(bytes, counts.sent);
    }
    link_.send_bytes(to, std::move(bytes));
  }

  void heartbeat_came(int from, std::span<const std::byte> body) {
    const std::int64_t now = now_ns();
    Peer& peer = peers_[static_cast<std::size_t>(from)];
    std::int64_t sent = 0, echo = 0, echo_heard = 0;
    if (!take(body, sent) || !take(body, echo) || !take(body, echo_heard)) return;
    peer.their_time_ns = sent;
    peer.heard_ns = now;
    if (from == 0 && echo != 0) {
      // Four times of one round trip; the shortest trip tells best.
      const std::int64_t trip = (now - echo) - (sent - echo_heard);
      if (trip >= 0 && trip < shortest_trip_ns_) {
        shortest_trip_ns_ = trip;
        shared_->clock_offset_ns = ((echo_heard - echo) + (sent - now)) / 2;
      }
    }
    std::int64_t number = 0;
    std::uint64_t count = 0;
    while (take(body, number) && take(body, count)) peer.channels[static_cast<int>(number)].reported = count;
  }

  void abort_came(int from, std::span<const std::byte> body) {
    Failure failure;
    int kind = 0;
    if (!take(body, kind) || !take(body, failure.rank)) return;
    failure.kind = static_cast<ErrorKind>(std::clamp(kind, 0, static_cast<int>(ErrorKind::interrupted)));
    failure.text.assign(reinterpret_cast<const char*>(body.data()), body.size());
    fail(failure, false);
    static_cast<void>(from);
  }

  void watch(std::int64_t now) {
    if (now < next_watch_ns_) return;
    const double interval_s = std::min(options_.deadline_s / kHeartbeatsPerDeadline, 2.0);
    const auto interval = static_cast<std::int64_t>(interval_s * 1e9);
    const auto limit = static_cast<std::int64_t>(options_.deadline_s * kSilentShare * 1e9);
    next_watch_ns_ = now + interval / 4;
    if (now >= next_heartbeat_ns_) {
      next_heartbeat_ns_ = now + interval;
      for (int peer = 0; peer < link_.size(); ++peer) {
        if (peer != rank_) send_heartbeat(peer, now);
      }
    }
    // A process that was itself stopped for a while must not blame the others for it.
    if (last_watch_ns_ != 0 && now - last_watch_ns_ > interval * 2) {
      const std::lock_guard lock(shared_->mutex);
      std::fill(shared_->heard_ns.begin(), shared_->heard_ns.end(), now);
    }
    last_watch_ns_ = now;
    for (int peer = 0; peer < link_.size(); ++peer) {
      if (peer == rank_) continue;
      std::int64_t silent = 0;
      {
        const std::lock_guard lock(shared_->mutex);
        silent = now - shared_->heard_ns[static_cast<std::size_t>(peer)];
      }
      if (silent > limit) {
        return fail({ErrorKind::comm, peer,
                     fmt::format("rank {} has been silent for {:.1f} s, which is too long for --deadline {}", peer,
                                 static_cast<double>(silent) / 1e9, options_.deadline_s)},
                    true);
      }
    }
    expire(now, limit);
  }

  void expire(std::int64_t now, std::int64_t limit) {
    std::vector<OperationId> over;
    for (auto& [id, pending] : pending_) {
      if (!pending.is_send) {
        const bool sent = channel(pending.address).reported >= pending.number;
        if (!sent) {
          pending.overdue_ns = 0;
        } else if (pending.overdue_ns == 0) {
          pending.overdue_ns = now;
        } else if (now - pending.overdue_ns > limit) {
          return fail({ErrorKind::comm, pending.address.peer,
                       fmt::format("message {} of rank {} on channel {} to rank {} was sent and is lost",
                                   pending.number - 1, pending.address.peer, pending.address.channel, rank_)},
                      true);
        }
      }
      if (pending.due_ns != 0 && now > pending.due_ns) over.push_back(id);
    }
    for (const OperationId id : over) {
      const auto found = pending_.find(id);
      if (found == pending_.end()) continue;
      link_.cancel(id);
      const Address address = found->second.address;
      finish(found, {Outcome::expired,
                     fmt::format("channel {} with rank {} did not move in the time it was given", address.channel,
                                 address.peer),
                     0});
    }
  }

  std::string failure_text() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->failure ? shared_->failure->text : "the transport is closed";
  }

  /// Tells the others first: until then no memory of pending operations is given back, for the link may still write.
  void fail(const Failure& failure, bool tell) noexcept {
    std::function<void(const Failure&)> handler;
    {
      const std::lock_guard lock(shared_->mutex);
      if (shared_->failure) return;
      shared_->failure = failure;
      handler = shared_->on_failure;
    }
    if (tell) {
      try {
        std::vector<std::byte> bytes = envelope(kAbort);
        put(bytes, static_cast<int>(failure.kind));
        put(bytes, failure.rank);
        const auto text = std::as_bytes(std::span(failure.text));
        bytes.insert(bytes.end(), text.begin(), text.end());
        for (int peer = 0; peer < link_.size(); ++peer) {
          if (peer != rank_) link_.send_bytes(peer, bytes);
        }
        const auto start = Clock::now();
        LinkEvents ignored;
        while (!link_.flushed() && seconds_since(start) < kAbortFlushSeconds) {
          ignored.clear();
          link_.poll(ignored);
          std::this_thread::sleep_for(kFlushPause);
        }
      } catch (const std::exception&) {
        // The link is beyond telling anybody; the others' own watch will find out.
      }
    }
    shared_->failed = true;
    auto pending = std::move(pending_);
    pending_.clear();
    for (auto& [id, operation] : pending) operation.completion({Outcome::failed, failure.text, 0});
    if (handler) handler(failure);
  }

  std::shared_ptr<Shared> shared_;
  Link& link_;
  const ProgressOptions options_;
  int rank_ = 0;
  std::unordered_map<OperationId, Pending> pending_;
  std::vector<Peer> peers_;
  LinkEvents events_;
  std::int64_t next_watch_ns_ = 0;
  std::int64_t next_heartbeat_ns_ = 0;
  std::int64_t last_watch_ns_ = 0;
  std::int64_t shortest_trip_ns_ = INT64_MAX;
};

void Progress::run_loop(std::shared_ptr<Shared> shared) { Loop(std::move(shared)).run(); }

bool Progress::help(const std::function<bool()>& done) {
  const std::lock_guard driver(shared_->driving);
  const auto patience = static_cast<std::int64_t>(shared_->options.patience_s * 1e9);
  std::int64_t last_event_ns = now_ns();
  do {
    if (shared_->loop == nullptr || shared_->failed) break;
    // No yielding in between: on a machine with other work that gives the core away for milliseconds.
    if (shared_->loop->round()) last_event_ns = now_ns();
  } while (!done() && now_ns() - last_event_ns < patience);
  return done();
}

}  // namespace sparse_run::comm
