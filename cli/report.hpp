// Everything a run found out, and its forms for people and programs.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/benchmark.hpp"
#include "cli/comparison.hpp"
#include "cli/machine_limits.hpp"
#include "cli/profile.hpp"
#include "device/machine.hpp"
#include "device/precision.hpp"
#include "runtime/session.hpp"

namespace sparse_run::cli {

/// A job, or a single run.
struct JobReport {
  std::int64_t rows = 0;
  std::int64_t micro_batch = 0;
  int in_flight = 1;
  double seconds = 0;
};

struct RunReport {
  Machine machine;
  int threads = 1;
  Precision precision = Precision::f32;  ///< allowed; kernels' names say what each layer computes in
  std::uint64_t seed = 0;
  std::string model_file;
  std::string model_hash;
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  double load_s = 0;
  double compile_s = 0;
  std::vector<PassReport> load_passes;
  std::shared_ptr<const CompileReport> compiled;  // shared: the session keeps it for its cache
  std::optional<JobReport> job;
  std::optional<BenchmarkResult> benchmark;
  std::optional<Profile> profile;
  std::optional<MachineLimits> limits;
  std::vector<Comparison> comparisons;
};

/// JSON with `schema_version`; keys only ever get more.
std::string report_json(const RunReport& report);

std::string benchmark_text(const RunReport& report);
/// Devices, partitions and memory of a plan.
std::string plan_text(const CompileReport& compiled);
/// The kernel of every layer, and why better-ranked ones were refused.
std::string explain_text(const CompileReport& compiled);

}  // namespace sparse_run::cli
