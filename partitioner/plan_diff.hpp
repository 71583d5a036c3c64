// What differs between two plan files.
#pragma once

#include <string>

namespace sparse_run {

/// Compares plans by their text alone: no model is needed. One line per node that is placed, pinned or computed
/// otherwise, and per number that differs; "no difference\n" when there is none. Error(usage) when a text is no plan.
std::string plan_diff(const std::string& a, const std::string& b);

}  // namespace sparse_run
