// The report for people.
#include <fmt/format.h>

#include <map>

#include "cli/process_memory.hpp"
#include "cli/quantities.hpp"
#include "cli/report.hpp"
#include "cli/text_table.hpp"

namespace sparse_run::cli {

std::string benchmark_text(const RunReport& report) {
  const BenchmarkResult& result = report.benchmark.value();
  const Summary& ms = result.latency_ms;
  std::string text = fmt::format("benchmark   {}, {} stream{}, {} thread{}: {} requests of {} item{} in {:.2f} s\n",
                                 result.scenario == Scenario::latency ? "latency" : "throughput", result.streams,
                                 result.streams == 1 ? "" : "s", report.threads, report.threads == 1 ? "" : "s",
                                 format_count(static_cast<double>(ms.count)), result.items_per_request,
                                 result.items_per_request == 1 ? "" : "s", result.seconds);
  text += fmt::format("throughput  {:.5g} items/s ({:.5g} requests/s)\n", result.items_per_s, result.requests_per_s);
  text += "latency ms ";
  for (const auto& [name, value] :
       {std::pair("min", ms.min), std::pair("mean", ms.mean), std::pair("p50", ms.p50), std::pair("p90", ms.p90),
        std::pair("p95", ms.p95), std::pair("p99", ms.p99), std::pair("p99.9", ms.p99_9), std::pair("max", ms.max)}) {
    text += fmt::format(" {} {} ", name, format_milliseconds(value));
  }
  text += fmt::format("\nload        {:.3f} s, compile {:.3f} s, peak memory {}\n", report.load_s, report.compile_s,
                      format_bytes(static_cast<double>(peak_resident_bytes())));
  return text;
}

std::string plan_text(const CompileReport& compiled) {
  std::string text = fmt::format("plan        {} for {}\n", compiled.plan.policy, compiled.signature);
  for (std::size_t p = 0; p < compiled.plan.partitions.size(); ++p) {
    const PlannedPartition& partition = compiled.plan.partitions[p];
    text +=
        fmt::format("partition {} {}, {} nodes: {}\n", p, partition.device, partition.nodes.size(), partition.reason);
    std::map<std::string, std::size_t> kernels;
    if (p < compiled.layers.size()) {
      for (const LayerReport& layer : compiled.layers[p]) ++kernels[layer.kernel];
    }
    for (const auto& [kernel, count] : kernels) text += fmt::format("  {:4} x {}\n", count, kernel);
  }
  text += fmt::format("memory      {} of packed weights, {} of workspace per request\n",
                      format_bytes(static_cast<double>(compiled.weight_bytes)),
                      format_bytes(static_cast<double>(compiled.workspace_bytes)));
  return text;
}

namespace {

/// "timed: sparse 0.12 ms, dense 0.52 ms (estimated); zeros pay from 58%"
std::string explain_choice(const LayerReport& layer) {
  std::string text = layer.choice;
  const char* separator = ": ";
  for (const KernelCandidate& candidate : layer.candidates) {
    text += fmt::format("{}{} {} ms", separator, candidate.kernel, format_milliseconds(1e3 * candidate.seconds));
    if (!candidate.timed && layer.choice != "estimated") text += " (estimated)";
    separator = ", ";
  }
  if (layer.sparse_from >= 0) {
    text += layer.sparse_from >= 1
                ? "; zeros would not pay"
                : fmt::format("; zeros pay from {:.0f}%, it has {:.0f}%", 100 * layer.sparse_from, 100 * layer.zeros);
  }
  return text;
}

}  // namespace

std::string explain_text(const CompileReport& compiled) {
  TextTable layers({"layer", "op", "output", "zeros", "device", "kernel"}, "lllrll");
  std::string choices, refusals;
  for (const auto& partition : compiled.layers) {
    for (const LayerReport& layer : partition) {
      layers.add({layer.name, layer.op, layer.shape, layer.zeros > 0 ? fmt::format("{:.1f}%", 100 * layer.zeros) : "-",
                  layer.device, layer.kernel});
      if (!layer.choice.empty()) choices += fmt::format("  {}: {}\n", layer.name, explain_choice(layer));
      if (!layer.refusals.empty()) refusals += fmt::format("  {}: {}\n", layer.name, layer.refusals);
    }
  }
  std::string text = layers.text();
  if (!choices.empty()) text += "\nwhy this kernel, where several could run:\n" + choices;
  if (!refusals.empty()) text += "\nkernels that refused:\n" + refusals;
  return text;
}

}  // namespace sparse_run::cli
