// What a comparison comes to, in a few lines.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "bench/placement/comparison.hpp"

namespace sparse_run::bench {

namespace {

constexpr double kClose = 1.05;

double median_of(std::vector<double> numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers[numbers.size() / 2];
}

/// How far a prediction is from what was measured, either way.
double error(double predicted, double measured) { return std::abs(predicted / measured - 1); }

/// "auto is within 5% of the best policy on 20 of 21, measured; furthest behind: 1.08 times dp's time for …".
std::string automatic(const std::vector<Row>& rows, const char* how, double (*time)(const Row&)) {
  std::map<std::pair<std::string, std::string>, std::pair<const Row*, const Row*>> groups;  // auto, best of the others
  for (const Row& row : rows) {
    if (!row.refusal.empty() || time(row) <= 0) continue;
    auto& [own, best] = groups[{row.model, row.topology}];
    const Row*& place = row.policy == "auto" ? own : best;
    if (place == nullptr || time(row) < time(*place)) place = &row;
  }
  int close = 0;
  int count = 0;
  double worst = 0;
  std::string where;
  for (const auto& [key, pair] : groups) {
    const auto& [own, best] = pair;
    if (own == nullptr || best == nullptr) continue;
    const double ratio = time(*own) / time(*best);
    ++count;
    close += ratio <= kClose;
    if (ratio <= worst) continue;
    worst = ratio;
    where = fmt::format("{} on {}", key.first, key.second);
  }
  if (count == 0) return "";
  return fmt::format(
      "{:<10} auto is within 5% of the best other policy on {} of {} pairs of model and topology; least good: {:.3f} "
      "times the best, {}\n",
      how, close, count, worst, where);
}

}  // namespace

std::string summary_of(const std::vector<Row>& rows) {
  std::string text = automatic(rows, "predicted", [](const Row& row) { return row.predicted_ms; });
  text += automatic(rows, "measured", [](const Row& row) { return row.measured_ms.median; });
  std::vector<double> partitions;
  std::vector<double> mixed;
  for (const Row& row : rows) {
    if (!row.first_of_its_plan || !row.describes_this_machine || row.measured_ms.count == 0) continue;
    for (const PartitionTime& partition : row.cpu_partitions) {
      if (partition.measured_ms > 0) partitions.push_back(error(partition.predicted_ms, partition.measured_ms));
    }
    if (row.devices > 1) mixed.push_back(error(row.predicted_ms, row.measured_ms.median));
  }
  if (!partitions.empty()) {
    text += fmt::format("errors     of {} partitions on the CPU: median {:.1f}%\n", partitions.size(),
                        100 * median_of(partitions));
  }
  if (!mixed.empty()) {
    text += fmt::format("errors     of {} plans over several devices, end to end: median {:.1f}%\n", mixed.size(),
                        100 * median_of(mixed));
  }
  return text;
}

}  // namespace sparse_run::bench
