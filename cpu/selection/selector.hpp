// Chooses the kernel of each node among those that accept it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cpu/kernel_table.hpp"
#include "cpu/selection/kernel_memory.hpp"
#include "cpu/selection/trial.hpp"

namespace sparse_run::cpu {

/// A decision, with what --explain says about it.
struct KernelChoice {
  const KernelEntry* entry = nullptr;  ///< nullptr: no kernel accepts, the reference kernel runs
  std::string variant;
  std::unique_ptr<Step> step;  ///< where timing has built it already; otherwise for build()
  std::string kernel;          ///< name, with "@variant" when the kernel has several
  std::string refusals;
  std::string choice;
  std::vector<KernelCandidate> candidates;
  double sparse_from = -1;

  /// Builds `step` unless it is there. For several choices at once, each with a view of its own.
  void build(const NodeView& view, Environment environment);
};

/// How much a compilation may find out by running kernels.
struct SelectionPolicy {
  double budget_s = 0;             ///< seconds of timing for one partition; 0: estimates decide, the same everywhere
  KernelMemory* memory = nullptr;  ///< asked first, and told; may be null
};

/// Lives while one partition is compiled, in one thread, in the arena that will run it.
class KernelSelector {
 public:
  KernelSelector(const Environment& environment, const SelectionPolicy& policy)
      : environment_(environment), policy_(policy), trial_(environment) {}

  /// `pinned` is the kernel the node must get; empty: free choice. Error(usage) when that is not possible.
  KernelChoice choose(const NodeView& view, std::string_view pinned);

 private:
  struct Contender;

  std::vector<Contender> contenders_of(const NodeView& view, std::string_view pinned, std::string& refusals) const;
  /// Times the most promising contenders; the fastest moves to the front. False when the budget does not allow it.
  bool time(std::vector<Contender>& contenders, const NodeView& view);

  const Environment& environment_;
  SelectionPolicy policy_;
  Trial trial_;
  double spent_s_ = 0;
};

}  // namespace sparse_run::cpu
