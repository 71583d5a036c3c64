// From a choice of form to the form: what every rank compiles for its share of the requests.
#pragma once

#include <memory>

#include "cli/form_choice.hpp"
#include "cli/ranked_work.hpp"
#include "runtime/distributed/rank_form.hpp"

namespace sparse_run::cli {

/// Collective. Resolves the model, cuts it as `choice` says, and compiles this rank's share. Where the model cannot be
/// cut, rank 0 says why and requests are spread. `work` outlives the form, which asks it for inputs. Error(usage) for
/// what the chosen form cannot do.
std::unique_ptr<RankForm> make_form(RankedWork& work, const FormChoice& choice);

}  // namespace sparse_run::cli
