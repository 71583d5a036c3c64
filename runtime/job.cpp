// Streaming a job through a TBB flow graph: cut → limit → run concurrently → restore order → sink.
#include "runtime/job.hpp"

#include <tbb/flow_graph.h>

#include <algorithm>
#include <exception>
#include <memory>

#include "base/clock.hpp"

namespace sparse_run {

namespace {

/// One request on its way through the graph. The first error in order of the requests is the job's error.
struct Ticket {
  std::size_t index = 0;
  std::int64_t first = 0;
  std::int64_t count = 0;
  std::vector<Value> outputs;
  std::exception_ptr error;
  bool skipped = false;
};
using TicketPtr = std::shared_ptr<Ticket>;  // shared: flow graph messages are copied between nodes

class JobRun {
 public:
  JobRun(const RequestRunner& run, std::span<const JobInput> inputs, const JobOptions& options, const JobSink& sink,
         const JobProgress& progress)
      : run_(run),
        options_(options),
        sink_(sink),
        progress_(progress),
        parts_(inputs, options.micro_batch, options.pad_last) {}

  void execute() {
    namespace flow = tbb::flow;
    flow::graph graph;
    flow::input_node<TicketPtr> source(graph, [this](tbb::flow_control& control) { return next(control); });
    const auto in_flight = static_cast<std::size_t>(std::max(1, options_.in_flight));
    flow::limiter_node<TicketPtr> limiter(graph, in_flight);
    flow::function_node<TicketPtr, TicketPtr> worker(graph, in_flight, [this](TicketPtr ticket) {
      work(*ticket);
      return ticket;
    });
    flow::sequencer_node<TicketPtr> order(graph, [](const TicketPtr& ticket) { return ticket->index; });
    flow::function_node<TicketPtr, flow::continue_msg> last(graph, flow::serial, [this](const TicketPtr& ticket) {
      finish(*ticket);
      return flow::continue_msg();
    });
    flow::make_edge(source, limiter);
    flow::make_edge(limiter, worker);
    flow::make_edge(worker, order);
    flow::make_edge(order, last);
    flow::make_edge(last, limiter.decrementer());
    source.activate();
    graph.wait_for_all();
    if (error_) std::rethrow_exception(error_);
    if (done_ < parts_.rows())
      throw_error(ErrorKind::interrupted, "the job was cancelled after {} of {} rows", done_, parts_.rows());
  }

 private:
  bool stopped() const {
    return failed_.load(std::memory_order_relaxed) ||
           (options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed));
  }

  TicketPtr next(tbb::flow_control& control) {
    if (static_cast<std::int64_t>(next_index_) >= parts_.count() || stopped()) {
      control.stop();
      return nullptr;
    }
    auto ticket = std::make_shared<Ticket>();
    ticket->index = next_index_++;
    const JobParts::Rows rows = parts_.rows_of(static_cast<std::int64_t>(ticket->index));
    ticket->first = rows.first;
    ticket->count = rows.count;
    return ticket;
  }

  void work(Ticket& ticket) {
    if (stopped()) {
      ticket.skipped = true;
      return;
    }
    const std::int64_t begin = now_ns();
    try {
      ticket.outputs = run_(parts_.request(static_cast<std::int64_t>(ticket.index)));
      parts_.trim(static_cast<std::int64_t>(ticket.index), ticket.outputs);
    } catch (Error& error) {
      error.add_context(fmt::format("rows {} to {}", ticket.first, ticket.first + ticket.count - 1));
      ticket.error = std::current_exception();
      failed_ = true;
    } catch (...) {
      ticket.error = std::current_exception();
      failed_ = true;
    }
    if (options_.trace != nullptr) {
      options_.trace->add({fmt::format("request {}", ticket.index), "request", begin, now_ns(),
                           fmt::format("rows {} to {}", ticket.first, ticket.first + ticket.count - 1)});
    }
  }

  /// Runs one at a time and in order. A failure of an earlier request hides later results; a later failure does not
  /// hide earlier results.
  void finish(Ticket& ticket) {
    if (error_ || hole_) return;
    if (ticket.error) {
      error_ = ticket.error;
      return;
    }
    if (ticket.skipped) {
      hole_ = true;
      return;
    }
    try {
      sink_(ticket.first, ticket.count, std::move(ticket.outputs));
      done_ = ticket.first + ticket.count;
      if (progress_) progress_(done_, parts_.rows());
    } catch (...) {
      error_ = std::current_exception();
      failed_ = true;
    }
    ticket.outputs.clear();
  }

  const RequestRunner& run_;
  const JobOptions& options_;
  const JobSink& sink_;
  const JobProgress& progress_;
  JobParts parts_;
  // Written by the source only.
  std::size_t next_index_ = 0;
  // Written by the last node only.
  std::int64_t done_ = 0;
  std::exception_ptr error_;
  bool hole_ = false;
  std::atomic<bool> failed_{false};
};

}  // namespace

void run_job(const RequestRunner& run, std::span<const JobInput> inputs, const JobOptions& options, const JobSink& sink,
             const JobProgress& progress) {
  if (options.micro_batch < 1) throw_error(ErrorKind::usage, "a job needs requests of at least one row");
  JobRun(run, inputs, options, sink, progress).execute();
}

}  // namespace sparse_run
