// Phases that ranks go through together.
#include "cli/ranked_run.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/clock.hpp"
#include "cli/form_choice.hpp"
#include "cli/interruption.hpp"
#include "cli/part_store.hpp"
#include "cli/placement.hpp"
#include "cli/progress.hpp"
#include "cli/quantities.hpp"
#include "cli/rank_inputs.hpp"
#include "cli/rank_table.hpp"
#include "cli/version.hpp"
#include "graph/onnx/content_hash.hpp"
#include "graph/passes/pipeline.hpp"
#include "partitioner/rank_stages.hpp"
#include "runtime/distributed/data_stream.hpp"
#include "runtime/distributed/graph_form.hpp"
#include "runtime/distributed/pipeline_form.hpp"
#include "runtime/distributed/row_form.hpp"
#include "runtime/distributed/wire.hpp"
#include "runtime/job.hpp"

namespace sparse_run::cli {

namespace {

constexpr std::int64_t kRequestsPerRank = 8;  // of a job whose request size is ours to choose
constexpr std::int64_t kLargestPlannedBatch = 64;
constexpr std::int64_t kWarmupRequestsPerRank = 3;
constexpr int kStagesOfHybrid = 2;
constexpr double kUseOfLink = 0.5;  // a link as busy as the stages would hide nothing of what varies
constexpr double kDominant = 0.5;   // share of the time

class RankedRun {
 public:
  explicit RankedRun(RankedContext context) : context_(std::move(context)) {}

  /// Bodies of phases are each rank's own business; whatever ranks do together stands between phases.
  void execute() {
    check_options();
    phase("inputs", [&] {
      if (!leads()) return;
      inputs_ = gather_inputs(context_.session.inputs(), options(), context_.memory_limit, context_.notice);
      if (!adds_along_edges()) plan_requests();
    });
    job_ = share_job(ranks().cluster(), inputs_);
    const auto start = Clock::now();
    warn_of_oversubscription();
    choice_ = options().parallel == Parallel::automatic ? best_form() : chosen_form();
    if (!make_cut_form(choice_.form)) make_data_form();
    context_.report.compile_s = seconds_since(start);
    if (options().dry_run) return;
    phase("output", [&] {
      if (leads() && context_.wants_results) open_output();
    });
    if (context_.wants_results)
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
  const Options& options() const { return context_.options; }
  Ranks& ranks() { return context_.ranks; }
  bool leads() const { return context_.ranks.leads(); }

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
    Batching& batching = inputs_.batching;
    if (batching.is_job || options().micro_batch) return;
    std::vector<Type> types;
    std::int64_t rows = 0;
    for (const JobInput& input : inputs_.inputs) types.push_back(Type::of(input.value));
    const auto& ports = context_.session.inputs();
    for (std::size_t i = 0; i < ports.size() && rows == 0; ++i) {
      if (!types[i].shape || types[i].shape->empty() || !ports[i].type.shape || ports[i].type.shape->empty()) continue;
      if (ports[i].type.shape->front() < 0) rows = types[i].shape->front();
    }
    const std::int64_t size =
        std::clamp<std::int64_t>(rows / (kRequestsPerRank * ranks().size()), 1, kLargestPlannedBatch);
    if (rows < 2 || size >= rows) return;
    batching = plan_batching(ports, types, size);
    for (std::size_t i = 0; i < ports.size(); ++i) inputs_.inputs[i].split = batching.split[i];
    context_.notice(fmt::format("requests of {} row{}; choose with --micro-batch", size, size == 1 ? "" : "s"));
  }

  void warn_of_oversubscription() {
    const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
    const int wanted = ranks_on_this_host() * context_.report.threads;
    if (!leads() || wanted <= online) return;
    context_.notice(
        fmt::format("{} ranks of {} threads share {} processors here; use --threads, or mpirun --map-by "
                    "ppr:1:numa --bind-to numa with fewer ranks",
                    ranks_on_this_host(), context_.report.threads, online));
  }

  FormChoice chosen_form() {
    FormChoice choice{options().parallel, 0, 1};
    if (choice.form == Parallel::hybrid) choice.groups = std::max(1, ranks().size() / kStagesOfHybrid);
    return choice;
  }

  /// A plan file decides. Otherwise, streams of requests go the way that is the fastest in simulation, a model that
  /// does not fit a rank's memory is cut into stages, and a graph network that mostly adds along edges shares the
  /// nodes. One request alone is for rank 0, or for all of them where the ranks share a host and splitting its layers
  /// is predicted to pay.
  FormChoice best_form() {
    const bool one_request = !job_.is_job && !options().benchmark;
    const bool simulates = !one_request && options().plan.empty();
    if (simulates) link_ = probe_link(ranks().cluster());
    WireWriter message;
    FormChoice best;
    phase("plan", [&] {
      if (!leads()) return;
      if (!options().plan.empty()) {
        if (ranks_of_plan() > 1) best.form = Parallel::pipeline;
      } else if (weight_bytes() > context_.memory_limit) {
        best.form = Parallel::pipeline;
      } else if (pays_to_share_nodes()) {
        best.form = Parallel::graph;
      } else if (one_request) {
        if (ranks_on_this_host() == ranks().size() && pays_to_split()) best.form = Parallel::rows;
      } else {
        const std::int64_t requests = job_.is_job ? (job_.rows + job_.micro_batch - 1) / job_.micro_batch : INT64_MAX;
        best = choose_form(*context_.placement, resolved(), ranks().size(), *link_, requests,
                           options().verbosity > 0 ? context_.notice : nullptr);
      }
      message.put(best.form);
      message.put(best.stages);
      message.put(best.groups);
    });
    WireReader reader(ranks().cluster().broadcast(message.take()));
    best.form = reader.get<Parallel>();
    best.stages = reader.get<int>();
    best.groups = reader.get<int>();
    return best;
  }

  std::size_t weight_bytes() const {
    std::size_t bytes = 0;
    for (const ValueDef& value : context_.session.graph()->values()) {
      if (value.tensor() != nullptr && value.tensor()->dtype() != DType::string) bytes += value.tensor()->bytes();
    }
    return bytes;
  }
  Graph resolved() const {
    return specialize(*context_.session.graph(), job_.request_types, *context_.evaluator, context_.passes);
  }

  /// The plan file for a graph of this model. Error(usage) when it is none, or that of another model.
  Plan plan_file(const Graph& graph) const {
    return with_context([&] { return "--plan " + options().plan; },
                        [&] {
                          Plan plan = plan_from_json(read_text(options().plan, "--plan"), graph);
                          if (!plan.model_hash.empty() && plan.model_hash != context_.report.model_hash) {
                            throw_error(ErrorKind::usage,
                                        "the plan was made for a model with hash {}, this one has {}; plan again",
                                        plan.model_hash, context_.report.model_hash);
                          }
                          return plan;
                        });
  }
  int ranks_of_plan() const {
    int highest = 0;
    for (const PlannedPartition& partition : plan_file(resolved()).partitions)
      highest = std::max(highest, partition.rank);
    return highest + 1;
  }

  /// Whether exchanging activations costs less than half of what splitting the layers saves.
  bool pays_to_split() const {
    try {
      const Graph graph = resolved();
      const RowSplitOptions link;
      const RowProgram rows = split_rows(graph, 0, context_.ranks.size(), link);
      double all_s = 0;
      for (const double seconds : estimate_node_seconds(graph)) all_s += seconds;
      double own_s = 0;
      for (const double seconds : estimate_node_seconds(*rows.graph)) own_s += seconds;
      double exchange_s = 0;
      for (const RowExchange& exchange : rows.exchanges) {
        exchange_s +=
            link.link_latency_s + 4 * static_cast<double>(element_count(exchange.shape)) / link.link_bytes_per_s;
      }
      return exchange_s < 0.5 * (all_s - own_s);
    } catch (const Error&) {
      return false;  // what is wrong with the model shows when it is compiled
    }
  }

  /// Whether the model adds up rows along the edges of a graph: then its inputs belong together, whatever their sizes.
  bool adds_along_edges() const {
    const auto nodes = context_.session.graph()->nodes();
    return std::any_of(nodes.begin(), nodes.end(), [](const Node& node) {
      return (node.is("ScatterElements") || node.is("ScatterND")) && node.string_or("reduction", "none") != "none";
    });
  }

  PassOptions passes_for_graphs() const {
    PassOptions passes = context_.passes;
    passes.disabled.insert("fuse-aggregate");  // ranks fuse what they have
    return passes;
  }

  /// Whether sums along the edges of one graph take most of the time and ranks can share its nodes.
  bool pays_to_share_nodes() const {
    if (job_.is_job || !adds_along_edges()) return false;
    try {
      auto graph = std::make_shared<const Graph>(
          specialize(*context_.session.graph(), job_.request_types, *context_.evaluator, passes_for_graphs()));
      if (aggregate_share(*graph) < kDominant) return false;
      split_graph(std::move(graph));
      return true;
    } catch (const Error&) {
      return false;  // what is wrong with the model shows when it is compiled
    }
  }

  template <class Body>
  void phase(std::string_view name, Body&& body) {
    ranks().cluster().phase(name, [&] {
      check_interruption();
      body();
    });
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

  void make_data_form() {
    // Rank 0 chooses kernels, by timing them where that is on; the others take the same, so that results are the same.
    phase("compile", [&] {
      if (leads()) context_.report.compiled = context_.session.prepare(job_.request_types);
    });
    auto kernels =
        ranks().cluster().broadcast(leads() ? KernelChoices::of(*context_.report.compiled) : std::vector<std::byte>());
    phase("compile", [&] {
      if (leads()) return;
      context_.kernels.set(std::move(kernels));
      try {
        context_.report.compiled = context_.session.prepare(job_.request_types);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::usage) throw;
        context_.kernels.clear();  // another kind of processor, which has not these kernels
        context_.report.compiled = context_.session.prepare(job_.request_types);
      }
    });
    bool readable = false;
    if (!leads() && !job_.fingerprint.empty()) {
      try {
        Options same = options();
        if (job_.is_job && !job_.pad_last) same.micro_batch = job_.micro_batch;
        inputs_ = gather_inputs(context_.session.inputs(), same, context_.memory_limit, [](const std::string&) {});
        readable = true;
      } catch (const Error& error) {
        inputs_ = {};  // this host does not have the files: rank 0 sends what is needed
        if (options().verbosity > 0)
          fmt::print(stderr, "sparse-run: rank {}: {}; rank 0 sends inputs\n", ranks().rank(), error.what());
      }
    }
    DataStreamOptions stream;
    stream.reads_itself = agree_on_readers(ranks().cluster(), job_, leads() || readable ? &inputs_ : nullptr);
    make_parts();
    form_ = std::make_unique<DataForm>(
        ranks().cluster(),
        [this](std::span<const Value> values) { return context_.session.run(values, context_.run_options); }, stream,
        [this](std::int64_t request) { return inputs_of(request); }, context_.run_options.trace);
  }

  /// The signatures of requests: full ones, and a shorter last one.
  std::vector<std::vector<Type>> signatures() const {
    std::vector<std::vector<Type>> all{job_.request_types};
    const std::int64_t tail = job_.is_job && !job_.pad_last ? job_.rows % job_.micro_batch : 0;
    if (tail == 0) return all;
    all.push_back(job_.request_types);
    for (std::size_t i = 0; i < job_.split.size(); ++i) {
      if (job_.split[i]) all.back()[i].shape->front() = tail;
    }
    return all;
  }

  /// The model resolved for every signature; empty, with a notice, when it cannot be cut.
  std::vector<PipelineSignature> resolve_for_cutting(const PassOptions& passes) {
    std::vector<PipelineSignature> resolved;
    phase("resolve", [&] {
      for (const std::vector<Type>& types : signatures()) {
        resolved.push_back(
            {std::make_shared<const Graph>(specialize(*context_.session.graph(), types, *context_.evaluator, passes)),
             {}});
      }
    });
    for (const PipelineSignature& signature : resolved) {
      const Graph& graph = *signature.graph;
      const auto obstacle = std::find_if(graph.outputs().begin(), graph.outputs().end(),
                                         [&](ValueId output) { return !can_cross_ranks(graph.value(output).type); });
      if (obstacle == graph.outputs().end()) continue;
      if (leads()) {
        context_.notice(
            fmt::format("--parallel: output '{}' is {}, whose size is not known beforehand: the model is "
                        "not cut, requests are spread instead",
                        graph.value(*obstacle).name, to_string(graph.value(*obstacle).type)));
      }
      return {};
    }
    return resolved;
  }

  int signature_of(std::int64_t request) const {
    return request >= 0 && parts_ && !job_.pad_last && parts_->rows_of(request).count < job_.micro_batch ? 1 : 0;
  }

  /// False, after a notice, when the model is not cut.
  bool make_cut_form(Parallel form) {
    if (form == Parallel::data) return false;
    if (form == Parallel::graph) return make_graph_form();
    return form == Parallel::rows ? make_row_form() : make_pipeline_form();
  }

  bool make_graph_form() {
    if (job_.is_job)
      throw_error(ErrorKind::usage, "--parallel graph: every request is a whole graph: leave out --micro-batch");
    const std::vector<PipelineSignature> resolved = resolve_for_cutting(passes_for_graphs());
    if (resolved.empty()) return false;
    phase("compile", [&] {
      GraphFormOptions graph;
      graph.cut = options().node_cut;
      graph.notice = leads() && options().verbosity >= 0 ? context_.notice : nullptr;
      graph.trace = context_.run_options.trace;
      form_ = std::make_unique<GraphForm>(ranks().cluster(), split_graph(resolved.front().graph), std::move(graph),
                                          context_.make_session);
    });
    return true;
  }

  bool make_row_form() {
    const std::vector<PipelineSignature> resolved = resolve_for_cutting(context_.passes);
    if (resolved.empty()) return false;
    make_parts();
    phase("compile", [&] {
      std::vector<RowProgram> programs;
      for (const PipelineSignature& signature : resolved) {
        programs.push_back(split_rows(*signature.graph, ranks().rank(), ranks().size()));
      }
      if (leads()) {
        const RowProgram& first = programs.front();
        if (first.split_nodes == 0) {
          context_.notice("no layer is large enough to be split: every rank computes everything");
        } else if (options().verbosity > 0) {
          context_.notice(fmt::format("{} layers are split, {} exchanges in {} levels", first.split_nodes,
                                      first.exchanges.size(), first.levels.size()));
        }
      }
      form_ = std::make_unique<RowForm>(
          ranks().cluster(), std::move(programs), [this](std::int64_t request) { return signature_of(request); },
          context_.make_session, context_.run_options.trace);
    });
    return true;
  }

  bool make_pipeline_form() {
    const int pipelines = choice_.groups;
    std::vector<PipelineSignature> planned = resolve_for_cutting(context_.passes);
    if (planned.empty()) return false;
    share_plans(planned, choice_.stages > 0 ? choice_.stages : ranks().size() / pipelines);
    PipelineOptions pipeline;
    pipeline.groups = pipelines;
    pipeline.signature_of = [this](std::int64_t request) { return signature_of(request); };
    make_parts();
    phase("compile", [&] {
      const bool placed = std::any_of(planned.begin(), planned.end(), [](const PipelineSignature& signature) {
        return std::any_of(signature.plan.partitions.begin(), signature.plan.partitions.end(),
                           [](const PlannedPartition& partition) { return partition.device != "cpu"; });
      });
      auto make_session = context_.make_session;
      if (placed) {
        make_session = [this, where = placement_of(planned.front().plan, *planned.front().graph)](
                           std::shared_ptr<const Graph> part) {
          return context_.make_placed_session(std::move(part), where);
        };
      }
      auto made = std::make_unique<PipelineForm>(ranks().cluster(), planned, pipeline, make_session,
                                                 context_.run_options.trace);
      const int working = made->stages() * pipelines;
      if (leads() && working < ranks().size()) {
        context_.notice(fmt::format("{} of {} ranks idle: more stages would not be faster", ranks().size() - working,
                                    ranks().size()));
      }
      form_ = std::move(made);
    });
    return true;
  }

  /// What each node takes on this rank's CPU, as the planner predicts it.
  std::vector<double> node_seconds(const Graph& graph) const {
    const PlacementProblem problem = context_.placement->problem(graph);
    const auto cpu = std::find_if(problem.devices.begin(), problem.devices.end(),
                                  [](const auto& device) { return device.spec.kind == DeviceKind::cpu; });
    require(cpu != problem.devices.end(), "a host without a CPU");
    std::vector<double> seconds;
    for (NodeId id = 0; id < graph.nodes().size(); ++id)
      seconds.push_back(problem.time(static_cast<int>(id), static_cast<int>(cpu - problem.devices.begin())));
    return seconds;
  }

  /// Rank 0 plans; everybody gets the plans, and has the same graphs that they are for.
  void share_plans(std::vector<PipelineSignature>& signatures, int stages) {
    if (options().plan.empty() && !link_) link_ = probe_link(ranks().cluster());
    phase("plan", [&] {
      if (!leads()) return;
      for (PipelineSignature& signature : signatures) {
        if (!options().plan.empty()) {
          signature.plan = plan_file(*signature.graph);
          continue;
        }
        StageCosts costs;
        costs.link_bytes_per_s = kUseOfLink * link_->bytes_per_s;
        costs.link_latency_s = link_->latency_s;
        costs.node_s = node_seconds(*signature.graph);
        signature.plan = plan_stages(*signature.graph, stages, costs, "cpu", context_.report.model_hash);
      }
    });
    WireWriter writer;
    if (leads()) {
      for (const PipelineSignature& signature : signatures) {
        writer.put(std::string_view(plan_to_json(signature.plan, *signature.graph)));
      }
    }
    WireReader reader(ranks().cluster().broadcast(writer.take()));
    std::string seen;
    phase("plan", [&] {
      for (PipelineSignature& signature : signatures) {
        const Graph& graph = *signature.graph;
        const std::string text = reader.text();
        if (!leads()) signature.plan = plan_from_json(text, graph);
        seen += text;
        for (const Node& node : graph.nodes()) {
          seen += node.name + node.op;
          for (const ValueId value : node.outputs) {
            if (value != kNoValue) seen += to_string(graph.value(value).type);
          }
        }
      }
    });
    ranks().check_same("plan", onnx::hash_text(onnx::content_hash(std::as_bytes(std::span(seen)))));
  }

  void make_parts() {
    if (job_.is_job && !inputs_.inputs.empty()) parts_.emplace(inputs_.inputs, job_.micro_batch, job_.pad_last);
  }
  /// Requests below zero are those of a benchmark: the first request again and again.
  std::vector<Value> inputs_of(std::int64_t request) const {
    return request < 0 || !parts_ ? inputs_.first_request() : parts_->request(request);
  }

  void open_output() {
    sinks_ = context_.make_sinks();
    if (!parts_ || options().output.empty()) return;
    store_.emplace(options().output + ".parts", job_identity(), options().resume);
    if (store_->size() == 0) return;
    context_.notice(fmt::format("{} of {} requests were finished before", store_->size(), parts_->count()));
  }

  void run() {
    const auto& sinks = *sinks_;
    auto& store = store_;
    const std::int64_t count = parts_ ? parts_->count() : 1;
    RequestStream stream;
    for (std::int64_t request = 0; request < count; ++request) {
      if (!store || !store->contains(request)) stream.requests.push_back(request);
    }
    std::int64_t next = 0;  // request for the sinks
    stream.inputs = [this](std::int64_t request) { return inputs_of(request); };
    stream.cancelled = context_.run_options.cancelled;
    Progress progress(options().verbosity < 0 || !parts_);
    const auto deliver = [&](std::int64_t request, const std::vector<Value>& outputs) {
      const auto [first, rows] = parts_->rows_of(request);
      for (const auto& sink : sinks) sink->take(first, rows, parts_->rows(), outputs);
      progress.update(first + rows, parts_->rows());
      ++next;
    };
    const auto deliver_stored = [&] {
      while (store && next < count && store->contains(next)) deliver(next, store->load(next));
    };
    stream.sink = [&](std::int64_t request, std::vector<Value> outputs) {
      if (!parts_) {
        const std::int64_t rows = inputs_.rows_per_request();
        for (const auto& sink : sinks) sink->take(0, rows, rows, outputs);
        return;
      }
      deliver_stored();
      parts_->trim(request, outputs);
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
    if (!parts_) return;
    context_.report.job = JobReport{parts_->rows(), job_.micro_batch, ranks().size(), seconds_since(start)};
    context_.notice(fmt::format("{} rows in {} on {} ranks ({}), {:.5g} rows/s",
                                format_count(static_cast<double>(parts_->rows())),
                                format_seconds(context_.report.job->seconds), ranks().size(), form_->name(),
                                static_cast<double>(parts_->rows()) / context_.report.job->seconds));
  }

  /// What must be the same for finished parts to be of this job.
  std::string job_identity() const {
    return fmt::format("{}; {}; {}; {} rows by {}{}", version_line(), context_.report.model_hash, identity_of(inputs_),
                       job_.rows, job_.micro_batch, job_.pad_last ? ", padded" : "");
  }

  void benchmark() {
    std::vector<double> finished_s;
    std::vector<double> started_s;
    Clock::time_point start;
    const auto stream_of = [&](std::int64_t count) {
      RequestStream stream;
      for (std::int64_t i = 0; i < count; ++i) stream.requests.push_back(i - count);
      stream.cancelled = context_.run_options.cancelled;
      stream.inputs = [&](std::int64_t request) {
        started_s.push_back(seconds_since(start));
        return inputs_of(request);
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
    BenchmarkResult& result = context_.report.benchmark.emplace();
    result.scenario = Scenario::throughput;
    result.streams = ranks().size();
    result.items_per_request = inputs_.rows_per_request();
    result.seconds = finished_s.back();
    std::vector<double> intervals;
    for (std::size_t i = 0; i < finished_s.size(); ++i) {
      intervals.push_back(1e3 * (finished_s[i] - (i == 0 ? 0 : finished_s[i - 1])));
    }
    result.latency_ms = summarize(std::move(intervals));
    result.requests_per_s = static_cast<double>(finished_s.size()) / result.seconds;
    result.items_per_s = result.requests_per_s * static_cast<double>(result.items_per_request);
    context_.print(fmt::format(
        "benchmark   {} ranks, {}: {} requests of {} item{} in {:.2f} s\n"
        "throughput  {:.5g} items/s ({:.5g} requests/s)\n",
        ranks().size(), form_->name(), finished_s.size(), result.items_per_request,
        result.items_per_request == 1 ? "" : "s", result.seconds, result.items_per_s, result.requests_per_s));
  }

  void report_ranks() {
    const comm::Traffic traffic = ranks().cluster().transport().traffic();
    rank_report_.sent_bytes = traffic.sent_bytes;
    rank_report_.received_bytes = traffic.received_bytes;
    const auto all = gather_rank_reports(ranks().cluster(), rank_report_);
    if (leads() && options().verbosity >= 0) context_.notice("ranks\n" + rank_table(all));
  }

  RankedContext context_;
  GatheredInputs inputs_;
  SharedJob job_;
  std::optional<JobParts> parts_;
  const std::vector<std::unique_ptr<ResultSink>>* sinks_ = nullptr;  // on rank 0
  std::optional<PartStore> store_;
  FormChoice choice_;
  std::optional<LinkRates> link_;  // as measured, where it was; rank 0's counts
  std::unique_ptr<RankForm> form_;
  RankReport rank_report_;
  bool led_ = false;  // a stream of this phase was begun
};

}  // namespace

void run_across_ranks(RankedContext context) { RankedRun(std::move(context)).execute(); }

}  // namespace sparse_run::cli
