// Everything a person can ask of sparse-run, as plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/shape.hpp"
#include "device/precision.hpp"
#include "runtime/distributed/node_owners.hpp"

namespace sparse_run::cli {

enum class Scenario { latency, throughput };

/// How several ranks share the work.
enum class Parallel { automatic, data, pipeline, rows, hybrid, graph };

/// What was asked. Options that were not given keep these defaults.
struct Options {
  std::string model;

  // Input and output
  std::vector<std::string> inputs;                               ///< as typed: NAME=FILE.npy, FILE.npz, NAME=random…
  std::vector<std::pair<std::string, Shape>> shapes;             ///< --shape NAME=1x3x224x224
  std::vector<std::pair<std::string, std::int64_t>> dimensions;  ///< --dim SYMBOL=8
  std::optional<std::int64_t> micro_batch;
  std::string output;
  std::string expect;
  std::string test_data;
  double rtol = 1e-3;
  double atol = 1e-5;

  // Where it runs
  std::vector<std::string> devices;
  Precision precision = Precision::f32;                              ///< the lowest to multiply in
  int threads = 0;                                                   ///< 0: every core
  std::vector<std::pair<std::string, std::uint64_t>> memory_limits;  ///< device, bytes
  std::string policy = "auto";                                       ///< NAME[:key=value,…] or a shared object
  bool policy_given = false;
  std::string objective = "latency";
  std::vector<std::string> pins;  ///< REGEX=device[:rank][/kernel]
  std::string plan;               ///< a plan file to follow
  std::string topology;           ///< a topology file instead of this machine
  std::string topology_out;
  std::string simulate;                  ///< a topology file to simulate
  std::optional<std::int64_t> requests;  ///< to simulate
  bool strict = false;
  std::string plan_out;
  std::string export_placed;  ///< the model with the plan's devices written into it
  bool verify_cuts = false;
  Parallel parallel = Parallel::automatic;
  NodeCut node_cut = NodeCut::best;
  double deadline = 30;  ///< seconds that a rank may be silent
  bool resume = false;
  std::string inject;  ///< faults of the transport
  bool explain = false;
  bool dry_run = false;
  double plan_timing = 1;        ///< seconds per compilation for choosing between plans; 0: predictions choose
  double kernel_timing = 1;      ///< seconds per compilation; 0: kernels are chosen by estimate
  std::string columns = "auto";  ///< "auto", "layers", "off"
  std::string cache_dir;         ///< empty: the user's cache folder; "none": nothing is kept
  std::vector<std::string> disabled_passes;
  std::uint64_t seed = 0;

  // Measuring
  bool benchmark = false;
  Scenario scenario = Scenario::latency;
  std::optional<int> streams;  ///< default: one for latency, one per thread for throughput
  double warmup = 1;           ///< seconds
  double duration = 5;         ///< seconds
  std::optional<std::int64_t> iterations;
  bool duration_given = false;
  bool profile = false;
  std::string trace;
  std::string json;

  // Asking
  bool list_devices = false;
  bool list_policies = false;
  bool calibrate = false;
  std::vector<std::string> plan_diff;  ///< two plan files
  bool list_operators = false;
  bool list_passes = false;
  bool inspect = false;
  bool doctor = false;
  int verbosity = 0;   ///< -q: -1, -v: 1
  double timeout = 0;  ///< seconds; 0: none
  bool untrusted = false;
};

/// What parsing a command line came to.
struct ParsedCommandLine {
  Options options;
  std::optional<std::string> text;  ///< to print instead of running: help, version, dumped configuration
};

/// Parses the command line, then SPARSE_RUN_<OPTION> of the environment, then the file of --config: the first that
/// has an option wins. Error(usage) names the option and what it accepts.
ParsedCommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace sparse_run::cli
