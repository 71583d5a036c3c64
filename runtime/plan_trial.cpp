// Sessions for given plans, run by turns.
#include "runtime/plan_trial.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "graph/passes/pipeline.hpp"

namespace sparse_run {

namespace {

constexpr std::size_t kFewestRuns = 3;
constexpr std::size_t kMostRuns = 50;
/// What one pair of plans may take of the budget.
constexpr double kShareOfBudget = 0.3;

Value made_up_input(const Type& type, std::mt19937_64& random) {
  if (!type.is_concrete()) throw_error(ErrorKind::unsupported, "inputs of type {} cannot be made up", to_string(type));
  Tensor tensor = Tensor::allocate(type.dtype, *type.shape);
  switch (type.dtype) {
    case DType::f32:
      for (float& value : tensor.data<float>()) value = static_cast<float>(random() % 2048) / 1024.0f - 1;
      break;
    case DType::i64:  // indices, lengths and masks: small numbers are right for all
      for (std::int64_t& value : tensor.data<std::int64_t>()) value = static_cast<std::int64_t>(random() % 2);
      break;
    case DType::i32:
      for (std::int32_t& value : tensor.data<std::int32_t>()) value = static_cast<std::int32_t>(random() % 2);
      break;
    case DType::boolean:
      for (bool& value : tensor.data<bool>()) value = random() % 2 != 0;
      break;
    default:
      throw_error(ErrorKind::unsupported, "inputs of type {} cannot be made up", to_string(type));
  }
  return Value(std::move(tensor));
}

/// Sessions number values anew, so plans are handed over by names, and edges derived there.
std::string without_edges(const std::string& plan) {
  auto json = nlohmann::ordered_json::parse(plan);
  json.erase("edges");
  return json.dump();
}

double median(std::vector<double> samples) {
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  return *middle;
}

}  // namespace

PlanTrial::PlanTrial(std::shared_ptr<const Graph> graph, const Plan& plan, std::vector<std::shared_ptr<Device>> devices,
                     std::shared_ptr<Evaluator> evaluator, SessionOptions options) {
  std::mt19937_64 random(1);
  std::vector<Type> types;
  for (const ValueId id : graph->inputs()) {
    types.push_back(graph->value(id).type);
    inputs_.push_back(made_up_input(types.back(), random));
  }
  // The graph has been through all passes; running them again would give another one than the plan's.
  for (const auto* pipeline : {&load_passes(), &specialize_passes()}) {
    for (const auto& pass : pipeline->passes()) options.passes.disabled.emplace(pass->name());
  }
  std::string text = without_edges(plan_to_json(plan, *graph));
  session_ = std::make_unique<Session>(
      std::move(graph), std::move(devices), std::move(evaluator),
      [text = std::move(text)](const Graph& same) { return plan_from_json(text, same); }, std::move(options));
  session_->prepare(types);
  run_once();
}

double PlanTrial::run_once() {
  const auto start = Clock::now();
  session_->run(inputs_);
  return seconds_since(start);
}

std::vector<double> PlanTrial::partition_seconds() {
  std::vector<LayerTimes> times;
  RunOptions options;
  options.times = &times;
  session_->run(inputs_, options);
  std::vector<double> seconds;
  for (const LayerTimes& taken : times) {
    const bool ran = !taken.begin_ns.empty() && !taken.end_ns.empty();
    seconds.push_back(ran ? 1e-9 * static_cast<double>(taken.end_ns.back() - taken.begin_ns.front()) : 0);
  }
  return seconds;
}

std::vector<double> time_plans(const Graph& graph, std::span<const Plan> plans,
                               const std::vector<std::shared_ptr<Device>>& devices,
                               const std::shared_ptr<Evaluator>& evaluator, const SessionOptions& options,
                               const PlanTrialOptions& trial) {
  std::vector<double> seconds(plans.size(), std::numeric_limits<double>::quiet_NaN());
  const auto shared = std::make_shared<const Graph>(graph);
  const auto start = Clock::now();
  std::unique_ptr<PlanTrial> best;
  std::size_t best_index = 0;
  std::size_t measured = 0;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    if (measured >= 2 && seconds_since(start) > trial.budget_s) break;
    const auto compile = [&]() -> std::unique_ptr<PlanTrial> {
      try {
        return std::make_unique<PlanTrial>(shared, plans[i], devices, evaluator, options);
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted || error.kind() == ErrorKind::internal) throw;
        return nullptr;  // this plan cannot be had here; the others may
      }
    };
    std::unique_ptr<PlanTrial> one = compile();
    if (!one && best) {  // a device may be too small for two
      best.reset();
      one = compile();
    }
    if (!one) continue;
    std::vector<double> mine;
    std::vector<double> others;
    const auto pair_start = Clock::now();
    while (mine.size() < kFewestRuns ||
           (mine.size() < kMostRuns && seconds_since(pair_start) < kShareOfBudget * trial.budget_s)) {
      mine.push_back(one->run_once());
      if (best) others.push_back(best->run_once());
      if (mine.size() == kFewestRuns && best && median(mine) > trial.slower * median(others)) break;
      if (mine.size() >= 2 && seconds_since(pair_start) > trial.budget_s) break;  // a slow model: two have to do
    }
    ++measured;
    seconds[i] = median(mine);
    const bool first = measured == 1;
    if (best) {
      // Times of different turns become comparable by their ratio to the same plan's.
      const double scale = seconds[best_index] / median(others);
      seconds[i] *= scale;
    }
    if (!first && seconds[i] >= seconds[best_index]) continue;
    best = std::move(one);
    best_index = i;
  }
  return seconds;
}

}  // namespace sparse_run
