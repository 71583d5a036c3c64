// One rewriting of a graph, and the ordered list of them that a model goes through.
#pragma once

#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "graph/ir/graph.hpp"

namespace sparse_run {

/// Rewrites a graph without changing what it computes (up to rounding where fusing reorders arithmetic). Stateless:
/// one pass may run on several graphs from several threads. Values that a pass makes get their type from it; public
/// names (graph inputs and outputs) stay.
class Pass {
 public:
  virtual ~Pass() = default;

  /// "fold-batch-norm": what --disable-pass and reports call it.
  virtual std::string_view name() const noexcept = 0;
  /// One sentence for people.
  virtual std::string_view purpose() const noexcept = 0;
  /// Edits in place; returns the number of rewrites. Nodes that nothing needs any more may stay: build() drops them.
  virtual std::size_t run(GraphBuilder& graph) const = 0;
};

struct PassReport {
  std::string name;
  double ms = 0;
  std::size_t rewrites = 0;
  std::size_t nodes_before = 0;
  std::size_t nodes_after = 0;
};

struct PassOptions {
  /// Names of passes not to run.
  std::set<std::string, std::less<>> disabled;
  /// Infer all types again after each pass and compare: Error(internal) naming the pass when they contradict what
  /// the pass declared. Costs an inference per pass.
  bool verify = false;
};

/// Passes in their order. Const and thread-safe once made.
class PassPipeline {
 public:
  PassPipeline& add(std::unique_ptr<Pass> pass);
  std::vector<std::string_view> names() const;
  std::span<const std::unique_ptr<Pass>> passes() const noexcept { return passes_; }

  /// Runs the enabled passes in order; appends one report per pass run. An Error gains the pass's name as context.
  Graph run(Graph graph, const PassOptions& options = {}, std::vector<PassReport>* reports = nullptr) const;

 private:
  std::vector<std::unique_ptr<Pass>> passes_;
};

/// Error(internal) unless inference, run anew, agrees with the type that every value declares.
void verify_types(const Graph& graph);

}  // namespace sparse_run
