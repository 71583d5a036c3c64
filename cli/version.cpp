// The build's description, and the versions of the libraries that compute.
#include "cli/version.hpp"

#include <fmt/format.h>
#include <tbb/version.h>
#include <dnnl.hpp>

#include "comm/mpi/mpi_link.hpp"

namespace sparse_run::cli {

std::string_view version() { return SPARSE_RUN_VERSION; }

std::string_view compiler() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#else
  return "GCC " __VERSION__;
#endif
}

std::string_view build_type() { return SPARSE_RUN_BUILD_TYPE; }

bool built_with_cuda() { return false; }  // there is no such device

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

std::string tbb_version() {
  return fmt::format("{} (interface {})", TBB_runtime_version(), TBB_runtime_interface_version());
}

std::string version_line() {
  return fmt::format("sparse-run {} ({}, {}; {} CUDA, {} MPI; oneDNN {}, oneTBB {})", version(), build_type(),
                     compiler(), built_with_cuda() ? "with" : "without", comm::built_with_mpi() ? "with" : "without",
                     onednn_version(), tbb_version());
}

}  // namespace sparse_run::cli
