// A plan and what is known about it, for people: explanation and page.
#pragma once

#include <optional>
#include <string>

#include "cli/profile.hpp"
#include "partitioner/planner.hpp"
#include "runtime/session.hpp"

namespace sparse_run::cli {

/// Why the plan is as it is, with measured times where there is a profile.
std::string placement_text(PlacementPlanner& planner, const CompileReport& compiled,
                           const std::optional<Profile>& profile);

/// The page of --plan-out FILE.html.
std::string plan_page(PlacementPlanner& planner, const CompileReport& compiled, const std::optional<Profile>& profile);

}  // namespace sparse_run::cli
