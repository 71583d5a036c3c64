// Keeping a placement within the memory of its devices.
#include <algorithm>
#include <limits>

#include "base/error.hpp"
#include "partitioner/policies/policy.hpp"

namespace sparse_run {

namespace {

constexpr int kMostRounds = 32;

double used_bytes(const Schedule& schedule, std::size_t device) {
  return static_cast<double>(schedule.weight_bytes[device] + schedule.activation_bytes[device]);
}

double room(const PlacementProblem& problem, const Schedule& schedule, std::size_t device) {
  return static_cast<double>(problem.devices[device].memory_limit) - used_bytes(schedule, device);
}

struct Move {
  int node;
  int to;
  double bytes;
  double loss;  ///< seconds per byte
};

/// Every way to take weight off the device, least loss per byte first.
std::vector<Move> moves_from(const PlacementProblem& problem, const Assignment& assignment, const Schedule& schedule,
                             int device) {
  std::vector<Move> moves;
  for (int node = 0; node < problem.node_count(); ++node) {
    if (assignment[static_cast<std::size_t>(node)] != device) continue;
    const double bytes = static_cast<double>(problem.weight_bytes[problem.at(node, device)]) +
                         0.01 * problem.works[static_cast<std::size_t>(node)].activation_bytes;
    int best = -1;
    for (int other = 0; other < problem.device_count(); ++other) {
      if (other == device || !problem.may(node, other)) continue;
      const auto needed = static_cast<double>(problem.weight_bytes[problem.at(node, other)]);
      if (needed > room(problem, schedule, static_cast<std::size_t>(other))) continue;
      if (best < 0 || problem.time(node, other) < problem.time(node, best)) best = other;
    }
    if (best < 0) continue;
    const double loss = (problem.time(node, best) - problem.time(node, device)) / std::max(1.0, bytes);
    moves.push_back({node, best, bytes, loss});
  }
  std::stable_sort(moves.begin(), moves.end(), [](const Move& a, const Move& b) { return a.loss < b.loss; });
  return moves;
}

}  // namespace

Assignment fit_memory(const PlacementProblem& problem, Assignment assignment) {
  Scheduler scheduler(problem);
  Schedule schedule = scheduler.evaluate(assignment);
  for (int round = 0; schedule.overcommitted > 0 && round < kMostRounds; ++round) {
    std::size_t worst = 0;
    for (std::size_t d = 1; d < problem.devices.size(); ++d) {
      if (room(problem, schedule, d) < room(problem, schedule, worst)) worst = d;
    }
    double excess = -room(problem, schedule, worst);
    Schedule planned = schedule;
    bool moved = false;
    for (const Move& move : moves_from(problem, assignment, schedule, static_cast<int>(worst))) {
      if (excess <= 0) break;
      const auto to = static_cast<std::size_t>(move.to);
      const std::size_t needed = problem.weight_bytes[problem.at(move.node, move.to)];
      if (static_cast<double>(needed) > room(problem, planned, to)) continue;
      planned.weight_bytes[to] += needed;
      assignment[static_cast<std::size_t>(move.node)] = move.to;
      excess -= move.bytes;
      moved = true;
    }
    if (!moved) break;
    schedule = scheduler.evaluate(assignment);
  }
  if (schedule.overcommitted <= 0) return assignment;
  for (std::size_t d = 0; d < problem.devices.size(); ++d) {
    if (room(problem, schedule, d) >= 0) continue;
    throw_error(ErrorKind::limit,
                "the model does not fit the devices: {} would need {:.0f} MiB, its limit is {:.0f} MiB; add a device, "
                "raise --memory-limit or use a smaller batch",
                problem.devices[d].spec.name, used_bytes(schedule, d) / (1 << 20),
                static_cast<double>(problem.devices[d].memory_limit) / (1 << 20));
  }
  return assignment;
}

}  // namespace sparse_run
