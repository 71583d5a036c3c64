// The report for programs.
#include <nlohmann/json.hpp>

#include "cli/process_memory.hpp"
#include "cli/report.hpp"
#include "cli/version.hpp"
#include "comm/mpi/mpi_link.hpp"

namespace sparse_run::cli {

namespace {

using Json = nlohmann::ordered_json;
constexpr int kSchemaVersion = 1;
constexpr double kMebibyte = 1024.0 * 1024.0;

Json machine_json(const Machine& machine) {
  Json caches = Json::array();
  for (const CacheLevel& cache : machine.caches) {
    caches.push_back({{"level", cache.level}, {"bytes", cache.bytes}, {"sharing_cores", cache.sharing_cores}});
  }
  return {{"cpu", machine.cpu_model},
          {"cores", machine.cores},
          {"numa_nodes", machine.numa_nodes},
          {"memory_bytes", machine.memory_bytes},
          {"isa", machine.isa},
          {"caches", std::move(caches)}};
}

Json ports_json(const std::vector<Port>& ports) {
  Json json = Json::array();
  for (const Port& port : ports) {
    json.push_back({{"name", port.name}, {"type", to_string(port.type)}, {"symbols", port.symbols}});
  }
  return json;
}

Json latency_json(const Summary& summary) {
  return {{"count", summary.count}, {"min", summary.min},
          {"mean", summary.mean},   {"p50", summary.p50},
          {"p90", summary.p90},     {"p95", summary.p95},
          {"p99", summary.p99},     {"p99.9", summary.p99_9},
          {"max", summary.max},     {"standard_deviation", summary.standard_deviation}};
}

Json passes_json(const std::vector<PassReport>& load, const std::vector<PassReport>& compile) {
  Json json = Json::array();
  for (const auto& [stage, passes] : {std::pair("load", &load), std::pair("compile", &compile)}) {
    for (const PassReport& pass : *passes) {
      json.push_back({{"name", pass.name},
                      {"stage", stage},
                      {"ms", pass.ms},
                      {"rewrites", pass.rewrites},
                      {"nodes_before", pass.nodes_before},
                      {"nodes_after", pass.nodes_after}});
    }
  }
  return json;
}

Json plan_json(const CompileReport& compiled, const std::optional<Profile>& profile) {
  Json partitions = Json::array();
  for (std::size_t p = 0; p < compiled.plan.partitions.size(); ++p) {
    Json kernels = Json::array();
    if (p < compiled.layers.size()) {
      for (const LayerReport& layer : compiled.layers[p]) kernels.push_back(layer.kernel);
    }
    Json measured;
    if (profile && p < profile->partition_ms.size()) measured = profile->partition_ms[p];
    const PlannedPartition& partition = compiled.plan.partitions[p];
    partitions.push_back({{"device", partition.device},
                          {"rank", partition.rank},
                          {"nodes", partition.nodes.size()},
                          {"reason", partition.reason},
                          {"kernels", std::move(kernels)},
                          {"stage", partition.stage},
                          {"predicted_ms", partition.predicted_s * 1e3},
                          {"confidence", partition.confidence},
                          {"measured_ms", std::move(measured)}});
  }
  return {{"policy", compiled.plan.policy},
          {"objective", compiled.plan.objective},
          {"predicted_ms", compiled.plan.predicted_s * 1e3},
          {"lower_bound_ms", compiled.plan.lower_bound_s * 1e3},
          {"partitions", std::move(partitions)}};
}

Json candidates_json(const LayerReport& layer) {
  Json candidates = Json::array();
  for (const KernelCandidate& candidate : layer.candidates) {
    candidates.push_back(
        {{"kernel", candidate.kernel}, {"ms", 1e3 * candidate.seconds}, {"timed", candidate.timed}});
  }
  return candidates;
}

Json layers_json(const CompileReport& compiled, const std::optional<Profile>& profile,
                 const std::optional<MachineLimits>& limits) {
  Json layers = Json::array();
  for (std::size_t p = 0; p < compiled.layers.size(); ++p) {
    for (std::size_t i = 0; i < compiled.layers[p].size(); ++i) {
      const LayerReport& layer = compiled.layers[p][i];
      Json ms;
      if (profile && p < profile->layer_ms.size()) ms = profile->layer_ms[p][i];
      layers.push_back({{"name", layer.name},
                        {"op", layer.op},
                        {"device", layer.device},
                        {"kernel", layer.kernel},
                        {"zeros", layer.zeros},
                        {"ms", std::move(ms)},
                        {"partition", p},
                        {"shape", layer.shape},
                        {"flops", layer.flops},
                        {"executed_flops", layer.executed_flops},
                        {"bytes", layer.bytes},
                        {"refusals", layer.refusals},
                        {"choice", layer.choice},
                        {"candidates", candidates_json(layer)},
                        {"sparse_from", layer.sparse_from < 0 ? Json() : Json(layer.sparse_from)}});
      if (limits) {
        const Roofline roofline = roofline_of(layer, all_weight_bytes(compiled), *limits);
        layers.back()["limit"] = roofline.bound;
        layers.back()["limit_ms"] = roofline.ms;
      }
    }
  }
  return layers;
}

}  // namespace

std::string report_json(const RunReport& report) {
  Json json;
  json["schema_version"] = kSchemaVersion;
  json["build"] = {{"version", version()},      {"build_type", build_type()},    {"compiler", compiler()},
                   {"cuda", built_with_cuda()}, {"mpi", comm::built_with_mpi()}, {"onednn", onednn_version()},
                   {"onetbb", tbb_version()}};
  json["machine"] = machine_json(report.machine);
  json["model"] = {{"file", report.model_file},
                   {"hash", report.model_hash},
                   {"inputs", ports_json(report.inputs)},
                   {"outputs", ports_json(report.outputs)}};
  json["threads"] = report.threads;
  json["precision"] = to_string(report.precision);
  json["seed"] = report.seed;
  json["load_s"] = report.load_s;
  json["compile_s"] = report.compile_s;
  json["peak_rss_mb"] = static_cast<double>(peak_resident_bytes()) / kMebibyte;
  if (report.job) {
    const JobReport& job = *report.job;
    json["job"] = {{"rows", job.rows},
                   {"micro_batch", job.micro_batch},
                   {"in_flight", job.in_flight},
                   {"seconds", job.seconds},
                   {"rows_per_s", job.seconds > 0 ? static_cast<double>(job.rows) / job.seconds : 0.0}};
  }
  if (report.benchmark) {
    const BenchmarkResult& result = *report.benchmark;
    json["scenario"] = result.scenario == Scenario::latency ? "latency" : "throughput";
    json["streams"] = result.streams;
    json["items_per_request"] = result.items_per_request;
    json["seconds"] = result.seconds;
    json["latency_ms"] = latency_json(result.latency_ms);
    json["throughput"] = result.items_per_s;
    json["throughput_unit"] = "items/s";
    json["requests_per_s"] = result.requests_per_s;
    json["noise"] = noise_warning(result.latency_ms);
  }
  if (report.compiled) {
    json["signature"] = report.compiled->signature;
    json["workspace_bytes"] = report.compiled->workspace_bytes;
    json["weight_bytes"] = report.compiled->weight_bytes;
    json["passes"] = passes_json(report.load_passes, report.compiled->passes);
    json["plan"] = plan_json(*report.compiled, report.profile);
    json["layers"] = layers_json(*report.compiled, report.profile, report.limits);
  }
  if (report.limits) {
    Json bandwidth = Json::object();
    for (const BandwidthLimit& limit : report.limits->bandwidth) bandwidth[limit.name] = limit.gigabytes_per_s;
    json["machine_limits"] = {{"threads", report.limits->threads},
                              {"isa", report.limits->isa},
                              {"gflops", report.limits->gflops},
                              {"gigabytes_per_s", report.limits->bandwidth.back().gigabytes_per_s},
                              {"bandwidth", std::move(bandwidth)}};
  }
  if (!report.comparisons.empty()) {
    json["comparisons"] = Json::array();
    for (const Comparison& comparison : report.comparisons) {
      json["comparisons"].push_back({{"name", comparison.name()},
                                     {"passed", comparison.passed()},
                                     {"largest_absolute", comparison.largest_absolute()},
                                     {"largest_relative", comparison.largest_relative()},
                                     {"mismatches", comparison.mismatches()}});
    }
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace sparse_run::cli
