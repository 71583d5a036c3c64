// The asking options that need no model.
#pragma once

#include <string>

namespace sparse_run::cli {

std::string list_operators();
std::string list_passes();

}  // namespace sparse_run::cli
