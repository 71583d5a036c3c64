// Ranks on the same host, as the system sees them: who is stopped or gone, when MPI cannot say.
#pragma once

#include <string>

namespace sparse_run::comm {

/// "rank 2 (process 4711) is stopped; rank 3 is not running", about the ranks that the same launcher started on this
/// host; empty when nothing is wrong with them or the system does not tell. Who is not running is told when nobody is
/// stopped: that may be a consequence.
std::string describe_siblings_in_trouble();
/// Only those that are stopped.
std::string describe_stopped_siblings();

}  // namespace sparse_run::comm
