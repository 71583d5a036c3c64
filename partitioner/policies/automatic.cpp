// Policy "auto": the best of the others by prediction, improved by local search.
#include <algorithm>

#include "base/error.hpp"
#include "partitioner/policies/policy.hpp"

namespace sparse_run {

namespace {

/// A placement on fewer partitions is taken when it is this close: predictions are no better. Where they rest on
/// measurements the difference counts earlier than where they are estimates.
constexpr double kSimplerWithin = 0.01;
constexpr double kSimplerWithinUnmeasured = 0.03;

/// Others are worth a measurement up to this share above the best prediction; one device alone always is, because a
/// prediction may be wrong by more.
constexpr double kWorthMeasuring = 1.0;
constexpr std::size_t kMostMeasured = 5;

struct Candidate {
  Assignment assignment;
  double cost = 0;
  int partitions = 0;
};

class AutoPolicy final : public Policy {
 public:
  std::string name() const override { return "auto"; }
  std::string purpose() const override {
    return "the best of the others by prediction, improved by local search; the simpler one where they are close";
  }
  std::vector<PolicyParameter> parameters() const override {
    return {{"evaluations", "placements that local search may try (by size)"}};
  }

  Assignment assign(const PlacementProblem& problem, const PolicyOptions& options) const override {
    return std::move(ranked(problem, options).front().assignment);
  }

  std::vector<Assignment> candidates(const PlacementProblem& problem, const PolicyOptions& options) const override {
    std::vector<Assignment> chosen;
    double least = 0;
    for (Candidate& candidate : ranked(problem, options)) {
      if (chosen.empty()) least = candidate.cost;
      const bool alone = candidate.partitions <= 1;
      if (!alone && (chosen.size() >= kMostMeasured || candidate.cost > (1 + kWorthMeasuring) * least)) continue;
      if (std::find(chosen.begin(), chosen.end(), candidate.assignment) == chosen.end()) {
        chosen.push_back(std::move(candidate.assignment));
      }
    }
    return chosen;
  }

 private:
  /// The simplest of the best first, the others by predicted cost.
  static std::vector<Candidate> ranked(const PlacementProblem& problem, const PolicyOptions& options) {
    const int evaluations = static_cast<int>(options.number_or("evaluations", default_evaluations(problem), 0, 1e7));
    PolicyOptions plain;
    plain.objective = options.objective;
    plain.seed = options.seed;
    Scheduler scheduler(problem);
    std::vector<Candidate> candidates;
    const auto consider = [&](Assignment assignment) {
      const Schedule& schedule = scheduler.evaluate(assignment);
      candidates.push_back({std::move(assignment), schedule.cost(options.objective), schedule.partitions});
    };
    for (int device = 0; device < problem.device_count(); ++device) {
      Assignment alone;
      for (int node = 0; node < problem.node_count(); ++node) alone.push_back(allowed_device(problem, node, device));
      consider(std::move(alone));
    }
    if (problem.device_count() > 1) {
      for (const PolicyPtr& policy :
           {make_density_policy(), make_greedy_policy(), make_heft_policy(), make_dp_policy()}) {
        consider(policy->assign(problem, plain));
      }
      for (Candidate& candidate : candidates) fit(problem, scheduler, options.objective, candidate);
      sort(candidates);
      Assignment improved =
          improve_locally(problem, candidates.front().assignment, options.objective, options.seed, evaluations);
      consider(std::move(improved));
    }
    sort(candidates);
    const double margin = 1 + kSimplerWithin + kSimplerWithinUnmeasured * (1 - confidence_of(problem, candidates[0]));
    const auto simplest = std::min_element(candidates.begin(), candidates.end(), [&](const auto& a, const auto& b) {
      const bool a_close = a.cost <= margin * candidates.front().cost;
      const bool b_close = b.cost <= margin * candidates.front().cost;
      if (a_close != b_close) return a_close;
      return a_close && a.partitions < b.partitions;
    });
    std::rotate(candidates.begin(), simplest, simplest + 1);
    return candidates;
  }

  /// Of the predictions behind a candidate, by time.
  static double confidence_of(const PlacementProblem& problem, const Candidate& candidate) {
    double seconds = 0;
    double confident = 0;
    for (int node = 0; node < problem.node_count(); ++node) {
      const std::size_t at = problem.at(node, candidate.assignment[static_cast<std::size_t>(node)]);
      seconds += problem.seconds[at];
      confident += problem.seconds[at] * static_cast<double>(problem.confidence[at]);
    }
    return seconds > 0 ? confident / seconds : 0;
  }

  static void sort(std::vector<Candidate>& candidates) {
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.cost < b.cost; });
  }

  /// A candidate beyond a device's memory is repaired; one that cannot be keeps its price.
  static void fit(const PlacementProblem& problem, Scheduler& scheduler, Objective objective, Candidate& candidate) {
    if (scheduler.evaluate(candidate.assignment).overcommitted <= 0) return;
    try {
      candidate.assignment = fit_memory(problem, candidate.assignment);
      const Schedule& schedule = scheduler.evaluate(candidate.assignment);
      candidate.cost = schedule.cost(objective);
      candidate.partitions = schedule.partitions;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::limit) throw;  // this way does not fit; others may
    }
  }
};

}  // namespace

PolicyPtr make_auto_policy() { return std::make_shared<AutoPolicy>(); }

}  // namespace sparse_run
