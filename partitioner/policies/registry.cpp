// The list of policies, and what all of them need.
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/error.hpp"
#include "partitioner/policies/policy.hpp"
#include "partitioner/policies/policy_library.hpp"

namespace sparse_run {

double PolicyOptions::number_or(std::string_view name, double fallback, double lowest, double highest) const {
  const auto found = parameters.find(name);
  if (found == parameters.end()) return fallback;
  double value = 0;
  const std::string& text = found->second;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size() || !(value >= lowest && value <= highest)) {
    throw_error(ErrorKind::usage, "--policy: parameter {}={}: give a number from {:g} to {:g}", name, text, lowest,
                highest);
  }
  return value;
}

const std::vector<PolicyPtr>& built_in_policies() {
  static const std::vector<PolicyPtr> kPolicies = {
      make_auto_policy(),        make_cpu_policy(),   make_gpu_policy(), make_density_policy(),
      make_greedy_policy(),      make_heft_policy(),  make_dp_policy(),  make_local_search_policy(),
      make_round_robin_policy(), make_random_policy()};
  return kPolicies;
}

PolicyPtr find_policy(const std::string& name) {
  if (name.find('/') != std::string::npos || name.ends_with(".so")) return load_policy_library(name);
  std::vector<std::string> known;
  for (const PolicyPtr& policy : built_in_policies()) {
    if (policy->name() == name) return policy;
    known.push_back(policy->name());
  }
  throw_error(ErrorKind::usage, "--policy {}: no such policy; choose one of {}, or the path of a shared object", name,
              fmt::join(known, ", "));
}

PolicyChoice parse_policy(const std::string& text) {
  const auto colon = text.find(':');
  PolicyChoice choice;
  choice.policy = find_policy(text.substr(0, colon));
  const auto known = choice.policy->parameters();
  std::string_view rest = colon == std::string::npos ? std::string_view() : std::string_view(text).substr(colon + 1);
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find(','));
    rest = part.size() < rest.size() ? rest.substr(part.size() + 1) : std::string_view();
    const auto equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      throw_error(ErrorKind::usage, "--policy {}: '{}' is no parameter; write NAME:key=value,key=value", text, part);
    }
    const std::string key(part.substr(0, equals));
    if (std::none_of(known.begin(), known.end(),
                     [&](const PolicyParameter& p) { return p.name == key || p.name == "*"; })) {
      std::vector<std::string> names;
      for (const PolicyParameter& parameter : known) names.push_back(parameter.name);
      throw_error(ErrorKind::usage, "--policy {}: '{}' has no parameter '{}'; it takes {}", text, choice.policy->name(),
                  key, names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
    }
    choice.parameters[key] = std::string(part.substr(equals + 1));
  }
  return choice;
}

Assignment place(const Policy& policy, const PlacementProblem& problem, const PolicyOptions& options) {
  return checked_placement(policy, problem, policy.assign(problem, options));
}

Assignment checked_placement(const Policy& policy, const PlacementProblem& problem, Assignment assignment) {
  if (assignment.size() != problem.works.size()) {
    throw_error(ErrorKind::usage, "policy '{}' placed {} of {} nodes", policy.name(), assignment.size(),
                problem.works.size());
  }
  for (int node = 0; node < problem.node_count(); ++node) {
    const int device = assignment[static_cast<std::size_t>(node)];
    const Node& named = problem.graph->nodes()[static_cast<std::size_t>(node)];
    if (device < 0 || device >= problem.device_count()) {
      throw_error(ErrorKind::usage, "policy '{}' placed {} on device {}, but there are {}", policy.name(),
                  named.describe(), device, problem.device_count());
    }
    if (!problem.may(node, device)) {
      throw_error(ErrorKind::usage, "policy '{}' placed {} on {}, where it may not run", policy.name(),
                  named.describe(), problem.devices[static_cast<std::size_t>(device)].spec.name);
    }
  }
  return fit_memory(problem, std::move(assignment));
}

int allowed_device(const PlacementProblem& problem, int node, int preferred) {
  if (preferred >= 0 && problem.may(node, preferred)) return preferred;
  int best = -1;
  for (int device = 0; device < problem.device_count(); ++device) {
    if (!problem.may(node, device)) continue;
    if (best < 0 || problem.time(node, device) < problem.time(node, best)) best = device;
  }
  if (best < 0) {
    throw_error(ErrorKind::usage, "no device in use can run {}; add cpu to --devices",
                problem.graph->nodes()[static_cast<std::size_t>(node)].describe());
  }
  return best;
}

double total_time(const PlacementProblem& problem, int device) {
  double sum = 0;
  for (int node = 0; node < problem.node_count(); ++node) sum += problem.time(node, device);
  return sum;
}

int fastest_device(const PlacementProblem& problem, DeviceKind kind) {
  int best = -1;
  double least = std::numeric_limits<double>::infinity();
  for (int device = 0; device < problem.device_count(); ++device) {
    if (problem.devices[static_cast<std::size_t>(device)].spec.kind != kind) continue;
    const double total = total_time(problem, device);
    if (best < 0 || total < least) {
      best = device;
      least = total;
    }
  }
  return best;
}

}  // namespace sparse_run
