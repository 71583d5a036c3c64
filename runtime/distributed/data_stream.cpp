// Spreading requests over ranks.
#include "runtime/distributed/data_stream.hpp"

#include <algorithm>
#include <exception>
#include <latch>
#include <map>
#include <set>
#include <thread>

#include "base/clock.hpp"
#include "base/thread_precedence.hpp"
#include "runtime/distributed/wire.hpp"

namespace sparse_run {

namespace {

constexpr std::size_t kRequestsPerRank = 2;
constexpr std::size_t kFewestInWindow = 4;
constexpr auto kLookAround = std::chrono::milliseconds(100);

enum class Work : int { request, end };

std::size_t bytes_of(const Value& value) {
  if (!value.is_tensor()) {
    std::size_t sum = 0;
    for (const Value& element : value.elements) sum += bytes_of(element);
    return sum;
  }
  return value.tensor.empty_handle() ? 0 : value.tensor.bytes();
}

std::size_t bytes_of(std::span<const Value> values) {
  std::size_t sum = 0;
  for (const Value& value : values) sum += bytes_of(value);
  return sum;
}

/// Times requests for a report.
class Meter {
 public:
  explicit Meter(Trace* trace) : trace_(trace) {}
  std::vector<Value> run(std::int64_t request, const RequestRunner& run, std::span<const Value> inputs) {
    const std::int64_t begin = now_ns();
    if (report_.requests++ == 0) first_ns_ = begin;
    auto outputs = run(inputs);
    last_ns_ = now_ns();
    busy_ns_ += last_ns_ - begin;
    if (trace_ != nullptr) trace_->add({fmt::format("request {}", request), "request", begin, last_ns_, {}});
    return outputs;
  }
  RankReport take() {
    report_.busy_s = static_cast<double>(busy_ns_) / 1e9;
    report_.waiting_s = static_cast<double>(last_ns_ - first_ns_ - busy_ns_) / 1e9;
    return report_;
  }

 private:
  Trace* trace_;
  RankReport report_;
  std::int64_t first_ns_ = 0, last_ns_ = 0, busy_ns_ = 0;
};

/// Rank 0's side. One thread hands out requests and sinks results; the caller's computes.
class Leader {
 public:
  Leader(Cluster& cluster, const RequestRunner& run, const RequestStream& stream, const DataStreamOptions& options,
         Trace* trace)
      : cluster_(cluster),
        run_(run),
        stream_(stream),
        options_(options),
        meter_(trace),
        ranks_(static_cast<std::size_t>(cluster.size())) {}

  RankReport execute() {
    cluster_.notify(Topic::result, [this] {
      const std::lock_guard lock(mutex_);
      changed_ = true;
      wake_.notify_all();
    });
    std::latch ready(1);  // in real time, a thread that computes would not let a new one begin
    std::thread coordinator([&] {
      take_precedence();  // the other ranks wait for its hand-outs
      ready.count_down();
      coordinate();
    });
    ready.wait();
    compute();
    coordinator.join();
    cluster_.notify(Topic::result, nullptr);
    if (error_) std::rethrow_exception(error_);
    if (sunk_ < stream_.requests.size()) {
      throw_error(ErrorKind::interrupted, "the job was cancelled after {} of {} requests", sunk_,
                  stream_.requests.size());
    }
    return meter_.take();
  }

 private:
  struct Outcome {
    std::vector<Value> outputs;
    std::exception_ptr error;
    std::size_t bytes = 0;
  };

  /// The next position in the stream, if the window has room. Under the lock.
  std::optional<std::size_t> next() {
    if (over_ || next_ >= stream_.requests.size() || stream_.stopped()) return std::nullopt;
    if (next_ - sunk_ >= window()) return std::nullopt;
    return next_++;
  }
  std::size_t window() const {
    const std::size_t fewest = std::max(kFewestInWindow, 2 * kRequestsPerRank * ranks_.size());
    return request_bytes_ == 0
               ? fewest
               : std::clamp<std::size_t>(options_.window_bytes / request_bytes_, 2 * ranks_.size(), 4096);
  }

  void compute() {
    for (;;) {
      std::optional<std::size_t> position;
      std::vector<Value> inputs;
      {
        std::unique_lock lock(mutex_);
        while (!over_ && !(position = next())) wake_.wait_for(lock, kLookAround);
        if (!position) return;
        if (!take_inputs(*position, inputs)) continue;
      }
      const std::int64_t request = stream_.requests[*position];
      cluster_.doing(fmt::format("request {}", request));
      Outcome outcome;
      try {
        const comm::Computing computing(cluster_.transport());
        outcome.outputs = meter_.run(request, run_, inputs);
      } catch (Error& error) {
        error.add_context(fmt::format("request {}", request));
        outcome.error = std::current_exception();
      } catch (...) {
        outcome.error = std::current_exception();
      }
      put(*position, std::move(outcome));
    }
  }

  /// Under the lock: `inputs` of the stream is not called by two threads at once.
  bool take_inputs(std::size_t position, std::vector<Value>& inputs) {
    try {
      inputs = stream_.inputs(stream_.requests[position]);
      return true;
    } catch (...) {
      results_[position] = {{}, std::current_exception(), 0};
      changed_ = true;
      wake_.notify_all();
      return false;
    }
  }

  void put(std::size_t position, Outcome outcome) {
    outcome.bytes = bytes_of(outcome.outputs);
    const std::lock_guard lock(mutex_);
    request_bytes_ = std::max(request_bytes_, outcome.bytes);
    results_[position] = std::move(outcome);
    changed_ = true;
    wake_.notify_all();
  }

  void coordinate() {
    try {
      while (!finished()) {
        take_results();
        hand_out();
        sink();
        std::unique_lock lock(mutex_);
        if (!changed_) wake_.wait_for(lock, kLookAround);
        changed_ = false;
      }
    } catch (...) {
      error_ = std::current_exception();
    }
    end();
  }

  bool finished() {
    cluster_.check_failure();
    return sunk_ == stream_.requests.size() || error_ || stream_.stopped();
  }

  void take_results() {
    while (auto message = cluster_.poll(Topic::result)) {
      WireReader reader(std::move(message->body));
      const auto position = reader.get<std::size_t>();
      auto& working = ranks_[static_cast<std::size_t>(message->from)];
      if (working.erase(position) == 0)
        throw_error(ErrorKind::comm, "rank {} answers what it was not asked", message->from);
      Outcome outcome;
      if (reader.get<bool>()) {
        outcome.outputs = reader.values();
      } else {
        auto kind = reader.get<ErrorKind>();
        if (is_a_rank_s_own(kind)) kind = ErrorKind::comm;
        outcome.error = std::make_exception_ptr(Error(
            kind, fmt::format("rank {}, request {}: {}", message->from, stream_.requests[position], reader.text())));
      }
      put(position, std::move(outcome));
    }
  }

  /// Every other rank gets up to its share; one request each in turn, so that the first ones are spread.
  void hand_out() {
    for (std::size_t depth = 1; depth <= kRequestsPerRank; ++depth) {
      for (std::size_t rank = 1; rank < ranks_.size(); ++rank) {
        if (ranks_[rank].size() >= depth) continue;
        std::vector<Value> inputs;
        std::optional<std::size_t> position;
        const bool reads_itself = rank < options_.reads_itself.size() && options_.reads_itself[rank];
        {
          const std::lock_guard lock(mutex_);
          position = next();
          if (!position) return;
          if (!reads_itself && !take_inputs(*position, inputs)) continue;
          if (!reads_itself) request_bytes_ = std::max(request_bytes_, bytes_of(inputs));
        }
        WireWriter message;
        message.put(Work::request);
        message.put(*position);
        message.put(stream_.requests[*position]);
        message.put(reads_itself);
        if (!reads_itself) message.put(std::span<const Value>(inputs));
        ranks_[rank].insert(*position);
        cluster_.send(static_cast<int>(rank), Topic::work, message.take());
      }
    }
  }

  void sink() {
    for (;;) {
      Outcome outcome;
      {
        const std::lock_guard lock(mutex_);
        const auto found = results_.find(sunk_);
        if (found == results_.end()) return;
        outcome = std::move(found->second);
        results_.erase(found);
      }
      if (outcome.error) std::rethrow_exception(outcome.error);
      stream_.sink(stream_.requests[sunk_], std::move(outcome.outputs));
      const std::lock_guard lock(mutex_);
      ++sunk_;
      wake_.notify_all();
    }
  }

  /// Lets everybody go. What the others still compute is not waited for here: the end of the phase does.
  void end() {
    const std::lock_guard lock(mutex_);
    over_ = true;
    wake_.notify_all();
    WireWriter message;
    message.put(Work::end);
    const auto bytes = message.take();
    for (int rank = 1; rank < cluster_.size(); ++rank) cluster_.send(rank, Topic::work, bytes);
    if (!error_) return;
    try {
      std::rethrow_exception(error_);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::comm || !cluster_.transport().failure()) return;
      const int lost = cluster_.transport().failure()->rank;
      if (lost < 1 || static_cast<std::size_t>(lost) >= ranks_.size()) return;
      std::string had;
      for (const std::size_t position : ranks_[static_cast<std::size_t>(lost)]) {
        had += fmt::format("{}{}", had.empty() ? "" : ", ", stream_.requests[position]);
      }
      error_ = std::make_exception_ptr(Error(
          ErrorKind::comm, fmt::format("{}; it had request{} {}", error.what(),
                                       had.find(',') == std::string::npos ? "" : "s", had.empty() ? "none" : had)));
    } catch (...) {
      // Not of the cluster's making: it stays as it is.
    }
  }

  Cluster& cluster_;
  const RequestRunner& run_;
  const RequestStream& stream_;
  const DataStreamOptions& options_;
  Meter meter_;
  std::vector<std::set<std::size_t>> ranks_;  // positions each rank is at; of the coordinator alone
  std::exception_ptr error_;                  // of the coordinator until it has ended

  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  bool changed_ = false;
  bool over_ = false;
  std::size_t next_ = 0;
  std::size_t sunk_ = 0;
  std::size_t request_bytes_ = 0;
  std::map<std::size_t, Outcome> results_;
};

}  // namespace

DataForm::DataForm(Cluster& cluster, RequestRunner run, DataStreamOptions options,
                   std::function<std::vector<Value>(std::int64_t)> inputs, Trace* trace)
    : cluster_(cluster),
      run_(std::move(run)),
      options_(std::move(options)),
      inputs_(std::move(inputs)),
      trace_(trace) {}

RankReport DataForm::lead(const RequestStream& stream) {
  return Leader(cluster_, run_, stream, options_, trace_).execute();
}

RankReport DataForm::follow() {
  Meter meter(trace_);
  for (;;) {
    cluster_.doing("waiting for a request");
    WireReader reader(cluster_.wait(Topic::work).body);
    if (reader.get<Work>() == Work::end) return meter.take();
    const auto position = reader.get<std::size_t>();
    const auto request = reader.get<std::int64_t>();
    cluster_.doing(fmt::format("request {}", request));
    WireWriter answer;
    answer.put(position);
    try {
      const auto values = reader.get<bool>() ? inputs_(request) : reader.values();
      const auto outputs = [&] {
        const comm::Computing computing(cluster_.transport());
        return meter.run(request, run_, values);
      }();
      answer.put(true);
      answer.put(std::span<const Value>(outputs));
    } catch (...) {
      const Trouble trouble = trouble_of_current_exception();
      answer = WireWriter();
      answer.put(position);
      answer.put(false);
      answer.put(trouble.kind);
      answer.put(std::string_view(trouble.text));
    }
    cluster_.send(0, Topic::result, answer.take());
  }
}

}  // namespace sparse_run
