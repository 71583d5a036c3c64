// A job: inputs too long for one request, split along the batch, streamed through a session, results in order.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "runtime/job_parts.hpp"
#include "runtime/session.hpp"

namespace sparse_run {

struct JobOptions {
  std::int64_t micro_batch = 1;  ///< leading dimension of one request; the last may be shorter
  bool pad_last = false;         ///< the model's batch is fixed: the last request is filled up and its result cut
  int in_flight = 2;             ///< requests worked on at once
  const std::atomic<bool>* cancelled = nullptr;
  Trace* trace = nullptr;
};

/// Called in order of the requests, one at a time, from a worker thread: results of rows [first, first + count).
/// Split outputs have leading dimension `count`.
using JobSink = std::function<void(std::int64_t first, std::int64_t count, std::vector<Value> outputs)>;
/// Called after each finished request with rows done and rows in all.
using JobProgress = std::function<void(std::int64_t done, std::int64_t total)>;

/// Runs one request: values parallel to the job's inputs; the outputs in order. Called from several threads at once.
using RequestRunner = std::function<std::vector<Value>(std::span<const Value>)>;

/// Streams the job. All split inputs must have the same leading dimension (Error(input)). An error in a request
/// stops the job after draining what is in flight, and is rethrown; the sink has then seen a prefix of the rows.
void run_job(Session& session, std::span<const JobInput> inputs, const JobOptions& options, const JobSink& sink,
             const JobProgress& progress);
/// The same with any runner of requests.
void run_job(const RequestRunner& run, std::span<const JobInput> inputs, const JobOptions& options, const JobSink& sink,
             const JobProgress& progress);

}  // namespace sparse_run
