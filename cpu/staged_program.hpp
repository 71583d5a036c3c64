// A partition that runs as several programs, some of them once for each group of a batch's images.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "cpu/image_stages.hpp"
#include "cpu/program.hpp"
#include "cpu/selection/selector.hpp"

namespace sparse_run::cpu {

/// Values between stages lie in a working memory of their own, which executions that are done leave to later ones.
class StagedProgram final : public Executable {
 public:
  /// `stages` as cut_into_image_stages() made them of `partition`.
  StagedProgram(const Partition& partition, const std::vector<ImageStage>& stages, const Environment& environment,
                const SelectionPolicy& policy);

  void run(std::span<const Value> inputs, std::span<Value> outputs, RunState& state) const override;
  std::vector<LayerReport> layers() const override;
  std::size_t workspace_bytes() const override;
  std::size_t weight_bytes() const override;

 private:
  using Values = std::vector<Value>;  ///< by place
  struct Stage {
    std::unique_ptr<Program> program;
    std::int64_t groups = 1;
    std::vector<std::size_t> inputs, outputs;  ///< places
    std::size_t first_layer = 0;
  };
  /// A value that stages or the caller exchange.
  struct Place {
    Type type;
    bool given = false;  ///< by the caller: input or output
  };

  std::unique_ptr<Values> take_values() const;
  void run_groups(const Stage& stage, Values& values, RunState& state) const;

  std::vector<Place> places_;
  std::vector<Stage> stages_;
  std::vector<std::size_t> inputs_, outputs_;  ///< places of the partition's
  std::size_t layer_count_ = 0;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Values>> idle_;
};

}  // namespace sparse_run::cpu
