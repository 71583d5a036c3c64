// What was built: the version and the choices of the build.
#pragma once

#include <string>
#include <string_view>

namespace sparse_run::cli {

std::string_view version();     ///< "0.1.0"
std::string_view compiler();    ///< "GCC 12.2.0"
std::string_view build_type();  ///< "Release"
bool built_with_cuda();
std::string onednn_version();  ///< of the library in use, "2.6.3"
std::string tbb_version();     ///< of the library in use, "2021.8 (interface 12.8)"
std::string version_line();    ///< everything on one line, for --version

}  // namespace sparse_run::cli
