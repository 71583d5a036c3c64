// The main path of sparse-run.
#include "cli/run_model.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "base/clock.hpp"
#include "cli/cut_report.hpp"
#include "cli/devices.hpp"
#include "cli/expected_results.hpp"
#include "cli/inputs.hpp"
#include "cli/inspect.hpp"
#include "cli/interruption.hpp"
#include "cli/kernel_choices.hpp"
#include "cli/model_devices.hpp"
#include "cli/npz_results.hpp"
#include "cli/partial_file.hpp"
#include "cli/placement.hpp"
#include "cli/plan_report.hpp"
#include "cli/plan_timing.hpp"
#include "cli/progress.hpp"
#include "cli/quantities.hpp"
#include "cli/rank_trace.hpp"
#include "cli/ranked_run.hpp"
#include "cli/ranks.hpp"
#include "cli/report.hpp"
#include "cli/simulation.hpp"
#include "cli/summary_results.hpp"
#include "cli/test_data.hpp"
#include "cpu/reference/evaluator.hpp"
#include "graph/onnx/import.hpp"
#include "graph/ops/infer.hpp"
#include "graph/passes/pipeline.hpp"
#include "runtime/graph_runner.hpp"
#include "runtime/job.hpp"

namespace sparse_run::cli {

namespace {

constexpr int kJobRequestsInFlight = 2;
/// With other devices: enough that each copies one request in, computes one and copies one out.
constexpr int kPipelinedRequestsInFlight = 3;
constexpr double kQuickSeconds = 1;

class ModelRun {
 public:
  explicit ModelRun(const Options& options)
      : options_(options), quiet_stdout_(options.json == "-"), memory_limit_(cpu_memory_limit(options)) {
    run_options_.cancelled = &interruption_flag();
    const bool runs = options.simulate.empty();  // a simulation writes a trace of its own
    if (!options.trace.empty() && runs) run_options_.trace = &trace_.emplace();
  }

  void execute() {
    ranks_ = join_ranks(options_);
    if (ranks_) return execute_across_ranks();
    load();
    if (plans_only()) return plan_only();
    if (!options_.test_data.empty()) run_data_sets();
    const bool measures = options_.benchmark || options_.profile;
    const bool runs = !options_.output.empty() || !options_.expect.empty() ||
                      (options_.test_data.empty() && !options_.benchmark && !options_.verify_cuts);
    if (options_.dry_run || options_.verify_cuts || measures || runs || options_.explain ||
        !options_.plan_out.empty() || model_) {
      inputs_ = gather_inputs(session_->inputs(), options_, memory_limit_, notice());
      compile();
      if (!options_.dry_run) {
        if (options_.verify_cuts) check_cuts();
        if (runs) run();
        if (options_.benchmark) benchmark();
        // Predictions are set against measurements where those take no long time.
        const bool explains = options_.explain && runs && run_seconds_ < kQuickSeconds;
        if (options_.profile || explains || (options_.benchmark && !options_.json.empty())) profile();
      }
      explain();
      write_plan();
    }
    finish();
  }

 private:
  /// The same with other ranks. Only rank 0 prints and writes; whatever goes wrong ends all of them.
  void execute_across_ranks() {
    Cluster& cluster = ranks_->cluster();
    try {
      cluster.phase("load", [&] { load(); });
      ranks_->check_same("model file", report_.model_hash);
      const bool runs = !options_.output.empty() || !options_.expect.empty() || !options_.benchmark;
      RankedContext context{.options = options_,
                            .ranks = *ranks_,
                            .session = *session_,
                            .report = report_,
                            .run_options = run_options_,
                            .memory_limit = memory_limit_,
                            .notice = notice(),
                            .print = {},
                            .make_sinks = {},
                            .wants_results = runs,
                            .make_session = {},
                            .make_placed_session = {},
                            .placement = nullptr,
                            .evaluator = evaluator_.get(),
                            .passes = session_options_.passes,
                            .kernels = kernel_choices_};
      context.print = [this](const std::string& text) { print(text); };
      context.make_sinks = [this] { return &make_sinks(); };
      context.make_session = [this](std::shared_ptr<const Graph> part) {
        // A plan file is for the whole model.
        Planner planner = [costs = part_placement_, kernels = &kernel_choices_](const Graph& graph) {
          Plan plan = costs->plan(graph);
          kernels->apply(plan, graph);
          return plan;
        };
        return std::make_unique<Session>(std::move(part), devices_, evaluator_,
                                         options_.plan.empty() ? planner_ : std::move(planner), session_options_);
      };
      context.make_placed_session = [this](std::shared_ptr<const Graph> part, const NamedPlacement& placement) {
        Planner planner = [placement, costs = part_placement_, devices = devices_,
                           kernels = &kernel_choices_](const Graph& graph) {
          Plan plan = follow_placement(graph, placement, devices, "");
          predict_plan(costs->problem(graph), plan);
          kernels->apply(plan, graph);
          return plan;
        };
        return std::make_unique<Session>(std::move(part), devices_, evaluator_, std::move(planner), session_options_);
      };
      context.placement = part_placement_.get();
      run_across_ranks(std::move(context));
      take_comparisons();
      const std::string trace = trace_ ? merged_trace(cluster, *trace_) : "";
      cluster.phase("finish", [&] {
        if (!ranks_->leads()) return;
        if (trace_) write_text_file(options_.trace, trace);
        trace_.reset();
        finish();
      });
    } catch (...) {
      end_with_others();
      throw;
    }
  }

  /// After an error: nobody must wait for this rank, and a rank that is lost must not be waited for.
  void end_with_others() {
    Cluster& cluster = ranks_->cluster();
    if (cluster.agreed_to_fail()) return;
    try {
      if (!cluster.transport().failure()) {
        const Trouble trouble = trouble_of_current_exception();
        ranks_->abort({trouble.kind, cluster.rank(), fmt::format("rank {}: {}", cluster.rank(), trouble.text)});
      }
      throw;
    } catch (const Error& error) {
      sinks_.clear();
      ranks_->leave_after(error);
    }
  }

  std::function<void(const std::string&)> notice() const {
    return [quiet = options_.verbosity < 0](const std::string& text) {
      if (!quiet && speaks_of_errors()) fmt::print(stderr, "sparse-run: {}\n", text);
    };
  }
  void print(const std::string& text) const {
    if (!quiet_stdout_) std::fputs(text.c_str(), stdout);
  }
  void chat(const std::string& text) const {
    if (options_.verbosity > 0) fmt::print(stderr, "sparse-run: {}\n", text);
  }
  /// Errors of the session name nodes; the file is added here.
  template <class Body>
  decltype(auto) in_model(Body&& body) const {
    return with_context([&] { return options_.model; }, std::forward<Body>(body));
  }

  /// What an open device has against a node; plans for devices that are not open ask nobody.
  std::string refusal(const std::string& device, const Graph& graph, const Node& node) const {
    for (const auto& open : devices_) {
      if (open->name() == device) return open->refusal(graph, node);
    }
    return {};
  }

  void load() {
    const auto start = Clock::now();
    limits_ = options_.untrusted ? ImportLimits::untrusted() : ImportLimits();
    session_options_.threads = options_.threads;
    session_options_.seed = options_.seed;
    session_options_.passes.disabled.insert(options_.disabled_passes.begin(), options_.disabled_passes.end());
    session_options_.memory_limit = memory_limit_;
    for (const auto& [device, bytes] : options_.memory_limits) {
      session_options_.device_memory_limits[full_device_name(device)] = bytes;
    }
    with_context([] { return "--disable-pass"; }, [&] { check_pass_names(session_options_.passes.disabled); });
    report_.machine = discover_machine();
    if (session_options_.threads == 0) session_options_.threads = threads_per_rank(report_.machine.cores);
    const Model model = load_model(options_.model, limits_);
    check_interruption();
    const std::string hash = model.hash;
    evaluator_ = std::make_shared<reference::ReferenceEvaluator>();
    const DeviceRefusal refused = [this](const std::string& device, const Graph& graph, const Node& node) {
      return refusal(device, graph, node);
    };
    placement_ =
        make_planner(options_, report_.machine, session_options_.threads, hash, notice(), refused, plan_measurer());
    part_placement_ = placement_;
    if (ranks_ && !options_.plan.empty()) {
      Options parts = options_;
      parts.plan.clear();
      part_placement_ = make_planner(parts, report_.machine, session_options_.threads, hash, notice(), refused);
    }
    planner_ = [placement = placement_, kernels = ranks_ ? &kernel_choices_ : nullptr](const Graph& graph) {
      Plan plan = placement->plan(graph);
      if (kernels != nullptr) kernels->apply(plan, graph);
      return plan;
    };
    devices_ = open_devices(options_, report_.machine, plans_only() ? nullptr : &placement_->options().topology,
                            notice(), remarks_);
    if (!options_.topology_out.empty()) {
      write_text_file(options_.topology_out, topology_to_json(placement_->options().topology));
    }
    follow_model(model);
    if (!options_.export_placed.empty()) model_ = model;
    in_model([&] {
      check_operators(*model.graph);
      session_.emplace(model.graph, devices_, evaluator_, planner_, session_options_);
    });
    report_.model_file = options_.model;
    report_.model_hash = hash;
    report_.inputs = session_->inputs();
    report_.outputs = session_->outputs();
    report_.threads = session_->options().threads;
    report_.seed = options_.seed;
    report_.precision = options_.precision;
    report_.load_passes = session_->load_passes();
    report_.load_s = seconds_since(start);
    chat(fmt::format("{}: loaded in {:.3f} s, {} nodes after {} passes", options_.model, report_.load_s,
                     session_->graph()->nodes().size(), report_.load_passes.size()));
  }

  /// Runs plans against each other; empty when predictions are to decide. Used once the devices are open.
  PlanMeasurer plan_measurer() {
    if (ranks_ || plans_only() || options_.plan_timing == 0) return {};
    return [this](const Graph& graph, std::span<const Plan> plans) {
      const PlannerOptions& planning = placement_->options();
      const std::string circumstances = calibration_key(report_.machine, session_options_.threads) + '\n' +
                                        planning.model_hash + '\n' + topology_to_json(planning.topology);
      return plan_seconds({options_, devices_, evaluator_, session_options_, circumstances}, graph, plans, notice());
    };
  }

  /// Places nodes as the model's file says, when nothing else was asked for.
  void follow_model(const Model& model) {
    if (ranks_ || options_.policy_given || !options_.plan.empty() || !options_.pins.empty() || plans_only()) return;
    auto placement = in_model([&] { return configured_placement(model, devices_, notice()); });
    if (!placement) return;
    notice()("devices are those that the model's file names; --policy auto plans anew");
    planner_ = [placement = std::move(*placement), planner = placement_, devices = devices_,
                hash = model.hash](const Graph& graph) {
      Plan plan = follow_placement(graph, placement, devices, hash);
      predict_plan(planner->problem(graph), plan);
      return plan;
    };
  }

  void compile() {
    check_interruption();
    const auto start = Clock::now();
    std::vector<Type> types;
    for (const Value& value : inputs_.first_request()) types.push_back(Type::of(value));
    report_.compiled = in_model([&] { return session_->prepare(types); });
    report_.compile_s = seconds_since(start);
    chat(
        fmt::format("{}: compiled for {} in {:.3f} s", options_.model, report_.compiled->signature, report_.compile_s));
    if (options_.dry_run) print(plan_text(*report_.compiled));
  }

  /// Whether devices may be named that are not here.
  bool plans_only() const { return !options_.simulate.empty() || (options_.dry_run && !options_.topology.empty()); }

  /// A plan for devices that need not be here: nothing is compiled or run.
  void plan_only() {
    inputs_ = gather_inputs(session_->inputs(), options_, memory_limit_, notice());
    std::vector<Type> types;
    for (const Value& value : inputs_.first_request()) types.push_back(Type::of(value));
    in_model([&] {
      reference::ReferenceEvaluator evaluator;
      auto graph =
          std::make_shared<const Graph>(specialize(*session_->graph(), types, evaluator, session_->options().passes));
      if (!options_.simulate.empty()) {
        const std::string text = simulate_cluster(options_, *placement_, *graph);
        print(text);
        return;
      }
      CompileReport planned;
      planned.signature = signature_of(*session_->graph(), types);
      planned.graph = graph;
      planned.plan = placement_->plan(*graph);
      print(plan_text(planned));
      report_.compiled = std::make_shared<const CompileReport>(std::move(planned));
      explain();
      write_plan();
    });
    finish();
  }

  void explain() {
    if (!options_.explain) return;
    const CompileReport& compiled = *report_.compiled;
    print(placement_text(*placement_, compiled, report_.profile));
    if (!compiled.layers.empty()) print(explain_text(compiled));
  }

  void write_plan() {
    const CompileReport& compiled = *report_.compiled;
    if (model_) export_placed(options_.export_placed, options_.model, *model_, compiled, limits_);
    if (options_.plan_out.empty()) return;
    if (options_.plan_out.ends_with(".dot")) {
      write_text_file(options_.plan_out, plan_to_dot(compiled.plan, *compiled.graph));
    } else if (options_.plan_out.ends_with(".html")) {
      write_text_file(options_.plan_out, plan_page(*placement_, compiled, report_.profile));
    } else {
      write_text_file(options_.plan_out, plan_to_json(compiled.plan, *compiled.graph));
    }
  }

  /// Where results go. They stay here, because comparisons are asked for later.
  const std::vector<std::unique_ptr<ResultSink>>& make_sinks() {
    std::vector<std::unique_ptr<ResultSink>>& sinks = sinks_;
    if (!options_.output.empty()) {
      sinks.push_back(std::make_unique<NpzResults>(options_.output, session_->outputs()));
    }
    if (!options_.expect.empty()) {
      auto sink = std::make_unique<ExpectedResults>(options_.expect, session_->outputs(),
                                                    Tolerance{options_.rtol, options_.atol}, memory_limit_);
      expected_ = sink.get();
      sinks.push_back(std::move(sink));
    }
    if (sinks.empty() && !quiet_stdout_) sinks.push_back(std::make_unique<SummaryResults>(session_->outputs()));
    return sinks;
  }

  void take_comparisons() {
    if (expected_ == nullptr) return;
    report_.comparisons.insert(report_.comparisons.end(), expected_->comparisons().begin(),
                               expected_->comparisons().end());
  }

  /// Whether nothing needs the inputs again after results are there.
  bool runs_once() const { return !options_.benchmark && !options_.profile && !options_.explain; }

  void run() {
    const auto& sinks = make_sinks();
    const auto start = Clock::now();
    if (inputs_.batching.is_job) {
      run_as_job(sinks);
    } else {
      const std::int64_t rows = inputs_.rows_per_request();
      auto inputs = runs_once() ? inputs_.hand_over() : inputs_.first_request();
      const auto outputs = in_model([&] { return session_->run(std::move(inputs), run_options_); });
      for (const auto& sink : sinks) sink->take(0, rows, rows, outputs);
    }
    run_seconds_ = seconds_since(start);
    check_interruption();
    for (const auto& sink : sinks) sink->finish();
    if (inputs_.batching.is_job) {
      report_.job->seconds = seconds_since(start);
      const double rate = static_cast<double>(report_.job->rows) / report_.job->seconds;
      notice()(fmt::format("{} rows in {}, {:.5g} rows/s", format_count(static_cast<double>(report_.job->rows)),
                           format_seconds(report_.job->seconds), rate));
    }
    take_comparisons();
  }

  void run_as_job(const std::vector<std::unique_ptr<ResultSink>>& sinks) {
    const Batching& batching = inputs_.batching;
    JobOptions job;
    job.micro_batch = batching.micro_batch;
    job.pad_last = batching.pad_last;
    const auto devices = static_cast<int>(report_.compiled->devices.size());
    job.in_flight = options_.streams.value_or(std::min(kJobRequestsInFlight, report_.threads) +
                                              kPipelinedRequestsInFlight * devices);
    job.cancelled = run_options_.cancelled;
    job.trace = run_options_.trace;
    report_.job = JobReport{batching.rows, batching.micro_batch, job.in_flight, 0};
    Progress progress(options_.verbosity < 0);
    run_job(
        [&](std::span<const Value> request) { return in_model([&] { return session_->run(request, run_options_); }); },
        inputs_.inputs, job,
        [&](std::int64_t first, std::int64_t count, const std::vector<Value>& outputs) {
          for (const auto& sink : sinks) sink->take(first, count, batching.rows, outputs);
        },
        [&](std::int64_t done, std::int64_t total) { progress.update(done, total); });
    progress.finish();
  }

  void run_data_sets() {
    const auto comparisons = in_model([&] {
      return run_test_data(*session_, options_.test_data, {options_.rtol, options_.atol}, limits_, run_options_);
    });
    report_.comparisons.insert(report_.comparisons.end(), comparisons.begin(), comparisons.end());
  }

  void check_cuts() {
    const auto comparisons = in_model([&] {
      return verify_cuts(*session_, inputs_.first_request(), {options_.rtol, options_.atol}, run_options_, notice());
    });
    report_.comparisons.insert(report_.comparisons.end(), comparisons.begin(), comparisons.end());
  }

  void benchmark() {
    report_.benchmark = in_model([&] {
      return run_benchmark(*session_, inputs_.first_request(), inputs_.rows_per_request(), options_, run_options_);
    });
    print(benchmark_text(report_));
    const std::string warning = noise_warning(report_.benchmark->latency_ms);
    if (!warning.empty()) notice()(warning);
  }

  void profile() {
    report_.profile =
        in_model([&] { return profile_request(*session_, inputs_.first_request(), *report_.compiled, run_options_); });
    report_.profile->remarks = remarks_->lines();
    if (!options_.profile) return;
    report_.limits = measure_machine_limits(report_.machine, report_.threads);
    print(profile_text(*report_.compiled, *report_.profile, *report_.limits, options_.precision));
  }

  void finish() {
    if (trace_) {
      std::ostringstream text;
      trace_->write(text);
      write_text_file(options_.trace, text.str());
    }
    if (options_.json == "-") {
      std::fputs(report_json(report_).c_str(), stdout);
    } else if (!options_.json.empty()) {
      write_text_file(options_.json, report_json(report_));
    }
    if (!report_.comparisons.empty()) report_comparisons(report_.comparisons, quiet_stdout_);
  }

  const Options& options_;
  std::unique_ptr<Ranks> ranks_;  // null when this process runs alone; goes last
  bool quiet_stdout_;
  std::uint64_t memory_limit_;
  ImportLimits limits_;
  std::optional<Trace> trace_;
  RunOptions run_options_;
  // What sessions are made of: the model's, and those of stages that this rank runs.
  SessionOptions session_options_;
  const std::shared_ptr<DeviceRemarks> remarks_ = std::make_shared<DeviceRemarks>();  // shared with devices
  std::vector<std::shared_ptr<Device>> devices_;
  std::shared_ptr<Evaluator> evaluator_;  // shared between sessions
  Planner planner_;
  KernelChoices kernel_choices_;                      // of rank 0
  std::shared_ptr<PlacementPlanner> placement_;       // shared with the planner function, which the session keeps
  std::shared_ptr<PlacementPlanner> part_placement_;  // the same without a plan file; shared likewise
  std::optional<Session> session_;
  std::optional<Model> model_;  // as loaded, where it is written again
  GatheredInputs inputs_;
  std::vector<std::unique_ptr<ResultSink>> sinks_;
  ExpectedResults* expected_ = nullptr;  // one of the sinks
  RunReport report_;
  double run_seconds_ = 0;
};  // namespace sparse_run::cli

}  // namespace

void run_model(const Options& options) { ModelRun(options).execute(); }

void inspect_model(const Options& options) {
  const Model model = load_model(options.model, options.untrusted ? ImportLimits::untrusted() : ImportLimits());
  reference::ReferenceEvaluator evaluator;
  with_context([&] { return options.model; },
               [&] {
                 check_operators(*model.graph);
                 if (options.json != "-") std::fputs(inspect_text(model, options.model, evaluator).c_str(), stdout);
                 if (options.json.empty()) return;
                 const std::string json = inspect_json(model, options.model, evaluator);
                 if (options.json == "-") {
                   std::fputs(json.c_str(), stdout);
                 } else {
                   write_text_file(options.json, json);
                 }
               });
}

}  // namespace sparse_run::cli
