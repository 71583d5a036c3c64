// Runs one graph on inputs of any shape: compiles on first sight of a signature and keeps the recent ones.
#pragma once

#include <cstdint>
#include <future>
#include <list>
#include <memory>
#include <mutex>
#include <random>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include <tbb/task_arena.h>

#include "runtime/admission.hpp"
#include "runtime/session.hpp"
#include "runtime/staging_pool.hpp"

namespace sparse_run {

class CompiledGraph;

/// What compiling and running need; owned by the session.
struct Compiler {
  std::vector<std::shared_ptr<Device>> devices;
  std::shared_ptr<Evaluator> evaluator;
  Planner planner;
  SessionOptions options;
  tbb::task_arena* arena = nullptr;  ///< where host partitions run
  StagingPool* staging = nullptr;
  Admission* admission = nullptr;  ///< budgets parallel to the devices
};

/// What one request carries through everything it runs.
struct Request {
  BodyRunner* bodies = nullptr;
  std::mt19937_64* random = nullptr;
  const std::atomic<bool>* cancelled = nullptr;
  std::vector<LayerTimes>* times = nullptr;
  Trace* trace = nullptr;
  const CutVisitor* cuts = nullptr;  ///< check them instead of running stages side by side
};

/// Thread-safe. A signature is compiled once, while other signatures keep running.
class GraphRunner {
 public:
  /// `compiler` must outlive the runner.
  GraphRunner(std::shared_ptr<const Graph> graph, const Compiler& compiler);
  ~GraphRunner();

  std::shared_ptr<const CompiledGraph> compiled_for(std::span<const Type> types);
  /// From any thread. Inside the arena, as bodies are, only when nothing runs on devices with memory of their own.
  /// Inputs are let go when nothing reads them any more.
  std::vector<Value> run(std::vector<Value> inputs, const Request& request);
  const Graph& graph() const noexcept { return *graph_; }

 private:
  using Compiled = std::shared_ptr<const CompiledGraph>;  // shared: an evicted entry may still be running
  struct Entry {
    std::shared_future<Compiled> compiled;
    std::list<std::string>::iterator position;
  };

  std::shared_ptr<const Graph> graph_;
  const Compiler& compiler_;
  std::mutex mutex_;
  std::list<std::string> recent_;  ///< signatures, most recently used first
  std::unordered_map<std::string, Entry> entries_;
};

/// "x=f32[1x3];y=i64[scalar]": equal exactly when the types are.
std::string signature_of(const Graph& graph, std::span<const Type> types);

}  // namespace sparse_run
