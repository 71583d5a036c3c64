// Table, JSON and page of the comparison.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "bench/placement/comparison.hpp"

namespace sparse_run::bench {

namespace {

std::string interval(const Estimate& estimate) {
  if (estimate.count == 0) return "-";
  return fmt::format("{:.4g} [{:.4g}, {:.4g}]", estimate.median, estimate.low, estimate.high);
}

nlohmann::ordered_json estimate_json(const Estimate& estimate) {
  if (estimate.count == 0) return nullptr;
  return {{"median", estimate.median}, {"low", estimate.low}, {"high", estimate.high}, {"count", estimate.count}};
}

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '&':
        safe += "&amp;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string bar(double y, double value, double longest, const char* colour, const std::string& label) {
  const double width = longest > 0 ? 420 * value / longest : 0;
  return fmt::format(
      "<rect x=\"110\" y=\"{:.0f}\" width=\"{:.1f}\" height=\"9\" fill=\"{}\"/><text x=\"{:.0f}\" "
      "y=\"{:.0f}\">{}</text>\n",
      y, std::max(1.0, width), colour, 116 + width, y + 9, escaped(label));
}

}  // namespace

Estimate estimate_of(std::vector<double> samples) {
  Estimate estimate;
  if (samples.empty()) return estimate;
  std::sort(samples.begin(), samples.end());
  const auto count = static_cast<double>(samples.size());
  const double reach = 0.98 * std::sqrt(count);  // 1.96 standard deviations of the rank of the median
  const auto at = [&](double rank) {
    return samples[static_cast<std::size_t>(std::clamp(std::round(rank), 0.0, count - 1))];
  };
  estimate.median = samples[samples.size() / 2];
  estimate.low = at((count - 1) / 2 - reach);
  estimate.high = at((count - 1) / 2 + reach);
  estimate.count = static_cast<int>(samples.size());
  return estimate;
}

std::string table_of(const std::vector<Row>& rows) {
  std::string text = fmt::format("{:<26} {:<18} {:<14} {:>6} {:>6} {:>11} {:>7} {:>11} {:>9} {:>28} {:>28}\n", "model",
                                 "topology", "policy", "nodes", "parts", "predicted", "gap", "per second", "MiB moved",
                                 "planning ms", "measured ms");
  for (const Row& row : rows) {
    if (!row.refusal.empty()) {
      text += fmt::format("{:<26} {:<18} {:<14} {}\n", row.model, row.topology, row.policy, row.refusal);
      continue;
    }
    const double gap = row.lower_bound_ms > 0 ? 100 * (row.predicted_ms / row.lower_bound_ms - 1) : 0;
    text += fmt::format("{:<26} {:<18} {:<14} {:>6} {:>6} {:>8.4g} ms {:>6.0f}% {:>11.5g} {:>9.3g} {:>28} {:>28}\n",
                        row.model, row.topology, row.policy, row.nodes, row.partitions, row.predicted_ms, gap,
                        row.simulated_per_s, row.moved_mib, interval(row.planning_ms), interval(row.measured_ms));
  }
  return text;
}

std::string json_of(const std::vector<Row>& rows) {
  nlohmann::ordered_json json = {{"schema_version", 1}};
  json["rows"] = nlohmann::ordered_json::array();
  for (const Row& row : rows) {
    json["rows"].push_back({{"model", row.model},
                            {"topology", row.topology},
                            {"policy", row.policy},
                            {"refusal", row.refusal},
                            {"nodes", row.nodes},
                            {"partitions", row.partitions},
                            {"predicted_ms", row.predicted_ms},
                            {"lower_bound_ms", row.lower_bound_ms},
                            {"bottleneck_ms", row.bottleneck_ms},
                            {"simulated_per_s", row.simulated_per_s},
                            {"moved_mib", row.moved_mib},
                            {"planning_ms", estimate_json(row.planning_ms)},
                            {"measured_ms", estimate_json(row.measured_ms)}});
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

std::string page_of(const std::vector<Row>& rows) {
  std::map<std::pair<std::string, std::string>, std::vector<const Row*>> groups;
  for (const Row& row : rows) {
    if (row.refusal.empty()) groups[{row.model, row.topology}].push_back(&row);
  }
  std::string page =
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Placement policies</title><style>"
      "body{font:14px "
      "system-ui,sans-serif;margin:24px;display:grid;grid-template-columns:repeat(auto-fill,minmax(640px,1fr))}"
      "svg text{font:11px system-ui,sans-serif}h1{grid-column:1/-1}h2{font-size:14px}</style></head><body>"
      "<h1>Placement policies: predicted (blue) and measured (orange) milliseconds per request</h1>\n";
  for (const auto& [key, members] : groups) {
    double longest = 0;
    double shortest = 1e300;
    for (const Row* row : members) {
      shortest = std::min(shortest, row->predicted_ms);
      longest = std::max({longest, row->predicted_ms, row->measured_ms.high});
    }
    page += fmt::format("<section><h2>{} on {}</h2><svg width=\"640\" height=\"{}\">\n", escaped(key.first),
                        escaped(key.second), 26 * members.size() + 8);
    for (std::size_t i = 0; i < members.size(); ++i) {
      const Row& row = *members[i];
      const double y = 26.0 * static_cast<double>(i) + 4;
      page += fmt::format("<text x=\"0\" y=\"{:.0f}\">{}</text>\n", y + 11, escaped(row.policy));
      page += bar(y, row.predicted_ms, longest, row.predicted_ms <= 1.02 * shortest ? "#1565c0" : "#90caf9",
                  fmt::format("{:.4g}", row.predicted_ms));
      if (row.measured_ms.count > 0) {
        page += bar(y + 11, row.measured_ms.median, longest, "#ef6c00", interval(row.measured_ms));
      }
    }
    page += "</svg></section>\n";
  }
  return page + "</body></html>\n";
}

}  // namespace sparse_run::bench
