// Streams of requests, each on a thread of its own.
#include "cli/benchmark.hpp"

#include <atomic>
#include <exception>
#include <latch>
#include <mutex>
#include <thread>

#include "base/clock.hpp"

namespace sparse_run::cli {

namespace {

/// What the streams share.
struct Shared {
  Session& session;
  std::span<const Value> request;
  RunOptions run_options;
  double warmup_s;
  double duration_s;
  std::int64_t iterations;  // in all; negative: no limit
  std::latch ready;
  std::atomic<std::int64_t> started{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::exception_ptr error;
  std::vector<double> latencies_ms;
  std::int64_t begin_ns = 0;
  std::int64_t end_ns = 0;
};

void record_error(Shared& shared) {
  const std::lock_guard lock(shared.mutex);
  if (!shared.error) shared.error = std::current_exception();
  shared.failed = true;
}

void warm_up(Shared& shared) {
  const auto start = Clock::now();
  do {
    shared.session.run(shared.request, shared.run_options);
  } while (!shared.failed && seconds_since(start) < shared.warmup_s);
}

void count(Shared& shared) {
  std::vector<double> latencies;
  const std::int64_t begin = now_ns();
  std::int64_t end = begin;
  while (!shared.failed && static_cast<double>(end - begin) < shared.duration_s * 1e9) {
    if (shared.iterations >= 0 && shared.started.fetch_add(1) >= shared.iterations) break;
    const std::int64_t start = now_ns();
    shared.session.run(shared.request, shared.run_options);
    end = now_ns();
    latencies.push_back(static_cast<double>(end - start) / 1e6);
  }
  const std::lock_guard lock(shared.mutex);
  shared.latencies_ms.insert(shared.latencies_ms.end(), latencies.begin(), latencies.end());
  shared.begin_ns = shared.begin_ns == 0 ? begin : std::min(shared.begin_ns, begin);
  shared.end_ns = std::max(shared.end_ns, end);
}

void stream(Shared& shared) {
  try {
    warm_up(shared);
  } catch (...) {
    record_error(shared);
  }
  shared.ready.arrive_and_wait();
  try {
    count(shared);
  } catch (...) {
    record_error(shared);
  }
}

}  // namespace

BenchmarkResult run_benchmark(Session& session, std::span<const Value> request, std::int64_t items_per_request,
                              const Options& options, const RunOptions& run_options) {
  BenchmarkResult result;
  result.scenario = options.scenario;
  result.items_per_request = items_per_request;
  result.streams = options.streams.value_or(options.scenario == Scenario::latency ? 1 : session.options().threads);
  const bool count_only = options.iterations && !options.duration_given;
  Shared shared{.session = session,
                .request = request,
                .run_options = run_options,
                .warmup_s = options.warmup,
                .duration_s = count_only ? 1e9 : options.duration,
                .iterations = options.iterations.value_or(-1),
                .ready = std::latch(result.streams),
                .mutex = {},
                .error = nullptr,
                .latencies_ms = {}};
  std::vector<std::thread> threads;
  for (int i = 1; i < result.streams; ++i) threads.emplace_back([&shared] { stream(shared); });
  stream(shared);
  for (std::thread& thread : threads) thread.join();
  if (shared.error) std::rethrow_exception(shared.error);
  result.seconds = static_cast<double>(shared.end_ns - shared.begin_ns) / 1e9;
  result.latency_ms = summarize(std::move(shared.latencies_ms));
  if (result.seconds > 0) result.requests_per_s = static_cast<double>(result.latency_ms.count) / result.seconds;
  result.items_per_s = result.requests_per_s * static_cast<double>(items_per_request);
  return result;
}

}  // namespace sparse_run::cli
