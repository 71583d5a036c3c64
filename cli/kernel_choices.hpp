// Kernels that one rank has chosen, for the others to take: timing must not make ranks compute differently.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "partitioner/plan.hpp"
#include "runtime/session.hpp"

namespace sparse_run::cli {

/// By name of node. Thread-safe.
class KernelChoices {
 public:
  /// What runs each layer of a compiled graph, as bytes for other ranks.
  static std::vector<std::byte> of(const CompileReport& compiled);
  void set(std::vector<std::byte> bytes);
  /// Those that a plan names for nodes of its graph.
  void set(const Plan& plan, const Graph& graph);
  void clear();
  /// Decides kernels of nodes that the plan leaves open.
  void apply(Plan& plan, const Graph& graph) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> kernels_;
};

}  // namespace sparse_run::cli
