// What the inputs of a job are, told by rank 0 to ranks that may or may not see the same files.
#pragma once

#include <string>
#include <vector>

#include "cli/inputs.hpp"
#include "runtime/distributed/cluster.hpp"

namespace sparse_run::cli {

/// The shape of a job as every rank needs to know it.
struct SharedJob {
  std::vector<Type> request_types;  ///< of a full request, parallel to the ports
  std::vector<bool> split;
  std::int64_t rows = 0;
  std::int64_t micro_batch = 0;
  bool pad_last = false;
  bool is_job = false;
  std::string fingerprint;  ///< of all input data; empty when ranks should not read it themselves
};

/// Collective. `gathered` is read on rank 0 only.
SharedJob share_job(Cluster& cluster, const GatheredInputs& gathered);

/// Types of the inputs, and what lies at the ends of their data.
std::string identity_of(const GatheredInputs& gathered);

/// Identifies input data by types and by what lies at the ends of files; empty when nobody but rank 0 should read it,
/// because it is not mapped and too large to hold once per rank.
std::string fingerprint_of(const GatheredInputs& gathered);

/// Collective: which ranks hold the data of `job` themselves. `own`: what this rank gathered, if it could.
std::vector<bool> agree_on_readers(Cluster& cluster, const SharedJob& job, const GatheredInputs* own);

}  // namespace sparse_run::cli
