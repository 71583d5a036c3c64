// Policy "local-search": improves another policy's placement by moving groups, nodes and borders.
#include <algorithm>
#include <random>

#include "base/error.hpp"
#include "partitioner/policies/policy.hpp"

namespace sparse_run {

namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

class Climber {
 public:
  Climber(const PlacementProblem& problem, Assignment start, Objective objective, std::uint64_t seed, int evaluations)
      : problem_(problem),
        scheduler_(problem),
        best_(std::move(start)),
        objective_(objective),
        random_(seed),
        left_(evaluations) {
    cost_ = scheduler_.evaluate(best_).cost(objective);
  }

  Assignment climb() {
    if (problem_.device_count() < 2 || problem_.node_count() == 0) return best_;
    bool improved = true;
    while (improved && left_ > 0) {
      improved = move_groups();
      improved |= move_borders();
    }
    move_heavy_nodes();
    while (left_ > 0) move_at_random();
    return best_;
  }

 private:
  int below(std::size_t count) { return static_cast<int>(random_() % std::max<std::size_t>(1, count)); }

  /// Tries `nodes` on `device`; keeps the result when it is better.
  bool attempt(std::span<const int> nodes, int device) {
    if (left_ <= 0) return false;
    Assignment changed = best_;
    bool differs = false;
    for (const int node : nodes) {
      if (!problem_.may(node, device)) return false;
      differs |= changed[index(node)] != device;
      changed[index(node)] = device;
    }
    if (!differs) return false;
    --left_;
    const double cost = scheduler_.evaluate(changed).cost(objective_);
    if (!(cost < cost_)) return false;
    best_ = std::move(changed);
    cost_ = cost;
    return true;
  }

  bool move_groups() {
    bool improved = false;
    const auto groups = scheduler_.partition(best_);
    if (groups.size() > index(left_)) return false;
    for (const NodeGroup& group : groups) {
      for (int device = 0; device < problem_.device_count(); ++device) improved |= attempt(group.nodes, device);
    }
    return improved;
  }

  /// Shifts the borders between groups by halving steps: the first or last nodes of a group go to another device.
  bool move_borders() {
    bool improved = false;
    const auto groups = scheduler_.partition(best_);
    if (groups.size() > index(left_)) return false;
    for (const NodeGroup& group : groups) {
      for (std::size_t count = group.nodes.size() / 2; count > 0 && left_ > 0; count /= 2) {
        for (int device = 0; device < problem_.device_count(); ++device) {
          const std::span<const int> nodes(group.nodes);
          improved |= attempt(nodes.first(count), device);
          improved |= attempt(nodes.last(count), device);
        }
      }
    }
    return improved;
  }

  void move_heavy_nodes() {
    std::vector<int> order(problem_.works.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return problem_.time(a, best_[index(a)]) > problem_.time(b, best_[index(b)]);
    });
    const std::size_t most = std::min(order.size(), index(left_ / (2 * problem_.device_count())));
    for (std::size_t i = 0; i < most; ++i) {
      for (int device = 0; device < problem_.device_count(); ++device) attempt(std::span(&order[i], 1), device);
    }
  }

  void move_at_random() {
    const int nodes = problem_.node_count();
    const int first = below(index(nodes));
    const int length = 1 + below(index(std::max(1, std::min(nodes - first, 1 << below(6)))));
    std::vector<int> segment;
    for (int i = first; i < std::min(nodes, first + length); ++i) segment.push_back(i);
    if (!attempt(segment, below(problem_.devices.size()))) --left_;
  }

  const PlacementProblem& problem_;
  Scheduler scheduler_;
  Assignment best_;
  double cost_ = 0;
  Objective objective_;
  std::mt19937_64 random_;
  int left_;
};

class LocalSearchPolicy final : public Policy {
 public:
  std::string name() const override { return "local-search"; }
  std::string purpose() const override {
    return "improves another policy's placement by moving groups, borders and nodes; never makes it worse";
  }
  std::vector<PolicyParameter> parameters() const override {
    return {{"start", "the policy to begin with (dp)"}, {"evaluations", "placements to try (by size)"}};
  }
  Assignment assign(const PlacementProblem& problem, const PolicyOptions& options) const override {
    const auto start = options.parameters.find("start");
    const PolicyPtr first = find_policy(start == options.parameters.end() ? "dp" : start->second);
    if (first->name() == name()) throw Error(ErrorKind::usage, "--policy local-search: it cannot start with itself");
    PolicyOptions plain;
    plain.objective = options.objective;
    plain.seed = options.seed;
    const double evaluations = options.number_or("evaluations", default_evaluations(problem), 0, 1e7);
    return improve_locally(problem, place(*first, problem, plain), options.objective, options.seed,
                           static_cast<int>(evaluations));
  }
};

}  // namespace

Assignment improve_locally(const PlacementProblem& problem, Assignment start, Objective objective, std::uint64_t seed,
                           int evaluations) {
  return Climber(problem, std::move(start), objective, seed, evaluations).climb();
}

int default_evaluations(const PlacementProblem& problem) {
  return std::clamp(400'000 / std::max(1, problem.node_count() * problem.device_count()), 60, 4000);
}

PolicyPtr make_local_search_policy() { return std::make_shared<LocalSearchPolicy>(); }

}  // namespace sparse_run
