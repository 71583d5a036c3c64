// Requests, graphs and plans of a ranked run.
#include "cli/ranked_work.hpp"

#include "cli/placement.hpp"
#include "graph/passes/pipeline.hpp"

namespace sparse_run::cli {

void RankedWork::make_parts() {
  if (job.is_job && !inputs.inputs.empty()) parts.emplace(inputs.inputs, job.micro_batch, job.pad_last);
}

std::vector<Value> RankedWork::inputs_of(std::int64_t request) const {
  return request < 0 || !parts ? inputs.first_request() : parts->request(request);
}

int RankedWork::signature_of(std::int64_t request) const {
  return request >= 0 && parts && !job.pad_last && parts->rows_of(request).count < job.micro_batch ? 1 : 0;
}

Graph RankedWork::resolved() const {
  return specialize(*context.session.graph(), job.request_types, *context.evaluator, context.passes);
}

PassOptions RankedWork::passes_for_graphs() const {
  PassOptions passes = context.passes;
  passes.disabled.insert("fuse-aggregate");
  return passes;
}

Plan RankedWork::plan_file(const Graph& graph) const {
  return with_context([&] { return "--plan " + options().plan; },
                      [&] {
                        Plan plan = plan_from_json(read_text(options().plan, "--plan"), graph);
                        if (!plan.model_hash.empty() && plan.model_hash != context.report.model_hash) {
                          throw_error(ErrorKind::usage,
                                      "the plan was made for a model with hash {}, this one has {}; plan again",
                                      plan.model_hash, context.report.model_hash);
                        }
                        return plan;
                      });
}

}  // namespace sparse_run::cli
