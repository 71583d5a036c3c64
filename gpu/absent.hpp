// What to tell a person who asks for a GPU of a build that has none.
#pragma once

#include <string>

namespace sparse_run::gpu {

/// Why there is no CUDA device in this build and what one takes: the end of an error message, one line without a
/// full stop.
std::string cuda_absence();

}  // namespace sparse_run::gpu
