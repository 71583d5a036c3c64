// Why a plan is as it is: what else was possible, what would change the choice, and how far predictions hold.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "partitioner/cost_model.hpp"
#include "partitioner/placement_schedule.hpp"
#include "partitioner/plan.hpp"

namespace sparse_run {

/// What --explain prints of the placement: the plan against everything on one device and a lower bound; per partition
/// the device, the runner-up and the smallest change of batch or zeros that would turn the choice; the heaviest layers
/// with their time on every device; copies, and how much of each nothing hides. `measured_ms` is parallel to the
/// plan's partitions, or empty when nothing was run.
std::string explain_placement(const PlacementProblem& problem, const CostModel& costs, const Plan& plan,
                              Objective objective, std::span<const double> measured_ms = {},
                              std::optional<double> measured_total_ms = std::nullopt);

}  // namespace sparse_run
