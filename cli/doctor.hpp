// --doctor: what this machine offers, and what to do about what it lacks.
#pragma once

#include <string>

#include "device/machine.hpp"

namespace sparse_run::cli {

/// One line per finding: "ok", "note" or "fix", the subject, what was found, and for all but "ok" what to do.
std::string doctor_text(const Machine& machine);

}  // namespace sparse_run::cli
