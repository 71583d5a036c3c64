// --calibrate: measuring this machine for the cost model.
#pragma once

#include <string>

#include "cli/options.hpp"

namespace sparse_run::cli {

/// Measures layers and copies, those of the model too when one is named, stores the result and tells what it found.
/// Takes less than a minute beyond loading and running the model. Error(input) when the result cannot be stored.
std::string calibrate(const Options& options);

}  // namespace sparse_run::cli
