// How ranks share the requests of a run where nobody said it.
#pragma once

#include "cli/form_choice.hpp"
#include "cli/ranked_work.hpp"

namespace sparse_run::cli {

/// Whether a model adds up rows along the edges of a graph: then its inputs belong together, whatever their sizes.
bool adds_along_edges(const Graph& model);

/// Collective. A plan file decides. Otherwise, streams of requests go the way that is the fastest in simulation, a
/// model that does not fit a rank's memory is cut into stages, and a graph network that mostly adds along edges shares
/// the nodes. One request alone is for rank 0, or for all of them where the ranks share a host and splitting its layers
/// is predicted to pay.
FormChoice best_form(RankedWork& work);

}  // namespace sparse_run::cli
