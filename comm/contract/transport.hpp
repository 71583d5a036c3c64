// The contract of a transport: bytes between ranks, posted without blocking and completed by a callback.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace sparse_run::comm {

/// The other end of an operation. Operations between two ranks on one channel match in the order they were posted;
/// channels are independent of each other. A plan's edge is a channel.
struct Address {
  int peer = 0;
  int channel = 0;  ///< 0 to 32000
};

enum class Outcome {
  done,
  cancelled,  ///< by cancel()
  expired,    ///< the time given to the operation is over, or its message is known to be lost
  failed,     ///< the peer is lost, the link failed, or a rank aborted the job
};

/// How an operation ended; `what` says why unless it is done.
struct Result {
  Outcome outcome = Outcome::done;
  std::string what;
  std::size_t bytes = 0;  ///< that were sent or received, when it is done
};

/// The most memory of a receive that does not know how long its message is: longer ones travel in several parts.
inline constexpr std::size_t kLongestUnknownLength = std::size_t{1} << 30;

/// How long a message may be that a receive takes. A longer one fails.
enum class Length {
  exact,    ///< as long as the memory; a shorter one fails
  at_most,  ///< Result::bytes tells
};

/// Called exactly once, on the transport's own thread or one that helps it: it must neither block nor throw.
using Completion = std::function<void(const Result&)>;

/// What brought the whole job down.
struct Failure {
  ErrorKind kind = ErrorKind::comm;
  int rank = -1;  ///< whose fault it is; -1 when nobody can tell
  std::string text;
};

/// A message of any length, outside all channels: plans, statuses, results whose size nobody knows beforehand.
struct Message {
  int from = 0;
  int topic = 0;
  std::vector<std::byte> body;
};

/// What went over a transport since it was opened.
struct Traffic {
  std::uint64_t sent_bytes = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_operations = 0;
  std::uint64_t received_operations = 0;
};

using OperationId = std::uint64_t;

/// Non-blocking and thread-safe unless said otherwise. Peers exchange heartbeats: one that stays silent for the
/// deadline of the transport is lost, and with it the job; one that is only busy is not.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual int rank() const noexcept = 0;
  virtual int size() const noexcept = 0;

  /// Posts a send. `bytes` stay valid and unchanged until `completion`. `seconds` (0: none) bounds the operation.
  virtual OperationId post_send(Address to, std::span<const std::byte> bytes, Completion completion,
                                double seconds = 0) = 0;
  /// Posts a receive of `bytes.size()` bytes; the memory belongs to the transport until `completion`.
  virtual OperationId post_receive(Address from, std::span<std::byte> bytes, Completion completion, double seconds = 0,
                                   Length length = Length::exact) = 0;
  /// Asks for an early end. The completion still comes, with `cancelled` unless something else was first.
  virtual void cancel(OperationId id) = 0;

  /// Sends a message (topics from 0 on); it is delivered unless the job fails. A rank may write to itself.
  virtual void send_message(int peer, int topic, std::vector<std::byte> body) = 0;
  /// Who gets messages, on the thread that moves the transport and in order per sender. Set it once, before the first
  /// arrives.
  virtual void on_message(std::function<void(Message)> handler) = 0;

  /// Brings the job down on every rank: all pending operations fail, here and there, with `failure`.
  virtual void abort(const Failure& failure) = 0;
  /// What brought the job down, if something did.
  virtual std::optional<Failure> failure() const = 0;
  /// Called once, on the thread that moves the transport, when the job fails. Set it before it can.
  virtual void on_failure(std::function<void(const Failure&)> handler) = 0;

  /// While positive, somebody waits with idle hands: completions are looked for without pauses.
  virtual void hurry(int change) noexcept = 0;
  /// Moves the transport on the calling thread, at least once, until `done()`, a failure, or until nothing has moved
  /// for a while (a few milliseconds, none where ranks share cores). Returns done(). Spares the two switches of threads
  /// that an exchange costs otherwise; completions of any operation may run here, so the caller holds no lock.
  virtual bool help(const std::function<bool()>& done) = 0;
  /// While positive, a thread calls help() after whatever is posted: that does not wake the transport's own thread.
  virtual void expect_help(int change) noexcept = 0;
  /// While positive, this process computes: every look at the link interrupts a kernel, so there are fewer.
  virtual void computing(int change) noexcept = 0;
  /// Seconds since each rank was last heard of; 0 for this rank.
  virtual std::vector<double> silence() const = 0;
  /// Asks every peer for a sign of life, which silence() shows when it comes.
  virtual void ping() = 0;
  /// Nanoseconds to add to this rank's clock to get rank 0's, as well as heartbeats can tell.
  virtual std::int64_t clock_offset_ns() const = 0;
  virtual Traffic traffic() const = 0;
};

/// While it lives, this thread computes.
class Computing {
 public:
  explicit Computing(Transport& transport) : transport_(transport) { transport_.computing(1); }
  ~Computing() { transport_.computing(-1); }
  Computing(const Computing&) = delete;
  Computing& operator=(const Computing&) = delete;

 private:
  Transport& transport_;
};

/// Throws the Error that a failed operation or job deserves.
[[noreturn]] inline void throw_failure(const Failure& failure) { throw Error(failure.kind, failure.text); }

}  // namespace sparse_run::comm
