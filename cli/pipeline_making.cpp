// Planning, compiling and balancing a pipeline.
#include "cli/pipeline_making.hpp"

#include <fmt/format.h>
#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

#include <algorithm>

#include "cli/quantities.hpp"
#include "cli/stage_balance.hpp"
#include "graph/onnx/content_hash.hpp"
#include "partitioner/rank_stages.hpp"
#include "runtime/distributed/wire.hpp"

namespace sparse_run::cli {

namespace {

constexpr double kUseOfLink = 0.5;  // a link as busy as the stages would hide nothing of what varies

/// What each node takes on this rank's CPU, as the planner predicts it.
std::vector<double> node_seconds(const RankedWork& work, const Graph& graph) {
  const PlacementProblem problem = work.context.placement->problem(graph);
  const auto cpu = std::find_if(problem.devices.begin(), problem.devices.end(),
                                [](const auto& device) { return device.spec.kind == DeviceKind::cpu; });
  require(cpu != problem.devices.end(), "a host without a CPU");
  std::vector<double> seconds;
  for (NodeId id = 0; id < graph.nodes().size(); ++id)
    seconds.push_back(problem.time(static_cast<int>(id), static_cast<int>(cpu - problem.devices.begin())));
  return seconds;
}

class PipelineMaking {
 public:
  PipelineMaking(RankedWork& work, const FormChoice& choice, std::vector<PipelineSignature> planned)
      : work_(work), planned_(std::move(planned)) {
    options_.groups = choice.groups;
    options_.signature_of = [&work](std::int64_t request) { return work.signature_of(request); };
    stages_ = choice.stages > 0 ? choice.stages : work.ranks().size() / choice.groups;
  }

  std::unique_ptr<RankForm> make() {
    if (!work_.link) work_.link = probe_link(work_.ranks().cluster());
    work_.phase("plan", [&] {
      if (!work_.leads()) return;
      for (PipelineSignature& signature : planned_) signature.plan = first_plan(*signature.graph);
    });
    send_plans();
    options_.link_bytes_per_s = work_.link->bytes_per_s;
    if (!work_.options().plan.empty()) {  // stages are planned as graphs of their own, with the kernels of the file
      for (const PipelineSignature& signature : planned_) work_.context.kernels.set(signature.plan, *signature.graph);
    }
    work_.make_parts();
    compile();
    if (balances()) balance();
    tell_of_idle_ranks();
    return std::move(form_);
  }

 private:
  bool balances() const { return work_.options().plan.empty() && work_.options().kernel_timing > 0; }
  Plan first_plan(const Graph& graph) const {
    return work_.options().plan.empty() ? cut(graph, stages_, node_seconds(work_, graph)) : work_.plan_file(graph);
  }
  Plan cut(const Graph& graph, int stages, std::vector<double> node_s) const {
    StageCosts costs;
    costs.link_bytes_per_s = kUseOfLink * work_.link->bytes_per_s;
    costs.link_latency_s = work_.link->latency_s;
    costs.node_s = std::move(node_s);
    return plan_stages(graph, stages, costs, "cpu", work_.context.report.model_hash);
  }

  /// Rank 0's plans and what it knows of the link, everywhere; ranks agree that the plans are for the same graphs.
  void send_plans() {
    WireWriter writer;
    if (work_.leads()) {
      writer.put(work_.link->bytes_per_s);
      for (const PipelineSignature& signature : planned_)
        writer.put(std::string_view(plan_to_json(signature.plan, *signature.graph)));
    }
    WireReader reader(work_.ranks().cluster().broadcast(writer.take()));
    std::string seen;
    work_.phase("plan", [&] {
      work_.link->bytes_per_s = reader.get<double>();
      for (PipelineSignature& signature : planned_) {
        const Graph& graph = *signature.graph;
        const std::string text = reader.text();
        if (!work_.leads()) signature.plan = plan_from_json(text, graph);
        seen += text;
        for (const Node& node : graph.nodes()) {
          seen += node.name + node.op;
          for (const ValueId value : node.outputs) {
            if (value != kNoValue) seen += to_string(graph.value(value).type);
          }
        }
      }
    });
    work_.ranks().check_same("plan", onnx::hash_text(onnx::content_hash(std::as_bytes(std::span(seen)))));
  }

  void compile() {
    form_.reset();  // its weights go before others come
    work_.phase("compile", [&] {
      const bool placed = std::any_of(planned_.begin(), planned_.end(), [](const PipelineSignature& signature) {
        return std::any_of(signature.plan.partitions.begin(), signature.plan.partitions.end(),
                           [](const PlannedPartition& partition) { return partition.device != "cpu"; });
      });
      auto make_session = work_.context.make_session;
      if (placed) {
        make_session = [this, where = placement_of(planned_.front().plan, *planned_.front().graph)](
                           std::shared_ptr<const Graph> part) {
          return work_.context.make_placed_session(std::move(part), where);
        };
      }
      auto signatures = planned_;
      if (!balances()) planned_.clear();  // nothing is cut again: weights of other ranks may go
      form_ = std::make_unique<PipelineForm>(work_.ranks().cluster(), std::move(signatures), options_, make_session,
                                             work_.context.run_options.trace);
    });
  }

  /// Times the stages, all ranks at once as when they work, and cuts again where that promises more.
  void balance() {
    PipelineSignature& signature = planned_.front();
    std::vector<double> node_s;
    StageBalance balance;
    for (Balance next = Balance::cut; next == Balance::cut;) {
      const std::vector<double> stage_s = measure();
      WireWriter decision;
      work_.phase("plan", [&] {
        if (!work_.leads()) return;
        if (node_s.empty()) node_s = node_seconds(work_, *signature.graph);
        tell_of_stages(stage_s);
        decision.put(balance.next(signature.plan, node_s, stage_s, [&](const std::vector<double>& costs) {
          return cut(*signature.graph, stages_, costs);
        }));
      });
      next = WireReader(work_.ranks().cluster().broadcast(decision.take())).get<Balance>();
      if (next == Balance::keep) break;
      send_plans();
      compile();
    }
    if (!work_.leads()) return;
    work_.simulated_rate = simulated_rate(*work_.context.placement, *signature.graph, signature.plan,
                                          work_.ranks().size(), options_.groups, *work_.link, balance.stage_seconds());
  }

  /// Seconds by stage, of the slowest pipeline, at rank 0.
  std::vector<double> measure() {
    WireWriter own;
    own.put(form_->stage());
    own.put(form_->time_stage());
    std::vector<double> stage_s(static_cast<std::size_t>(form_->stages()), 0);
    for (auto& bytes : work_.ranks().cluster().gather(own.take())) {
      WireReader reader(std::move(bytes));
      const int stage = reader.get<int>();
      const auto seconds = reader.get<double>();
      if (stage < 0) continue;
      double& slowest = stage_s.at(static_cast<std::size_t>(stage));
      slowest = std::max(slowest, seconds);
    }
    return stage_s;
  }

  void tell_of_stages(const std::vector<double>& stage_s) const {
    if (work_.options().verbosity <= 0) return;
    std::string text;
    for (const double seconds : stage_s) text += (text.empty() ? "" : ", ") + format_seconds(seconds);
    work_.context.notice("stages take " + text);
  }

  void tell_of_idle_ranks() const {
    const int working = form_->stages() * options_.groups;
    if (!work_.leads() || working >= work_.ranks().size()) return;
    work_.context.notice(fmt::format("{} of {} ranks idle: more stages would not be faster",
                                     work_.ranks().size() - working, work_.ranks().size()));
  }

  RankedWork& work_;
  std::vector<PipelineSignature> planned_;
  PipelineOptions options_;
  int stages_ = 1;  ///< at most, of each pipeline
  std::unique_ptr<PipelineForm> form_;
};

}  // namespace

std::unique_ptr<RankForm> make_pipeline_form(RankedWork& work, const FormChoice& choice,
                                             std::vector<PipelineSignature> planned) {
  auto form = PipelineMaking(work, choice, std::move(planned)).make();
#ifdef __GLIBC__
  ::malloc_trim(0);  // what is left of other stages' weights goes back to the system
#endif
  return form;
}

}  // namespace sparse_run::cli
