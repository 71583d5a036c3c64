// The pipeline form: each rank holds one stage of the model, requests flow through; several pipelines side by side.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/distributed/cluster.hpp"
#include "runtime/distributed/pipeline_layout.hpp"
#include "runtime/distributed/rank_form.hpp"
#include "runtime/session.hpp"

namespace sparse_run {

/// A graph resolved for one signature of inputs, and the plan that cuts it.
struct PipelineSignature {
  std::shared_ptr<const Graph> graph;  // shared with what is compiled from it
  Plan plan;
};

struct PipelineOptions {
  int groups = 1;  ///< pipelines; group g is ranks [g · stages, (g + 1) · stages), requests go round
  /// Which of the signatures a request has. Asked on rank 0.
  std::function<int(std::int64_t request)> signature_of;
  /// Between two ranks; 0: not known, and nothing is sent packed.
  double link_bytes_per_s = 0;
  std::size_t window_bytes = std::size_t{256} << 20;  ///< of buffers for what crosses, per rank
};

/// A stage is a TBB flow graph: receive (asynchronous) → compute → send (asynchronous), with a limit on what is within,
/// so that receives are posted ahead and nothing piles up. Rank 0 feeds inputs and collects outputs besides.
class PipelineForm final : public RankForm {
 public:
  /// Compiles this rank's stage for every signature with `make_session`, which gets the stage as a graph. What it
  /// throws is thrown; Error(usage) for plans that do not fit.
  /// Graphs are let go of before the stage is prepared, as far as the caller does.
  PipelineForm(Cluster& cluster, std::vector<PipelineSignature> signatures, PipelineOptions options,
               const std::function<std::unique_ptr<Session>(std::shared_ptr<const Graph>)>& make_session, Trace* trace);
  ~PipelineForm() override;
  std::string name() const override;
  RankReport lead(const RequestStream& stream) override;
  RankReport follow() override;
  int stages() const noexcept { return stages_; }
  /// What this rank's stage takes for one request, now and here: the median of a few runs on zeros. 0 without a stage.
  double time_stage() const;
  int stage() const noexcept { return stage_; }  ///< of this rank; -1: it idles
  /// Of this rank's stage; nullptr when it has none.
  const Session* session() const noexcept;

 private:
  struct Signature;
  class Round;

  void compile_stage(Signature& signature,
                     const std::function<std::unique_ptr<Session>(std::shared_ptr<const Graph>)>& make_session);

  Cluster& cluster_;
  PipelineOptions options_;
  Trace* trace_;
  int stages_ = 1;
  int group_ = -1;  ///< of this rank; -1: it idles
  int stage_ = -1;
  std::vector<Signature> signatures_;
};

}  // namespace sparse_run
