// Streaming a job through a TBB flow graph: cut → limit → run concurrently → restore order → sink.
#include "runtime/job.hpp"

#include <tbb/flow_graph.h>

#include <algorithm>
#include <cstring>
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

std::size_t stride_of_rows(const Tensor& tensor) {
  const std::size_t width = tensor.dtype() == DType::string ? sizeof(std::string) : element_size(tensor.dtype());
  const std::int64_t rows = tensor.shape()[0];
  return rows == 0 ? 0 : static_cast<std::size_t>(tensor.size() / rows) * width;
}

/// A view of rows [first, first + count).
Tensor rows_of(const Tensor& tensor, std::int64_t first, std::int64_t count) {
  Shape shape = tensor.shape();
  shape[0] = count;
  char* data = static_cast<char*>(const_cast<void*>(tensor.raw()));
  return Tensor::view(tensor.dtype(), std::move(shape), data + static_cast<std::size_t>(first) * stride_of_rows(tensor),
                      tensor.owner());
}

/// Rows [first, first + count) followed by copies of the last of them up to `rows`: copies, not zeros, so that the
/// filling is as legal an input as the row it repeats.
Tensor padded_rows(const Tensor& tensor, std::int64_t first, std::int64_t count, std::int64_t rows) {
  Shape shape = tensor.shape();
  shape[0] = rows;
  Tensor padded = Tensor::allocate(tensor.dtype(), std::move(shape));
  for (std::int64_t row = 0; row < rows; ++row) {
    rows_of(padded, row, 1).copy_from(rows_of(tensor, first + std::min(row, count - 1), 1));
  }
  return padded;
}

std::int64_t length_of(std::span<const JobInput> inputs) {
  std::int64_t length = -1;
  for (const JobInput& input : inputs) {
    if (!input.split) continue;
    if (!input.value.is_tensor() || input.value.tensor.rank() == 0) {
      throw_error(ErrorKind::input, "a job splits tensors along their first dimension; an input to split has none");
    }
    const std::int64_t rows = input.value.tensor.shape()[0];
    if (length >= 0 && rows != length) {
      throw_error(ErrorKind::input,
                  "the inputs of a job have {} and {} rows; give all that are split the same leading dimension", length,
                  rows);
    }
    length = rows;
  }
  if (length < 0) throw_error(ErrorKind::input, "a job needs at least one input to split");
  return length;
}

/// Shortens outputs of a filled-up request to what belongs to its `count` real rows of `rows`.
void cut_outputs(std::vector<Value>& outputs, std::int64_t count, std::int64_t rows) {
  for (Value& output : outputs) {
    if (!output.is_tensor() || output.tensor.rank() == 0) continue;
    const std::int64_t leading = output.tensor.shape()[0];
    if (leading % rows == 0) output.tensor = rows_of(output.tensor, 0, leading / rows * count);
  }
}

class JobRun {
 public:
  JobRun(const RequestRunner& run, std::span<const JobInput> inputs, const JobOptions& options, const JobSink& sink,
         const JobProgress& progress)
      : run_(run), inputs_(inputs), options_(options), sink_(sink), progress_(progress), total_(length_of(inputs)) {}

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
    if (done_ < total_) throw_error(ErrorKind::interrupted, "the job was cancelled after {} of {} rows", done_, total_);
  }

 private:
  bool stopped() const {
    return failed_.load(std::memory_order_relaxed) ||
           (options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed));
  }

  TicketPtr next(tbb::flow_control& control) {
    if (next_row_ >= total_ || stopped()) {
      control.stop();
      return nullptr;
    }
    auto ticket = std::make_shared<Ticket>();
    ticket->index = next_index_++;
    ticket->first = next_row_;
    ticket->count = std::min(options_.micro_batch, total_ - next_row_);
    next_row_ += ticket->count;
    return ticket;
  }

  void work(Ticket& ticket) {
    if (stopped()) {
      ticket.skipped = true;
      return;
    }
    const std::int64_t begin = now_ns();
    try {
      const bool pad = options_.pad_last && ticket.count < options_.micro_batch;
      std::vector<Value> request;
      request.reserve(inputs_.size());
      for (const JobInput& input : inputs_) {
        if (!input.split) {
          request.push_back(input.value);
        } else if (pad) {
          request.emplace_back(padded_rows(input.value.tensor, ticket.first, ticket.count, options_.micro_batch));
        } else {
          request.emplace_back(rows_of(input.value.tensor, ticket.first, ticket.count));
        }
      }
      ticket.outputs = run_(request);
      if (pad) cut_outputs(ticket.outputs, ticket.count, options_.micro_batch);
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
      if (progress_) progress_(done_, total_);
    } catch (...) {
      error_ = std::current_exception();
      failed_ = true;
    }
    ticket.outputs.clear();
  }

  const RequestRunner& run_;
  std::span<const JobInput> inputs_;
  const JobOptions& options_;
  const JobSink& sink_;
  const JobProgress& progress_;
  std::int64_t total_;
  // Written by the source only.
  std::size_t next_index_ = 0;
  std::int64_t next_row_ = 0;
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
