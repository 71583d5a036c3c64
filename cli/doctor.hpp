// --doctor: what this machine offers, and what to do about what it lacks.
#pragma once

#include <filesystem>
#include <string>

#include "device/machine.hpp"

namespace sparse_run::cli {

/// One line per finding: "ok", "note" or "fix", the subject, what was found, and for all but "ok" what to do.
/// `cache_folder` is where timings of kernels are kept, empty for nowhere.
std::string doctor_text(const Machine& machine, const std::filesystem::path& cache_folder);

}  // namespace sparse_run::cli
