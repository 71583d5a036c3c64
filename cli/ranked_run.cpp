// Phases that ranks go through together.
#include "cli/ranked_run.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/clock.hpp"
#include "cli/form_decision.hpp"
#include "cli/form_making.hpp"
#include "cli/part_store.hpp"
#include "cli/progress.hpp"
#include "cli/quantities.hpp"
#include "cli/rank_table.hpp"
#include "cli/ranked_work.hpp"
#include "cli/version.hpp"
#include "runtime/distributed/rank_form.hpp"

namespace sparse_run::cli {

namespace {

constexpr std::int64_t kRequestsPerRank = 8;  // of a job whose request size is ours to choose
constexpr std::int64_t kLargestPlannedBatch = 64;
constexpr std::int64_t kWarmupRequestsPerRank = 3;
constexpr int kStagesOfHybrid = 2;

class RankedRun {
 public:
  explicit RankedRun(RankedContext context)
      : work_{.context = std::move(context), .inputs = {}, .job = {}, .parts = {}, .link = {}, .simulated_rate = {}} {}

  /// Bodies of phases are each rank's own business; whatever ranks do together stands between phases.
  void execute() {
    check_options();
    work_.phase("inputs", [&] {
      if (!leads()) return;
      work_.inputs =
          gather_inputs(work_.context.session.inputs(), options(), work_.context.memory_limit, work_.context.notice);
      if (!adds_along_edges(*work_.context.session.graph())) plan_requests();
    });
    work_.job = share_job(ranks().cluster(), work_.inputs);
    const auto start = Clock::now();
    warn_of_oversubscription();
    form_ = make_form(work_, options().parallel == Parallel::automatic ? best_form(work_) : chosen_form());
    work_.context.report.compile_s = seconds_since(start);
    if (options().dry_run) return;
    work_.phase("output", [&] {
      if (leads() && work_.context.wants_results) open_output();
    });
    if (work_.context.wants_results)
      together(
          "run", [&] { run(); }, [&] { rank_report_ = form_->follow(); });
    if (options().benchmark) {
      together(
          "benchmark", [&] { benchmark(); },
          [&] {
            form_->follow();
            rank_report_ = form_->follow();
          });
    }
    report_ranks();
  }

 private:
  const Options& options() const { return work_.options(); }
  Ranks& ranks() { return work_.ranks(); }
  bool leads() const { return work_.leads(); }

  void check_options() {
    if (!options().test_data.empty())
      throw_error(ErrorKind::usage, "--test-data: run it in one process, without mpirun");
    if (options().profile) throw_error(ErrorKind::usage, "--profile: run it in one process, without mpirun");
    if (!options().plan.empty() && (options().parallel == Parallel::rows || options().parallel == Parallel::graph)) {
      throw_error(
          ErrorKind::usage,
          "--plan: a plan names stages, for --parallel data, pipeline, hybrid or auto; these layers or nodes are "
          "divided by the ranks themselves");
    }
  }

  /// A symbolic batch leaves the size of requests to us: small enough that every rank gets several.
  void plan_requests() {
    Batching& batching = work_.inputs.batching;
    if (batching.is_job || options().micro_batch) return;
    std::vector<Type> types;
    std::int64_t rows = 0;
    for (const JobInput& input : work_.inputs.inputs) types.push_back(Type::of(input.value));
    const auto& ports = work_.context.session.inputs();
    for (std::size_t i = 0; i < ports.size() && rows == 0; ++i) {
      if (!types[i].shape || types[i].shape->empty() || !ports[i].type.shape || ports[i].type.shape->empty()) continue;
      if (ports[i].type.shape->front() < 0) rows = types[i].shape->front();
    }
    const std::int64_t size =
        std::clamp<std::int64_t>(rows / (kRequestsPerRank * ranks().size()), 1, kLargestPlannedBatch);
    if (rows < 2 || size >= rows) return;
    batching = plan_batching(ports, types, size);
    for (std::size_t i = 0; i < ports.size(); ++i) work_.inputs.inputs[i].split = batching.split[i];
    work_.context.notice(fmt::format("requests of {} row{}; choose with --micro-batch", size, size == 1 ? "" : "s"));
  }

  void warn_of_oversubscription() {
    const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
    const int wanted = ranks_on_this_host() * work_.context.report.threads;
    if (!leads() || wanted <= online) return;
    work_.context.notice(
        fmt::format("{} ranks of {} threads share {} processors here; use --threads, or mpirun --map-by "
                    "ppr:1:numa --bind-to numa with fewer ranks",
                    ranks_on_this_host(), work_.context.report.threads, online));
  }

  FormChoice chosen_form() {
    FormChoice choice{options().parallel, 0, 1};
    if (choice.form == Parallel::hybrid) choice.groups = std::max(1, ranks().size() / kStagesOfHybrid);
    return choice;
  }

  /// A stream: what goes wrong on rank 0 is agreed on afterwards, what goes wrong elsewhere ends the job at once.
  template <class Lead, class Follow>
  void together(std::string_view name, Lead&& lead, Follow&& follow) {
    if (leads()) {
      ranks().cluster().phase(name, [&] {
        led_ = false;
        try {
          lead();
        } catch (...) {
          if (!led_) abort_with_current_exception(ranks().cluster());  // the others wait for a stream that never began
          throw;
        }
      });
    } else {
      follow();
      ranks().cluster().agree(name, std::nullopt);
    }
  }

  void open_output() {
    sinks_ = work_.context.make_sinks();
    if (!work_.parts || options().output.empty()) return;
    store_.emplace(options().output + ".parts", job_identity(), options().resume);
    if (store_->size() == 0) return;
    work_.context.notice(fmt::format("{} of {} requests were finished before", store_->size(), work_.parts->count()));
  }

  void run() {
    const auto& sinks = *sinks_;
    auto& store = store_;
    const std::int64_t count = work_.parts ? work_.parts->count() : 1;
    RequestStream stream;
    for (std::int64_t request = 0; request < count; ++request) {
      if (!store || !store->contains(request)) stream.requests.push_back(request);
    }
    std::int64_t next = 0;  // request for the sinks
    stream.inputs = [this](std::int64_t request) { return work_.inputs_of(request); };
    stream.cancelled = work_.context.run_options.cancelled;
    Progress progress(options().verbosity < 0 || !work_.parts);
    const auto deliver = [&](std::int64_t request, const std::vector<Value>& outputs) {
      const auto [first, rows] = work_.parts->rows_of(request);
      for (const auto& sink : sinks) sink->take(first, rows, work_.parts->rows(), outputs);
      progress.update(first + rows, work_.parts->rows());
      ++next;
    };
    const auto deliver_stored = [&] {
      while (store && next < count && store->contains(next)) deliver(next, store->load(next));
    };
    stream.sink = [&](std::int64_t request, std::vector<Value> outputs) {
      if (!work_.parts) {
        const std::int64_t rows = work_.inputs.rows_per_request();
        for (const auto& sink : sinks) sink->take(0, rows, rows, outputs);
        return;
      }
      deliver_stored();
      work_.parts->trim(request, outputs);
      if (store) store->append(request, outputs);
      deliver(request, outputs);
    };
    const auto start = Clock::now();
    led_ = true;
    rank_report_ = form_->lead(stream);
    check_interruption();
    deliver_stored();
    progress.finish();
    for (const auto& sink : sinks) sink->finish();
    if (store) store->remove();
    if (!work_.parts) return;
    work_.context.report.job =
        JobReport{work_.parts->rows(), work_.job.micro_batch, ranks().size(), seconds_since(start)};
    work_.context.notice(fmt::format("{} rows in {} on {} ranks ({}), {:.5g} rows/s",
                                     format_count(static_cast<double>(work_.parts->rows())),
                                     format_seconds(work_.context.report.job->seconds), ranks().size(), form_->name(),
                                     static_cast<double>(work_.parts->rows()) / work_.context.report.job->seconds));
  }

  /// What must be the same for finished parts to be of this job.
  std::string job_identity() const {
    return fmt::format("{}; {}; {}; {} rows by {}{}", version_line(), work_.context.report.model_hash,
                       identity_of(work_.inputs), work_.job.rows, work_.job.micro_batch,
                       work_.job.pad_last ? ", padded" : "");
  }

  void benchmark() {
    std::vector<double> finished_s;
    std::vector<double> started_s;
    Clock::time_point start;
    const auto stream_of = [&](std::int64_t count) {
      RequestStream stream;
      for (std::int64_t i = 0; i < count; ++i) stream.requests.push_back(i - count);
      stream.cancelled = work_.context.run_options.cancelled;
      stream.inputs = [&](std::int64_t request) {
        started_s.push_back(seconds_since(start));
        return work_.inputs_of(request);
      };
      stream.sink = [&](std::int64_t, const std::vector<Value>&) { finished_s.push_back(seconds_since(start)); };
      return stream;
    };
    const auto measure = [&](std::int64_t count) {
      finished_s.clear();
      started_s.clear();
      start = Clock::now();
      led_ = true;
      return form_->lead(stream_of(count));
    };
    measure(kWarmupRequestsPerRank * ranks().size());
    const double rate = static_cast<double>(finished_s.size()) / finished_s.back();
    const auto count = std::max<std::int64_t>(
        options().iterations.value_or(static_cast<std::int64_t>(rate * options().duration)), 2 * ranks().size());
    rank_report_ = measure(count);
    BenchmarkResult& result = work_.context.report.benchmark.emplace();
    result.scenario = Scenario::throughput;
    result.streams = ranks().size();
    result.items_per_request = work_.inputs.rows_per_request();
    result.seconds = finished_s.back();
    std::vector<double> intervals;
    for (std::size_t i = 0; i < finished_s.size(); ++i) {
      intervals.push_back(1e3 * (finished_s[i] - (i == 0 ? 0 : finished_s[i - 1])));
    }
    result.latency_ms = summarize(std::move(intervals));
    result.requests_per_s = static_cast<double>(finished_s.size()) / result.seconds;
    result.items_per_s = result.requests_per_s * static_cast<double>(result.items_per_request);
    work_.context.print(fmt::format(
        "benchmark   {} ranks, {}: {} requests of {} item{} in {:.2f} s\n"
        "throughput  {:.5g} items/s ({:.5g} requests/s)\n",
        ranks().size(), form_->name(), finished_s.size(), result.items_per_request,
        result.items_per_request == 1 ? "" : "s", result.seconds, result.items_per_s, result.requests_per_s));
    if (work_.simulated_rate && options().verbosity > 0) {
      work_.context.notice(
          fmt::format("simulated with the stages as measured: {:.5g} requests/s", *work_.simulated_rate));
    }
  }

  void report_ranks() {
    const comm::Traffic traffic = ranks().cluster().transport().traffic();
    rank_report_.sent_bytes = traffic.sent_bytes;
    rank_report_.received_bytes = traffic.received_bytes;
    const auto all = gather_rank_reports(ranks().cluster(), rank_report_);
    if (leads() && options().verbosity >= 0) work_.context.notice("ranks\n" + rank_table(all));
  }

  RankedWork work_;
  const std::vector<std::unique_ptr<ResultSink>>* sinks_ = nullptr;  // on rank 0
  std::optional<PartStore> store_;
  std::unique_ptr<RankForm> form_;
  RankReport rank_report_;
  bool led_ = false;  // a stream of this phase was begun
};

}  // namespace

void run_across_ranks(RankedContext context) { RankedRun(std::move(context)).execute(); }

}  // namespace sparse_run::cli
