// Threads that play the ranks of a stream, joined by a loopback.
#include "cli/thread_ranks_test.hpp"

#include <gtest/gtest.h>

#include <exception>
#include <thread>

#include "comm/loopback.hpp"
#include "comm/progress.hpp"
#include "cpu/device.hpp"
#include "cpu/reference/evaluator.hpp"

namespace sparse_run::cli {

std::unique_ptr<Session> one_thread_session(const std::shared_ptr<const Graph>& graph) {
  SessionOptions options;
  options.threads = 1;
  return std::make_unique<Session>(
      graph, std::vector<std::shared_ptr<Device>>{cpu::make_cpu_device(Machine{})},
      std::make_shared<reference::ReferenceEvaluator>(),
      [](const Graph& of) { return single_device_plan(of, "cpu", "test"); }, options);
}

StreamOutcome run_stream(int size, const std::vector<std::vector<Value>>& requests,
                         const std::function<std::unique_ptr<RankForm>(Cluster&)>& make, const StreamTrouble& trouble) {
  comm::LoopbackHub hub(size);
  StreamOutcome outcome;
  outcome.results.resize(requests.size());
  outcome.reports.resize(static_cast<std::size_t>(size));
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(size));
  const auto rank_body = [&](int rank) {
    try {
      comm::Progress transport(with_faults(hub.link(rank), rank == size - 1 ? trouble.faults : comm::Faults{}),
                               comm::ProgressOptions{trouble.deadline_s, 500});
      Cluster cluster(transport);
      const auto form = make(cluster);
      RankReport& report = outcome.reports[static_cast<std::size_t>(rank)];
      if (rank != 0) {
        report = form->follow();
        cluster.agree("run", std::nullopt);
        return;
      }
      cluster.phase("run", [&] {
        RequestStream stream;
        for (std::size_t i = 0; i < requests.size(); ++i) stream.requests.push_back(static_cast<std::int64_t>(i));
        stream.inputs = [&](std::int64_t request) { return requests[static_cast<std::size_t>(request)]; };
        std::int64_t expected = 0;
        stream.sink = [&](std::int64_t request, std::vector<Value> outputs) {
          EXPECT_EQ(request, expected++) << "results are out of order";
          if (trouble.on_sink) trouble.on_sink(request);
          outcome.results[static_cast<std::size_t>(request)] = std::move(outputs);
        };
        report = form->lead(stream);
      });
    } catch (...) {
      errors[static_cast<std::size_t>(rank)] = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  for (int rank = 1; rank < size; ++rank) threads.emplace_back(rank_body, rank);
  rank_body(0);
  for (std::thread& thread : threads) thread.join();
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return outcome;
}

}  // namespace sparse_run::cli
