// How fast the link between ranks is, as measured at the start of a job.
#pragma once

#include "runtime/distributed/cluster.hpp"

namespace sparse_run {

struct LinkRates {
  double bytes_per_s = 4e9;
  double latency_s = 30e-6;  ///< of a small message, one way
};

/// Times small and large messages between rank 0 and the last rank, a few milliseconds on a fast link. Collective; the
/// result is rank 0's, the others get the defaults. Error(comm) when the job fails meanwhile.
LinkRates probe_link(Cluster& cluster);

}  // namespace sparse_run
