// --profile: where the time of a request goes.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/machine_limits.hpp"
#include "device/precision.hpp"
#include "runtime/session.hpp"

namespace sparse_run::cli {

struct Profile {
  std::size_t runs = 0;
  double total_ms = 0;                        ///< median of whole requests
  std::vector<double> partition_ms;           ///< median from a partition's first step to its last
  std::vector<std::vector<double>> layer_ms;  ///< parallel to CompileReport::layers; medians
  std::vector<std::string> remarks;           ///< of devices on their partitions, after the last run
};

/// Runs the request several times, one after the other, with times taken of every step.
Profile profile_request(Session& session, std::span<const Value> request, const CompileReport& compiled,
                        const RunOptions& run_options);

/// The least time a layer can take: its arithmetic on non-zero weights, or its traffic. Activations come from where
/// those of the layer fit, weights from where those of the whole request do: all are used once per request.
struct Roofline {
  double ms = 0;
  std::string bound;  ///< "arithmetic", "L2", "memory"
};
Roofline roofline_of(const LayerReport& layer, double all_weight_bytes, const MachineLimits& limits);
double all_weight_bytes(const CompileReport& compiled);

/// Tables of partitions and layers, against `limits`.
std::string profile_text(const CompileReport& compiled, const Profile& profile, const MachineLimits& limits,
                         Precision precision);

}  // namespace sparse_run::cli
