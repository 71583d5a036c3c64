// Explaining plans.
#include "partitioner/explain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <utility>

#include "partitioner/planner.hpp"

namespace sparse_run {

namespace {

constexpr std::size_t kHeavyLayers = 3;
constexpr std::size_t kMostPartitions = 40;
constexpr std::size_t kMostEdges = 40;

std::size_t index(int i) { return static_cast<std::size_t>(i); }

std::string label(const PlacementProblem& problem, int device) {
  const CandidateDevice& candidate = problem.devices[index(device)];
  return candidate.rank == 0 ? candidate.spec.name : fmt::format("{} of rank {}", candidate.spec.name, candidate.rank);
}

std::string milliseconds(double seconds) { return fmt::format("{:.4g} ms", 1e3 * seconds); }

class Explanation {
 public:
  Explanation(const PlacementProblem& problem, const CostModel& costs, const Plan& plan, Objective objective)
      : problem_(problem),
        costs_(costs),
        plan_(plan),
        objective_(objective),
        assignment_(assignment_of(problem, plan)),
        scheduler_(problem) {}

  std::string text(std::span<const double> measured_ms, std::optional<double> measured_total_ms) {
    const Schedule now = scheduler_.evaluate(assignment_);
    latency_ = now.latency_s;
    const double bound = latency_lower_bound(problem_);
    add("placement   policy {}, objective {}: predicted {} per request, {} per request in a stream\n", plan_.policy,
        plan_.objective, milliseconds(now.latency_s), milliseconds(now.bottleneck_s));
    add("bound       no plan on these devices is below {}; this one is within {:.0f}% of it\n", milliseconds(bound),
        bound > 0 ? 100 * (now.latency_s / bound - 1) : 0.0);
    whole_plans();
    for (const TriedPlan& tried : plan_.tried) {
      add("tried       {}: measured {} (predicted {}){}\n", tried.what, milliseconds(tried.measured_s),
          milliseconds(tried.predicted_s), &tried == plan_.tried.data() ? ", chosen" : "");
    }
    for (std::size_t p = 0; p < plan_.partitions.size(); ++p) {
      if (p == kMostPartitions) {
        add("… and {} partitions more; --plan-out FILE.html shows all\n", plan_.partitions.size() - p);
        break;
      }
      partition(p, p < measured_ms.size() ? std::optional(measured_ms[p]) : std::nullopt);
    }
    edges();
    if (measured_total_ms && now.latency_s > 0) {
      add("measured    {:.4g} ms per request, predicted {}: {:+.0f}%\n", *measured_total_ms,
          milliseconds(now.latency_s), 100 * (1e3 * now.latency_s / *measured_total_ms - 1));
    }
    return std::move(text_);
  }

 private:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
  }

  void whole_plans() {
    if (problem_.device_count() < 2) {
      add("choice      {} is the only device in use\n", label(problem_, 0));
      return;
    }
    const bool single = std::all_of(assignment_.begin(), assignment_.end(), [&](int d) { return d == assignment_[0]; });
    double best_alone = 0;
    for (int device = 0; device < problem_.device_count() && device < 8; ++device) {
      Assignment alone;
      for (int node = 0; node < problem_.node_count(); ++node) {
        alone.push_back(problem_.may(node, device) ? device : assignment_[index(node)]);
      }
      const Schedule schedule = scheduler_.evaluate(alone);
      best_alone = best_alone == 0 ? schedule.latency_s : std::min(best_alone, schedule.latency_s);
      add("alternative all on {}: predicted {} ({:+.0f}%){}\n", label(problem_, device),
          milliseconds(schedule.latency_s), latency_ > 0 ? 100 * (schedule.latency_s / latency_ - 1) : 0.0,
          schedule.overcommitted > 0 ? ", but it does not fit its memory" : "");
    }
    if (single) {
      PolicyOptions options;
      options.objective = objective_;
      const Assignment mixed = make_dp_policy()->assign(problem_, options);
      const Schedule schedule = scheduler_.evaluate(mixed);
      const bool differs = mixed != assignment_;
      add("choice      one device: {}\n",
          differs ? fmt::format("the best cut found costs {} with its copies{}", milliseconds(schedule.latency_s),
                                schedule.latency_s < latency_ ? ", which is too close to be worth a cut" : "")
                  : "every cut loses more to copies and dispatching than it saves");
    } else if (latency_ > 0) {
      add("choice      several devices: {:.2f} times as fast as the best one alone\n", best_alone / latency_);
    }
  }

  /// Time of the partition's nodes on a device under a change of the work.
  double time_on(const std::vector<NodeId>& nodes, int device, const std::function<double(int)>& node_time) const {
    double sum = 0;
    for (const NodeId node : nodes) sum += node_time(static_cast<int>(node));
    return sum + problem_.overhead(device, sum);
  }

  void partition(std::size_t p, std::optional<double> measured_ms) {
    const PlannedPartition& partition = plan_.partitions[p];
    const int here = partition.nodes.empty() ? 0 : assignment_[partition.nodes.front()];
    add("partition {} on {}: {} node{}, predicted {} (confidence {:.0f}%)", p, label(problem_, here),
        partition.nodes.size(), partition.nodes.size() == 1 ? "" : "s", milliseconds(partition.predicted_s),
        100 * partition.confidence);
    if (measured_ms) {
      add(", measured {:.4g} ms ({:+.0f}%)", *measured_ms,
          *measured_ms > 0 ? 100 * (1e3 * partition.predicted_s / *measured_ms - 1) : 0.0);
    }
    add("\n  because   {}\n", partition.reason);
    runner_up(partition, here);
    heavy_layers(partition, here);
  }

  void runner_up(const PlannedPartition& partition, int here) {
    int second = -1;
    double second_latency = 0;
    for (int device = 0; device < problem_.device_count(); ++device) {
      if (device == here) continue;
      Assignment moved = assignment_;
      bool able = true;
      for (const NodeId node : partition.nodes) {
        able &= problem_.is_gpu(device) ? problem_.works[node].movable : true;
        moved[node] = device;
      }
      if (!able) continue;
      const double latency = scheduler_.evaluate(moved).latency_s;
      if (second >= 0 && latency >= second_latency) continue;
      second = device;
      second_latency = latency;
    }
    if (second < 0) return;
    const auto predicted = [&](int device) {
      return time_on(partition.nodes, device, [&](int node) { return problem_.time(node, device); });
    };
    const double difference = second_latency - latency_;
    add("  runner-up {}: {} there, the whole request {} ({:+.4g} ms)\n", label(problem_, second),
        milliseconds(predicted(second)), milliseconds(second_latency), 1e3 * difference);
    // What moving costs beyond computing: copies saved or added. Their bytes grow with the batch.
    const double moving = difference - (predicted(second) - predicted(here));
    const std::string flip = flipping_batch(partition.nodes, here, second, moving);
    const std::string zeros = flipping_zeros(partition.nodes, here, second, moving);
    add("  flips     {}{}{}\n", flip, !flip.empty() && !zeros.empty() ? "; " : "",
        flip.empty() && zeros.empty() ? "neither a batch up to 1024 times as large nor another share of zeros turns it"
                                      : zeros);
  }

  bool second_wins(const std::vector<NodeId>& nodes, int here, int second, double moving,
                   const std::function<double(int, int)>& node_time) const {
    const double there = time_on(nodes, second, [&](int node) { return node_time(node, second); });
    const double stay = time_on(nodes, here, [&](int node) { return node_time(node, here); });
    return there + moving < stay;
  }

  std::string flipping_batch(const std::vector<NodeId>& nodes, int here, int second, double moving) const {
    const auto wins = [&](double factor) {
      return second_wins(nodes, here, second, moving * factor, [&](int node, int device) {
        // Relative to the prediction in use, which may be a measurement of this very layer.
        const double now = predicted_for_batch(problem_, costs_, node, device, 1);
        const double then = predicted_for_batch(problem_, costs_, node, device, factor);
        return now > 0 ? problem_.time(node, device) * then / now : problem_.time(node, device);
      });
    };
    for (double factor = 2; factor <= 1024; factor *= 2) {
      if (!wins(factor)) continue;
      double low = factor / 2;
      double high = factor;
      while (high - low > 0.01 * high) {
        const double middle = (low + high) / 2;
        (wins(middle) ? high : low) = middle;
      }
      return fmt::format("{} would win from {:.1f} times the batch", label(problem_, second), high);
    }
    for (double factor = 0.5; factor >= 1.0 / 64; factor /= 2) {
      if (wins(factor))
        return fmt::format("{} would win at 1/{:.0f} of the batch", label(problem_, second), 1 / factor);
    }
    return {};
  }

  std::string flipping_zeros(const std::vector<NodeId>& nodes, int here, int second, double moving) const {
    double weights = 0;
    double zeros = 0;
    for (const NodeId node : nodes) {
      const NodeWork& work = problem_.works[node];
      if (work.layer != LayerClass::convolution && work.layer != LayerClass::product) continue;
      weights += work.weights;
      zeros += work.weights * work.zeros;
    }
    if (weights == 0) return {};
    const int now = static_cast<int>(std::lround(100 * zeros / weights));
    const auto wins = [&](int percent) {
      return second_wins(nodes, here, second, moving, [&](int node, int device) {
        const NodeWork& work = problem_.works[index(node)];
        if (work.layer != LayerClass::convolution && work.layer != LayerClass::product) {
          return problem_.time(node, device);
        }
        return predicted_for_zeros(problem_, costs_, node, device, percent / 100.0);
      });
    };
    for (int step = 1; step < 100; ++step) {
      if (now + step <= 99 && wins(now + step)) {
        return fmt::format("{} would win from {}% zeros", label(problem_, second), now + step);
      }
      if (now - step >= 0 && wins(now - step)) {
        return fmt::format("{} would win below {}% zeros", label(problem_, second), now - step + 1);
      }
    }
    return {};
  }

  void heavy_layers(const PlannedPartition& partition, int here) {
    std::vector<NodeId> nodes = partition.nodes;
    const std::size_t count = std::min(kHeavyLayers, nodes.size());
    std::partial_sort(nodes.begin(), nodes.begin() + static_cast<std::ptrdiff_t>(count), nodes.end(),
                      [&](NodeId a, NodeId b) {
                        return problem_.time(static_cast<int>(a), here) > problem_.time(static_cast<int>(b), here);
                      });
    for (std::size_t i = 0; i < count; ++i) {
      const int node = static_cast<int>(nodes[i]);
      const NodeWork& work = problem_.works[nodes[i]];
      if (work.layer == LayerClass::view) continue;
      add("  layer     {} ({}", problem_.graph->node(nodes[i]).name, problem_.graph->node(nodes[i]).op);
      if (work.zeros > 0) add(", {:.1f}% zeros", 100 * work.zeros);
      add("):");
      for (int device = 0; device < problem_.device_count() && device < 6; ++device) {
        const Prediction prediction = predict_by_roofline(work, problem_.devices[index(device)].spec);
        add("{} {} on {} ({}, limited by {})", device == 0 ? "" : ",", milliseconds(problem_.time(node, device)),
            label(problem_, device), problem_.sparse[problem_.at(node, device)] != 0 ? "skipping zeros" : "all numbers",
            bound_name(prediction.bound));
      }
      add("\n");
    }
  }

  /// Copies of one request alone: hidden while the receiving device computes something else or waits for others anyway.
  void edges() {
    struct Arrival {
      std::size_t edge;
      double exposed;
    };
    std::vector<Arrival> arrivals;
    double hidden = 0;
    double exposed = 0;
    std::vector<std::size_t> order;
    for (std::size_t e = 0; e < plan_.edges.size(); ++e) {
      if (plan_.edges[e].predicted_s > 0) order.push_back(e);
    }
    const std::size_t copies = order.size();
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return plan_.edges[a].predicted_s > plan_.edges[b].predicted_s;
    });
    if (order.size() > kMostEdges) order.resize(kMostEdges);
    PlacementProblem changed = problem_;
    for (const std::size_t e : order) {
      const PlannedEdge& edge = plan_.edges[e];
      const double without = latency_without(edge, changed);
      const double lost = std::clamp(latency_ - without, 0.0, edge.predicted_s);
      exposed += lost;
      hidden += edge.predicted_s - lost;
      arrivals.push_back({e, lost});
    }
    if (arrivals.empty()) return;
    std::stable_sort(arrivals.begin(), arrivals.end(),
                     [](const Arrival& a, const Arrival& b) { return a.exposed > b.exposed; });
    add("copies      {} between devices{}: {} hidden behind computing, {} exposed\n", copies,
        copies > arrivals.size() ? fmt::format(", the longest {} of them", arrivals.size()) : "", milliseconds(hidden),
        milliseconds(exposed));
    for (std::size_t i = 0; i < arrivals.size(); ++i) {
      const PlannedEdge& edge = plan_.edges[arrivals[i].edge];
      add("  edge      {} from {} to partition {}: {} bytes, {}, of which {} exposed\n",
          problem_.graph->value(edge.value).name,
          edge.from < 0 ? std::string("outside") : fmt::format("partition {}", edge.from), edge.to, edge.bytes,
          milliseconds(edge.predicted_s), milliseconds(arrivals[i].exposed));
    }
  }

  /// `changed` is a copy of the problem, as it was and will be.
  double latency_without(const PlannedEdge& edge, PlacementProblem& changed) const {
    const auto value = std::find_if(changed.values.begin(), changed.values.end(),
                                    [&](const FlowingValue& flowing) { return flowing.id == edge.value; });
    if (value == changed.values.end()) return latency_;
    const std::size_t bytes = std::exchange(value->bytes, 0);
    const double latency = Scheduler(changed).evaluate(assignment_).latency_s;
    value->bytes = bytes;
    return latency;
  }

  const PlacementProblem& problem_;
  const CostModel& costs_;
  const Plan& plan_;
  Objective objective_;
  Assignment assignment_;
  Scheduler scheduler_;
  double latency_ = 0;
  std::string text_;
};

}  // namespace

std::string explain_placement(const PlacementProblem& problem, const CostModel& costs, const Plan& plan,
                              Objective objective, std::span<const double> measured_ms,
                              std::optional<double> measured_total_ms) {
  return Explanation(problem, costs, plan, objective).text(measured_ms, measured_total_ms);
}

}  // namespace sparse_run
