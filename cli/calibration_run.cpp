// Running the calibration.
#include "cli/calibration_run.hpp"

#include <fmt/format.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "cli/handover_timing.hpp"
#include "cli/inputs.hpp"
#include "cli/interruption.hpp"
#include "cli/placement.hpp"
#include "cli/profile.hpp"
#include "cli/quantities.hpp"
#include "cli/ranks.hpp"
#include "cli/text_table.hpp"
#include "cpu/device.hpp"
#include "cpu/reference/evaluator.hpp"
#include "cpu/selection/kernel_memory.hpp"
#include "graph/onnx/import.hpp"
#include "graph/ops/infer.hpp"
#include "partitioner/contention.hpp"
#include "partitioner/layer_suite.hpp"
#include "partitioner/layer_timing.hpp"
#include "runtime/distributed/link_probe.hpp"
#include "runtime/session.hpp"

namespace sparse_run::cli {

namespace {

constexpr double kLayerSeconds = 0.04;
constexpr double kKernelTimingSeconds = 0.1;  // per layer of the suite, to choose its kernel
constexpr double kMostSeconds = 50;           // of the suite
constexpr double kLayerConfidenceSpread = 0.05;
constexpr int kNetworkTrips = 9;

class CalibrationRun {
 public:
  explicit CalibrationRun(const Options& options)
      : options_(options),
        machine_(discover_machine()),
        threads_(computing_threads(options, machine_)),
        cpu_(discover_topology(machine_, threads_).hosts.front().cpu()) {}

  std::string run() {
    const auto ranks = join_ranks(options_);
    if (!ranks) return measure();
    Cluster& cluster = ranks->cluster();
    std::string text;
    try {
      cluster.phase("calibrate the network", [&] { measure_network(cluster); });
      // Alone: the others would compute on the same cores.
      cluster.phase("calibrate", [&] {
        if (cluster.leads()) text = measure();
      });
    } catch (const Error& error) {
      if (cluster.agreed_to_fail()) throw;
      ranks->leave_after(error);
    }
    return text;
  }

 private:
  std::string measure() {
    const auto start = Clock::now();
    const std::string key = calibration_key(machine_, threads_);
    const auto file = calibration_path(options_, key);
    keep_earlier(file, key);
    measure_suite(start);
    traffic_.handover_us = time_handover(machine_, threads_);
    traffic_.copy_contention = contention_of_copies();
    std::vector<CopySample> copies = time_copies();
    if (!options_.model.empty()) measure_model();
    std::vector<CalibrationSample> samples;
    for (auto& [name, sample] : samples_) samples.push_back(std::move(sample));
    const Calibration calibration(key, std::move(samples), std::move(copies), traffic_);
    store_calibration(file, calibration);
    return summary(calibration) +
           fmt::format("stored in {}, measured in {}\n", file.string(), format_seconds(seconds_since(start)));
  }

  /// Between rank 0 and the last rank. Collective.
  void measure_network(Cluster& cluster) {
    std::vector<double> rates;
    std::vector<double> latencies;
    for (int trip = 0; trip < kNetworkTrips; ++trip) {
      check_interruption();
      const LinkRates link = probe_link(cluster);
      rates.push_back(link.bytes_per_s / 1e9);
      latencies.push_back(link.latency_s * 1e6);
    }
    const auto number_of = [](std::vector<double> samples) {
      const Timing timing = timing_of(std::move(samples));
      return MeasuredNumber{timing.median_s, timing.spread, timing.count};
    };
    traffic_.network_gb_per_s = number_of(std::move(rates));
    traffic_.network_latency_us = number_of(std::move(latencies));
  }

  /// Layers of models that were measured before stay known; what is measured again replaces them.
  void keep_earlier(const std::filesystem::path& file, const std::string& key) {
    try {
      if (const auto earlier = load_calibration(file, key)) {
        for (const CalibrationSample& sample : earlier->samples()) samples_[sample.key] = sample;
        const MeasuredTraffic& traffic = earlier->traffic();
        if (traffic_.network_gb_per_s.count == 0) {  // this time there are no other ranks
          traffic_.network_gb_per_s = traffic.network_gb_per_s;
          traffic_.network_latency_us = traffic.network_latency_us;
        }
      }
    } catch (const Error& error) {
      fmt::print(stderr, "sparse-run: {}; it is replaced\n", error.what());
    }
  }

  void measure_suite(Clock::time_point start) {
    cpu::CpuOptions cpu_options;
    cpu_options.timing_budget_s = options_.kernel_timing > 0 ? kKernelTimingSeconds : 0;
    const auto device = cpu::make_cpu_device(machine_, cpu_options);
    tbb::task_arena arena(threads_);
    bool first = true;
    for (const auto& layer : calibration_layers(options_.seed)) {
      check_interruption();
      if (seconds_since(start) > kMostSeconds) {
        fmt::print(stderr, "sparse-run: --calibrate: the machine is slow or busy; some layers were left out\n");
        break;
      }
      const NodeWork work = work_of(*layer, layer->node(0), zeros_);
      const std::string key = layer_key(*layer, layer->node(0), work);
      Timing timing;
      arena.execute([&] { timing = time_layer(layer, *device, threads_, kLayerSeconds); });
      add(key, work, timing);
      if (std::exchange(first, false)) {  // a convolution: long enough for a copying thread to make itself felt
        arena.execute(
            [&] { traffic_.compute_contention = contention_with_copies(layer_run(layer, *device, threads_)); });
      }
    }
  }

  void add(const std::string& key, const NodeWork& work, const Timing& timing) {
    CalibrationSample sample = sample_of(work, cpu_, key);
    sample.median_s = timing.median_s;
    sample.spread = timing.spread;
    sample.count = timing.count;
    samples_[key] = std::move(sample);
  }

  /// Takes the times of the model's own layers from a profile. A step that runs several nodes counts for the first of
  /// them, the others then cost nothing; equal layers share the mean.
  void measure_model() {
    const ImportLimits limits = options_.untrusted ? ImportLimits::untrusted() : ImportLimits();
    const Model model = load_model(options_.model, limits);
    with_context([&] { return options_.model; },
                 [&] {
                   check_operators(*model.graph);
                   SessionOptions session_options;
                   session_options.threads = threads_;
                   session_options.seed = options_.seed;
                   cpu::CpuOptions cpu_options;
                   cpu_options.timing_budget_s = options_.kernel_timing;
                   if (options_.cache_dir != "none") {
                     cpu_options.cache_folder = options_.cache_dir.empty() ? cpu::default_cache_folder()
                                                                           : std::filesystem::path(options_.cache_dir);
                   }
                   Session session(
                       model.graph, {cpu::make_cpu_device(machine_, cpu_options)},
                       std::make_shared<reference::ReferenceEvaluator>(),
                       [&](const Graph& graph) { return single_device_plan(graph, "cpu", model.hash); },
                       session_options);
                   measure_session(session);
                 });
  }

  void measure_session(Session& session) {
    const auto inputs = gather_inputs(session.inputs(), options_, std::uint64_t{1} << 40, [](const std::string&) {});
    const std::vector<Value> request = inputs.first_request();
    std::vector<Type> types;
    for (const Value& value : request) types.push_back(Type::of(value));
    const auto compiled = session.prepare(types);
    RunOptions run_options;
    run_options.cancelled = &interruption_flag();
    const Profile profile = profile_request(session, request, *compiled, run_options);
    std::unordered_map<std::string, double> ms_of;
    for (std::size_t p = 0; p < compiled->layers.size(); ++p) {
      for (std::size_t i = 0; i < compiled->layers[p].size(); ++i) {
        ms_of[compiled->layers[p][i].name] += profile.layer_ms[p][i];
      }
    }
    struct Sum {
      NodeWork work;
      double seconds = 0;
      int layers = 0;
    };
    std::map<std::string, Sum> sums;
    for (const Node& node : compiled->graph->nodes()) {
      const NodeWork work = work_of(*compiled->graph, node, zeros_);
      if (work.layer == LayerClass::view) continue;
      const auto measured = ms_of.find(node.name);
      Sum& sum = sums[layer_key(*compiled->graph, node, work)];
      sum.work = work;
      sum.seconds += measured == ms_of.end() ? 0 : measured->second / 1e3;
      ++sum.layers;
    }
    const int runs = static_cast<int>(std::max<std::size_t>(1, profile.runs));
    for (const auto& [key, sum] : sums) {
      add(key, sum.work, {sum.seconds / sum.layers, kLayerConfidenceSpread, runs});
    }
  }

  static std::string summary(const Calibration& calibration) {
    struct Class {
      std::vector<double> factors;
      std::vector<double> spreads;
    };
    std::map<std::string, Class> classes;
    for (const CalibrationSample& sample : calibration.samples()) {
      if (sample.prior_s <= 0 || sample.median_s <= 0) continue;
      Class& one = classes[std::string(layer_class_name(sample.layer)) + (sample.sparse ? ", sparse" : "")];
      one.factors.push_back(sample.median_s / sample.prior_s);
      one.spreads.push_back(sample.spread);
    }
    TextTable table({"layers", "measured", "time against the estimate", "spread"}, "lrrr");
    for (auto& [name, one] : classes) {
      const int count = static_cast<int>(one.factors.size());
      table.add({name, std::to_string(count), fmt::format("{:.2f}x", timing_of(std::move(one.factors)).median_s),
                 fmt::format("{:.1f}%", 100 * timing_of(std::move(one.spreads)).median_s)});
    }
    std::string text = table.text();
    for (const CopySample& copy : calibration.copies()) {
      text += fmt::format("copy of {}: {:.1f} GB/s, spread {:.1f}%\n", format_bytes(copy.bytes), copy.gb_per_s,
                          100 * copy.spread);
    }
    const auto line = [&](const char* what, const MeasuredNumber& number, const char* unit) {
      if (number.count == 0) return;
      text += fmt::format("{}: {:.3g}{}, spread {:.1f}% of {} measurements\n", what, number.median, unit,
                          100 * number.spread, number.count);
    };
    const MeasuredTraffic& traffic = calibration.traffic();
    line("from the end of one stage to the start of the next", traffic.handover_us, " us");
    line("a copy beside another copy takes", traffic.copy_contention, " times as long");
    line("computing beside a copy takes", traffic.compute_contention, " times as long");
    line("network between ranks", traffic.network_gb_per_s, " GB/s");
    line("a small message between ranks", traffic.network_latency_us, " us");
    return text;
  }

  const Options& options_;
  Machine machine_;
  int threads_;
  DeviceSpec cpu_;
  ZeroCounts zeros_;
  std::map<std::string, CalibrationSample> samples_;
  MeasuredTraffic traffic_;
};

}  // namespace

std::string calibrate(const Options& options) { return CalibrationRun(options).run(); }

}  // namespace sparse_run::cli
