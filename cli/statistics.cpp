// Percentiles, moments and a judgement on noise.
#include "cli/statistics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.hpp"

namespace sparse_run::cli {

namespace {
constexpr std::size_t kEnoughSamples = 10;
/// The slowest twentieth may take this much longer than the median on a quiet machine.
constexpr double kQuietTail = 1.3;
/// The middle 80% may spread this much around the median.
constexpr double kQuietSpread = 0.15;
}  // namespace

double quantile(std::span<const double> sorted, double q) {
  require(!sorted.empty(), "quantile of no samples");
  const double position = std::clamp(q, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Summary summarize(std::vector<double> samples) {
  Summary summary;
  summary.count = samples.size();
  if (samples.empty()) return summary;
  std::sort(samples.begin(), samples.end());
  const auto count = static_cast<double>(samples.size());
  summary.min = samples.front();
  summary.max = samples.back();
  summary.mean = std::accumulate(samples.begin(), samples.end(), 0.0) / count;
  double squares = 0;
  for (const double sample : samples) squares += (sample - summary.mean) * (sample - summary.mean);
  summary.standard_deviation = std::sqrt(squares / count);
  summary.p10 = quantile(samples, 0.1);
  summary.p50 = quantile(samples, 0.5);
  summary.p90 = quantile(samples, 0.9);
  summary.p95 = quantile(samples, 0.95);
  summary.p99 = quantile(samples, 0.99);
  summary.p99_9 = quantile(samples, 0.999);
  return summary;
}

std::string noise_warning(const Summary& summary) {
  if (summary.count < kEnoughSamples || summary.p50 <= 0) return {};
  const double tail = summary.p95 / summary.p50;
  const double spread = (summary.p90 - summary.p10) / summary.p50;
  if (tail <= kQuietTail && spread <= kQuietSpread) return {};
  return fmt::format(
      "the machine was noisy: p95 is {:.0f}% of the median, the middle 80% spread over {:.0f}% of it; "
      "stop other work, or measure longer with --duration",
      100 * tail, 100 * spread);
}

}  // namespace sparse_run::cli
