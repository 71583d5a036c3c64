// Ranks on the same host, as the system sees them: who is stopped or gone, when MPI cannot say.
#pragma once

#include <string>

namespace sparse_run::comm {

/// "rank 2 (process 4711) is stopped; rank 3 is not running", about the ranks that the same launcher started on this
/// host; empty when nothing is wrong with them or the system does not tell.
std::string describe_siblings_in_trouble();

}  // namespace sparse_run::comm
