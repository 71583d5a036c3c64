// The asking options that need no model.
#pragma once

#include <string>

#include "device/machine.hpp"

namespace sparse_run::cli {

std::string list_devices(const Machine& machine);
std::string list_operators();
std::string list_passes();

}  // namespace sparse_run::cli
