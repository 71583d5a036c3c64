// A loaded model ready to run: compiles per input-shape signature, runs requests from several threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "device/device.hpp"
#include "graph/passes/evaluator.hpp"
#include "graph/passes/pass.hpp"
#include "partitioner/plan.hpp"
#include "runtime/cut_check.hpp"
#include "runtime/trace.hpp"

namespace sparse_run {

/// Places a resolved graph. Called once per input-shape signature. Bodies of If, Loop and Scan are not planned: they
/// run on the host, where their node is.
using Planner = std::function<Plan(const Graph& graph)>;

struct SessionOptions {
  int threads = 0;                    ///< 0: every core this process may use
  std::uint64_t seed = 0;             ///< of random operators
  PassOptions passes;                 ///< which passes not to run
  std::size_t cached_signatures = 8;  ///< compiled input-shape signatures kept (least recently used goes)
  std::size_t memory_limit = 0;       ///< bytes of working memory and packed weights of a signature; 0: unlimited
  /// Bytes of a device's own memory that all signatures and requests together may take; default: 80% of it.
  std::map<std::string, std::size_t> device_memory_limits;
};

/// An input or output of the model as it declares it.
struct Port {
  std::string name;
  Type type;                         ///< -1 where symbolic or unknown
  std::vector<std::string> symbols;  ///< parallel to the shape; "" where the dimension is a number or anonymous
};

/// Memory of a device with memory of its own, for one signature.
struct DeviceUse {
  std::string device;
  std::size_t held_bytes = 0;         ///< weights and workspace, as long as the signature is kept
  std::size_t bytes_per_request = 0;  ///< values
};

/// What was compiled for one signature.
struct CompileReport {
  std::string signature;  ///< "input=f32[1x3x224x224]"
  double compile_s = 0;
  std::vector<PassReport> passes;
  std::shared_ptr<const Graph> graph;  ///< resolved and fused: what layers and plan refer to; shared with the program
  Plan plan;
  std::vector<std::vector<LayerReport>> layers;  ///< per partition, the steps of its executable
  std::size_t workspace_bytes = 0;               ///< on the host
  std::size_t weight_bytes = 0;                  ///< on the host
  std::vector<DeviceUse> devices;                ///< those with memory of their own
};

/// Optional companions of one run.
struct RunOptions {
  const std::atomic<bool>* cancelled = nullptr;  ///< set it from anywhere: the run ends with Error(interrupted)
  std::vector<LayerTimes>* times = nullptr;      ///< filled with one entry per partition when given; reusable
  Trace* trace = nullptr;
  /// When given, every value that crosses to another device is computed there too and shown; the run is slower.
  const CutVisitor* cuts = nullptr;
};

/// Thread-safe: run() and prepare() may be called from several threads at once.
class Session {
 public:
  /// `devices` are offered to `planner` by name, one of them at least computes in host memory; `evaluator` folds
  /// constants.
  Session(std::shared_ptr<const Graph> model, std::vector<std::shared_ptr<Device>> devices,
          std::shared_ptr<Evaluator> evaluator, Planner planner, SessionOptions options);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const std::vector<Port>& inputs() const noexcept;
  const std::vector<Port>& outputs() const noexcept;
  const SessionOptions& options() const noexcept;  ///< threads resolved
  const std::vector<PassReport>& load_passes() const noexcept;
  std::shared_ptr<const Graph> graph() const noexcept;  ///< after the load passes

  /// Compiles for inputs of these types (parallel to inputs(), concrete) unless cached. Error(model) when the model
  /// refuses them, Error(input) when they do not fit the ports, Error(limit) above memory_limit.
  std::shared_ptr<const CompileReport> prepare(std::span<const Type> types);

  /// One request: values parallel to inputs(); the outputs in order, in memory owned by the result.
  std::vector<Value> run(std::span<const Value> inputs, const RunOptions& options = {});
  /// The same with inputs that the caller is done with: each is let go when nothing reads it any more.
  std::vector<Value> run(std::vector<Value>&& inputs, const RunOptions& options = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Checks a value's type against a port: Error(input) naming the port, what it expects and what came.
void check_input(const Port& port, const Type& given);

}  // namespace sparse_run
