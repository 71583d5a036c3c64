// --verify-cuts: how far devices agree on what crosses between them.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cli/comparison.hpp"
#include "runtime/session.hpp"

namespace sparse_run::cli {

/// One comparison per value and pair of devices it crosses between. Cuts that the other device cannot compute are told
/// to `notice`, and so is a plan without cuts.
std::vector<Comparison> verify_cuts(Session& session, std::span<const Value> request, Tolerance tolerance,
                                    const RunOptions& run_options,
                                    const std::function<void(const std::string&)>& notice);

}  // namespace sparse_run::cli
