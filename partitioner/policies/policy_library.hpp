// Policies from shared objects.
#pragma once

#include <string>

#include "partitioner/policies/policy.hpp"

namespace sparse_run {

/// Opens the library and checks its version (policy_abi.h). Error(usage) naming the file when it cannot be opened,
/// lacks a function, or was built for another version. The library stays open as long as the policy lives. A library
/// is code of the person who names it, and runs with all their rights.
PolicyPtr load_policy_library(const std::string& path);

}  // namespace sparse_run
