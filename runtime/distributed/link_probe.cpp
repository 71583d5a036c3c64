// Messages there and back.
#include "runtime/distributed/link_probe.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <span>

#include "base/clock.hpp"

namespace sparse_run {

namespace {

constexpr int kChannel = 31'000;  // beyond those that edges get
constexpr std::size_t kSmallBytes = 64, kLargeBytes = std::size_t{1} << 20;
constexpr int kSmallTrips = 20, kLargeTrips = 4;

/// Sends `bytes` to the peer and gets as many back, or the other way round. Seconds of the fastest of `trips`.
double fastest_trip(Cluster& cluster, int peer, std::size_t bytes, int trips) {
  comm::Transport& transport = cluster.transport();
  std::vector<std::byte> out(bytes), in(bytes);
  double fastest = std::numeric_limits<double>::max();
  for (int trip = 0; trip < trips; ++trip) {
    std::atomic<int> open{0};
    std::atomic<bool> failed{false};
    const auto ended = [&](const comm::Result& result) {
      if (result.outcome != comm::Outcome::done) failed = true;
      --open;
      open.notify_all();
    };
    const auto wait = [&] {
      transport.hurry(1);
      // A peer that is late may need this core: after a short look this thread sleeps.
      if (!transport.help([&] { return open == 0; })) {
        for (int left = open; left != 0; left = open) open.wait(left);
      }
      transport.hurry(-1);
      if (failed) cluster.check_failure();
    };
    const auto start = Clock::now();
    open = 1;
    if (cluster.leads()) {
      transport.post_send({peer, kChannel}, out, ended);
      wait();
      open = 1;
      transport.post_receive({peer, kChannel}, in, ended);
      wait();
    } else {
      transport.post_receive({peer, kChannel}, in, ended);
      wait();
      open = 1;
      transport.post_send({peer, kChannel}, out, ended);
      wait();
    }
    fastest = std::min(fastest, seconds_since(start));
  }
  return fastest;
}

}  // namespace

LinkRates probe_link(Cluster& cluster) {
  LinkRates rates;
  const int last = cluster.size() - 1;
  if (last == 0 || (cluster.rank() != 0 && cluster.rank() != last)) return rates;
  const int peer = cluster.leads() ? last : 0;
  const double small_s = fastest_trip(cluster, peer, kSmallBytes, kSmallTrips);
  const double large_s = fastest_trip(cluster, peer, kLargeBytes, kLargeTrips);
  if (!cluster.leads()) return rates;
  rates.latency_s = std::max(small_s / 2, 1e-7);
  rates.bytes_per_s = 2 * static_cast<double>(kLargeBytes) / std::max(large_s - small_s, 1e-6);
  return rates;
}

}  // namespace sparse_run
