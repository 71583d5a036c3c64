// A stream of requests for several ranks, and what a rank reports about its part in it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "graph/ir/value.hpp"
#include "runtime/trace.hpp"

namespace sparse_run {

/// What rank 0 wants done. Requests are named by numbers, which ascend.
struct RequestStream {
  std::vector<std::int64_t> requests;
  /// The input values of a request. Called from one thread at a time, once per request.
  std::function<std::vector<Value>(std::int64_t request)> inputs;
  /// Takes results in the order of `requests`, one at a time, from a thread of the stream. Its errors end the stream.
  std::function<void(std::int64_t request, std::vector<Value> outputs)> sink;
  const std::atomic<bool>* cancelled = nullptr;

  bool stopped() const noexcept { return cancelled != nullptr && cancelled->load(std::memory_order_relaxed); }
};

/// What one rank did and waited for.
struct RankReport {
  std::int64_t requests = 0;  ///< it worked on
  double busy_s = 0;          ///< computing
  double waiting_s = 0;       ///< between its first and its last request, with nothing to compute
  double transfer_s = 0;      ///< sum over transfers of the time from posting to arrival or departure
  double hidden_s = -1;       ///< of it, while this rank computed; negative: not known
  std::uint64_t sent_bytes = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t plain_bytes = 0;   ///< of messages that were packed before they were sent
  std::uint64_t packed_bytes = 0;  ///< that these became
  std::int64_t halo_rows = 0;    ///< of nodes, that other ranks' edges read and were sent to them
  std::uint64_t halo_bytes = 0;  ///< of these rows, without headers
};

}  // namespace sparse_run
