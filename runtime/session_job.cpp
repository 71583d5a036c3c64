// Jobs whose requests are runs of a session.
#include "runtime/job.hpp"

namespace sparse_run {

void run_job(Session& session, std::span<const JobInput> inputs, const JobOptions& options, const JobSink& sink,
             const JobProgress& progress) {
  require(inputs.size() == session.inputs().size(), "a job's inputs are not parallel to the session's");
  RunOptions run_options;
  run_options.cancelled = options.cancelled;
  run_options.trace = options.trace;
  run_job([&](std::span<const Value> request) { return session.run(request, run_options); }, inputs, options, sink,
          progress);
}

}  // namespace sparse_run
