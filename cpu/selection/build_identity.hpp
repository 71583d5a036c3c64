// Which build of the program this is: timings of another one say nothing about its kernels.
#pragma once

#include <string>

namespace sparse_run::cpu {

/// The linker's build-id of the object this code was linked into, in hexadecimal; empty when it has none.
std::string build_identity();

}  // namespace sparse_run::cpu
