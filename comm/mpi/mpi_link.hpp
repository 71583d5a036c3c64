// MPI as a link, or the reason why there is none.
#pragma once

#include <memory>
#include <string>

#include "comm/link.hpp"

namespace sparse_run::comm {

/// Whether this build has MPI.
bool built_with_mpi() noexcept;
/// Version of the MPI library in use, one line; empty without MPI.
std::string mpi_version();
/// What this process was started by, when that was a launcher of parallel jobs: ranks and own rank as its environment
/// tells them.
struct Launch {
  std::string launcher;  ///< "mpirun", "srun"; empty: started alone
  int rank = 0;
  int size = 1;
  int on_this_host = 1;  ///< ranks, as far as the launcher says
};
Launch detect_launch();

/// MPI_COMM_WORLD as a link: MPI is initialised by open() and finalised by close(), on the thread that calls them,
/// with MPI_THREAD_SERIALIZED and errors returned. Error(usage) in a build without MPI.
std::unique_ptr<Link> make_mpi_link();

}  // namespace sparse_run::comm
