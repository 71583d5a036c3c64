// Taking and printing profiles.
#include "cli/profile.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.hpp"
#include "cli/quantities.hpp"
#include "cli/statistics.hpp"
#include "cli/text_table.hpp"

namespace sparse_run::cli {

namespace {

constexpr double kProfileSeconds = 1.5;
constexpr std::size_t kMostRuns = 50;
constexpr std::size_t kFewestRuns = 3;

double median(std::vector<double> samples) {
  if (samples.empty()) return 0;
  std::sort(samples.begin(), samples.end());
  return quantile(samples, 0.5);
}

std::string percent(double share) { return fmt::format("{:.1f}%", 100 * share); }

/// Amount per time in units of 1e9 per second; "-" when nothing is counted.
std::string rate(double amount, double ms) {
  return amount <= 0 || ms <= 0 ? "-" : fmt::format("{:.1f}", amount / ms * 1e-6);
}

}  // namespace

Profile profile_request(Session& session, std::span<const Value> request, const CompileReport& compiled,
                        const RunOptions& run_options) {
  std::vector<std::vector<std::vector<double>>> layer_samples(compiled.layers.size());
  std::vector<std::vector<double>> partition_samples(compiled.layers.size());
  for (std::size_t p = 0; p < compiled.layers.size(); ++p) layer_samples[p].resize(compiled.layers[p].size());
  std::vector<double> totals;
  std::vector<LayerTimes> times;
  RunOptions options = run_options;
  session.run(request, options);  // warm caches
  options.times = &times;
  const auto start = Clock::now();
  while (totals.size() < kFewestRuns || (totals.size() < kMostRuns && seconds_since(start) < kProfileSeconds)) {
    const std::int64_t begin = now_ns();
    session.run(request, options);
    totals.push_back(static_cast<double>(now_ns() - begin) / 1e6);
    for (std::size_t p = 0; p < std::min(times.size(), layer_samples.size()); ++p) {
      const LayerTimes& taken = times[p];
      const std::size_t steps = std::min({taken.begin_ns.size(), taken.end_ns.size(), layer_samples[p].size()});
      for (std::size_t i = 0; i < steps; ++i) {
        layer_samples[p][i].push_back(static_cast<double>(taken.end_ns[i] - taken.begin_ns[i]) / 1e6);
      }
      if (steps > 0) {
        partition_samples[p].push_back(static_cast<double>(taken.end_ns[steps - 1] - taken.begin_ns[0]) / 1e6);
      }
    }
  }
  Profile profile;
  profile.runs = totals.size();
  profile.total_ms = median(std::move(totals));
  for (auto& samples : partition_samples) profile.partition_ms.push_back(median(std::move(samples)));
  for (auto& partition : layer_samples) {
    profile.layer_ms.emplace_back();
    for (auto& samples : partition) profile.layer_ms.back().push_back(median(std::move(samples)));
  }
  return profile;
}

Roofline roofline_of(const LayerReport& layer, double all_weight_bytes, const MachineLimits& limits) {
  const double activations = layer.bytes - layer.weight_bytes;
  const auto milliseconds = [](double bytes, const BandwidthLimit& from) {
    return from.gigabytes_per_s <= 0 ? 0 : bytes / from.gigabytes_per_s * 1e-6;
  };
  const BandwidthLimit& activation_feed = limits.feeding(activations);
  const BandwidthLimit& weight_feed = limits.feeding(all_weight_bytes);
  const double activation_ms = milliseconds(activations, activation_feed);
  const double weight_ms = milliseconds(layer.weight_bytes, weight_feed);
  const double arithmetic = limits.gflops <= 0 ? 0 : layer.flops / limits.gflops * 1e-6;
  if (arithmetic >= activation_ms + weight_ms) return {arithmetic, "arithmetic"};
  return {activation_ms + weight_ms, activation_ms >= weight_ms ? activation_feed.name : weight_feed.name};
}

double all_weight_bytes(const CompileReport& compiled) {
  double bytes = 0;
  for (const auto& partition : compiled.layers) {
    for (const LayerReport& layer : partition) bytes += layer.weight_bytes;
  }
  return bytes;
}

std::string profile_text(const CompileReport& compiled, const Profile& profile, const MachineLimits& limits,
                         Precision precision) {
  std::string text = fmt::format("profile of {}: {} ms per request, median of {} runs\n", compiled.signature,
                                 format_milliseconds(profile.total_ms), profile.runs);
  if (precision != Precision::f32) {
    text += fmt::format("precision {} was allowed; kernels whose names end in it use it, all others compute in f32\n",
                        to_string(precision));
  }
  TextTable partitions({"partition", "device", "layers", "ms", "share"}, "rlrrr");
  for (std::size_t p = 0; p < compiled.plan.partitions.size() && p < profile.partition_ms.size(); ++p) {
    partitions.add({std::to_string(p), compiled.plan.partitions[p].device, std::to_string(compiled.layers[p].size()),
                    format_milliseconds(profile.partition_ms[p]), percent(profile.partition_ms[p] / profile.total_ms)});
  }
  TextTable layers(
      {"layer", "op", "output", "kernel", "zeros", "ms", "share", "GFLOP/s", "executed", "GB/s", "limit", "reached"},
      "llllrrrrrrlr");
  const double weight_bytes = all_weight_bytes(compiled);
  for (std::size_t p = 0; p < compiled.layers.size() && p < profile.layer_ms.size(); ++p) {
    for (std::size_t i = 0; i < compiled.layers[p].size(); ++i) {
      const LayerReport& layer = compiled.layers[p][i];
      const double ms = profile.layer_ms[p][i];
      const Roofline roofline = roofline_of(layer, weight_bytes, limits);
      layers.add({layer.name, layer.op, layer.shape, layer.kernel, layer.zeros > 0 ? percent(layer.zeros) : "-",
                  format_milliseconds(ms), percent(ms / profile.total_ms), rate(layer.flops, ms),
                  layer.executed_flops > layer.flops ? rate(layer.executed_flops, ms) : "-", rate(layer.bytes, ms),
                  roofline.ms > 0 ? roofline.bound : "-",
                  roofline.ms > 0 && ms > 0 ? fmt::format("{:.0f}%", 100 * roofline.ms / ms) : "-"});
    }
  }
  text += partitions.text() + '\n' + layers.text();
  for (const std::string& remark : profile.remarks) text += remark + '\n';
  text += fmt::format(
      "\nGFLOP/s are on non-zero weights, 'executed' what the kernel does where that is more; 'limit' is what bounds "
      "the "
      "layer at best, 'reached' how much of that it gets\nthis machine, just measured with {} thread{}: {:.0f} GFLOP/s "
      "in "
      "f32 with {}",
      limits.threads, limits.threads == 1 ? "" : "s", limits.gflops, limits.isa);
  for (const BandwidthLimit& limit : limits.bandwidth) {
    text += fmt::format(", {} {:.0f} GB/s", limit.name, limit.gigabytes_per_s);
  }
  return text + '\n';
}

}  // namespace sparse_run::cli
