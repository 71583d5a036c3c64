// From a resolved model to a pipeline: planned by rank 0, compiled, measured, and cut again where that pays.
#pragma once

#include <memory>
#include <vector>

#include "cli/form_choice.hpp"
#include "cli/ranked_work.hpp"
#include "runtime/distributed/pipeline_form.hpp"

namespace sparse_run::cli {

/// Collective. `planned`: the model resolved for each signature of requests, the same on every rank. A plan file is
/// followed as it is; otherwise stages are balanced by predicted times and then, unless kernels are chosen by estimate,
/// by times measured while all ranks work. Leaves in `work` how fast simulation expects the pipeline to be. `work`
/// outlives the form. Error(usage) for a plan that does not fit.
std::unique_ptr<RankForm> make_pipeline_form(RankedWork& work, const FormChoice& choice,
                                             std::vector<PipelineSignature> planned);

}  // namespace sparse_run::cli
