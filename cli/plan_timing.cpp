// The file of plan timings: a list of seconds under the hash of everything they depend on.
#include "cli/plan_timing.hpp"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.hpp"
#include "cli/devices.hpp"
#include "cli/partial_file.hpp"
#include "partitioner/topology.hpp"
#include "runtime/plan_trial.hpp"

namespace sparse_run::cli {

namespace {

using Json = nlohmann::json;
constexpr int kSchemaVersion = 1;
/// A file that has grown to this many entries is begun anew.
constexpr std::size_t kMostEntries = 1000;

std::string key_of(const PlanTimingContext& context, const Graph& graph, std::span<const Plan> plans) {
  std::string text = fmt::format("{}\n{} threads\n", context.circumstances, context.session_options.threads);
  for (const ValueId id : graph.inputs()) text += to_string(graph.value(id).type) + '\n';
  for (const Plan& plan : plans) text += plan_to_json(plan, graph);
  return text_hash(text);
}

/// The entries of the file; an empty object when there are none to be had.
Json read_entries(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  if (stream) text << stream.rdbuf();
  const Json json = Json::parse(text.str(), nullptr, false);
  if (!json.is_object() || json.value("schema_version", Json()) != kSchemaVersion) return Json::object();
  const auto entries = json.find("seconds");
  return entries != json.end() && entries->is_object() && entries->size() < kMostEntries ? *entries : Json::object();
}

/// Positive numbers or nulls, one per plan; nullopt for anything else.
std::optional<std::vector<double>> known_seconds(const Json& entries, const std::string& key, std::size_t plans) {
  const auto entry = entries.find(key);
  if (entry == entries.end() || !entry->is_array() || entry->size() != plans) return std::nullopt;
  std::vector<double> seconds;
  for (const Json& number : *entry) {
    if (!number.is_null() && !(number.is_number() && number.get<double>() > 0)) return std::nullopt;
    seconds.push_back(number.is_null() ? std::numeric_limits<double>::quiet_NaN() : number.get<double>());
  }
  return seconds;
}

}  // namespace

std::vector<double> plan_seconds(const PlanTimingContext& context, const Graph& graph, std::span<const Plan> plans,
                                 const std::function<void(const std::string&)>& notice) {
  const std::filesystem::path folder = cache_folder(context.options);
  const std::filesystem::path file = folder / "plan-timings.json";
  const std::string key = key_of(context, graph, plans);
  if (!folder.empty()) {
    if (auto known = known_seconds(read_entries(file), key, plans.size())) return *std::move(known);
  }
  PlanTrialOptions trial;
  trial.budget_s = context.options.plan_timing;
  const std::vector<double> seconds =
      time_plans(graph, plans, context.devices, context.evaluator, context.session_options, trial);
  if (folder.empty()) return seconds;
  Json entries = read_entries(file);  // again: others may have added theirs since
  Json& entry = entries[key] = Json::array();
  for (const double one : seconds) entry.push_back(std::isnan(one) ? Json() : Json(one));
  try {
    std::error_code failure;
    std::filesystem::create_directories(folder, failure);
    write_text_file(file, Json{{"schema_version", kSchemaVersion}, {"seconds", std::move(entries)}}.dump(1) + '\n');
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::input) throw;
    notice(fmt::format("{}; plans will be timed again next time", error.what()));
  }
  return seconds;
}

}  // namespace sparse_run::cli
