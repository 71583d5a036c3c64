// Sessions: load passes, ports, the arena, and bodies.
#include "runtime/session.hpp"

#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <map>

#include "base/clock.hpp"
#include "graph/ops/infer.hpp"
#include "graph/passes/pipeline.hpp"
#include "runtime/compiled_graph.hpp"
#include "runtime/graph_runner.hpp"

namespace sparse_run {

namespace {

/// The host's device, where bodies run.
std::string host_device(const std::vector<std::shared_ptr<Device>>& devices) {
  for (const auto& device : devices) {
    if (device->memory() == nullptr) return device->name();
  }
  throw Error(ErrorKind::internal, "a session needs a device that computes in host memory");
}

/// What each device's own memory may take.
std::vector<Admission::Budget> budgets_of(const std::vector<std::shared_ptr<Device>>& devices,
                                          const std::map<std::string, std::size_t>& limits) {
  constexpr double kDefaultShare = 0.8;
  std::vector<Admission::Budget> budgets;
  for (const auto& device : devices) {
    Admission::Budget budget{device->name(), 0};
    if (DeviceMemory* memory = device->memory()) {
      const auto given = limits.find(budget.device);
      budget.limit = given != limits.end()
                         ? given->second
                         : static_cast<std::size_t>(kDefaultShare * static_cast<double>(memory->capacity_bytes()));
    }
    budgets.push_back(std::move(budget));
  }
  return budgets;
}

/// Compiles and runs bodies of If, Loop and Scan on the host.
class SessionBodies final : public BodyRunner {
 public:
  explicit SessionBodies(const Compiler& session) : compiler_(session) {
    compiler_.planner = [host = host_device(session.devices)](const Graph& graph) {
      return single_device_plan(graph, host, "");
    };
  }

  std::vector<Value> run_body(const GraphPtr& body, std::span<const Value> inputs,
                              std::span<const Value> captures) override {
    std::vector<Value> all(inputs.begin(), inputs.end());
    all.insert(all.end(), captures.begin(), captures.end());
    std::mt19937_64 random(compiler_.options.seed);
    Request request;
    request.bodies = this;
    request.random = &random;
    return runner(body).run(std::move(all), request);
  }

 private:
  struct Known {
    GraphPtr body;  // keeps the key's address unique
    std::unique_ptr<GraphRunner> runner;
  };

  GraphRunner& runner(const GraphPtr& body) {
    const std::lock_guard lock(mutex_);
    Known& known = runners_[body.get()];
    if (!known.runner) {
      known.body = body;
      known.runner = std::make_unique<GraphRunner>(captures_as_inputs(*body), compiler_);
    }
    return *known.runner;
  }

  Compiler compiler_;
  std::mutex mutex_;
  std::map<const Graph*, Known> runners_;
};

std::vector<Port> ports_of(const Graph& graph, std::span<const ValueId> ids) {
  std::vector<Port> ports;
  for (const ValueId id : ids) {
    const ValueDef& def = graph.value(id);
    ports.push_back({def.name, def.type, def.symbols});
  }
  return ports;
}

}  // namespace

void check_input(const Port& port, const Type& given) {
  if (port.type.kind != given.kind) {
    throw_error(ErrorKind::input, "input '{}' expects {}, got {}", port.name, to_string(port.type), to_string(given));
  }
  if (port.type.kind != ValueKind::tensor) return;
  const auto refuse = [&] {
    throw_error(ErrorKind::input, "input '{}' expects {}, got {}", port.name, to_string(port.type), to_string(given));
  };
  if (port.type.dtype != DType::undefined && port.type.dtype != given.dtype) refuse();
  if (!port.type.shape || !given.shape) return;
  if (port.type.shape->size() != given.shape->size()) refuse();
  for (std::size_t i = 0; i < given.shape->size(); ++i) {
    const std::int64_t expected = (*port.type.shape)[i];
    if (expected >= 0 && expected != (*given.shape)[i]) refuse();
  }
}

struct Session::Impl {
  Compiler compiler;
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  std::vector<PassReport> load_passes;
  std::shared_ptr<const Graph> graph;
  std::unique_ptr<tbb::global_control> workers;
  std::unique_ptr<tbb::task_arena> arena;
  StagingPool staging;
  std::unique_ptr<Admission> admission;
  std::unique_ptr<SessionBodies> bodies;
  std::unique_ptr<GraphRunner> runner;

  /// Callers take part in the computing, unless devices work too: then callers wait outside, and all threads are
  /// workers.
  void open_arena(int threads) {
    const bool devices_work = std::any_of(compiler.devices.begin(), compiler.devices.end(),
                                          [](const auto& device) { return device->memory() != nullptr; });
    if (!devices_work) {
      arena = std::make_unique<tbb::task_arena>(threads);
      return;
    }
    const auto limit = tbb::global_control::max_allowed_parallelism;
    workers = std::make_unique<tbb::global_control>(
        limit, std::max(tbb::global_control::active_value(limit), static_cast<std::size_t>(threads) + 1));
    arena = std::make_unique<tbb::task_arena>(threads, 0);
  }

  void check(std::span<const Type> types) const {
    if (types.size() != inputs.size()) {
      throw_error(ErrorKind::input, "the model takes {} inputs, {} are given", inputs.size(), types.size());
    }
    std::map<std::string, std::pair<std::int64_t, std::string>> symbols;
    for (std::size_t i = 0; i < types.size(); ++i) {
      check_input(inputs[i], types[i]);
      if (!types[i].shape) continue;
      for (std::size_t d = 0; d < inputs[i].symbols.size() && d < types[i].shape->size(); ++d) {
        const std::string& symbol = inputs[i].symbols[d];
        if (symbol.empty()) continue;
        const auto [known, added] = symbols.try_emplace(symbol, (*types[i].shape)[d], inputs[i].name);
        if (!added && known->second.first != (*types[i].shape)[d]) {
          throw_error(ErrorKind::input, "dimension '{}' is {} in input '{}' and {} in input '{}'; they must agree",
                      symbol, known->second.first, known->second.second, (*types[i].shape)[d], inputs[i].name);
        }
      }
    }
  }
};

Session::Session(std::shared_ptr<const Graph> model, std::vector<std::shared_ptr<Device>> devices,
                 std::shared_ptr<Evaluator> evaluator, Planner planner, SessionOptions options)
    : impl_(std::make_unique<Impl>()) {
  check_operators(*model);
  impl_->inputs = ports_of(*model, model->inputs());
  impl_->outputs = ports_of(*model, model->outputs());
  if (options.threads <= 0) options.threads = tbb::this_task_arena::max_concurrency();
  impl_->admission = std::make_unique<Admission>(budgets_of(devices, options.device_memory_limits));
  impl_->compiler = {std::move(devices), std::move(evaluator),  std::move(planner), std::move(options), nullptr,
                     &impl_->staging,    impl_->admission.get()};
  impl_->open_arena(impl_->compiler.options.threads);
  impl_->compiler.arena = impl_->arena.get();
  impl_->bodies = std::make_unique<SessionBodies>(impl_->compiler);
  impl_->arena->execute([&] {
    impl_->graph = std::make_shared<const Graph>(
        optimize(*model, *impl_->compiler.evaluator, impl_->compiler.options.passes, &impl_->load_passes));
  });
  impl_->runner = std::make_unique<GraphRunner>(impl_->graph, impl_->compiler);
}

Session::~Session() = default;

const std::vector<Port>& Session::inputs() const noexcept { return impl_->inputs; }
const std::vector<Port>& Session::outputs() const noexcept { return impl_->outputs; }
const SessionOptions& Session::options() const noexcept { return impl_->compiler.options; }
const std::vector<PassReport>& Session::load_passes() const noexcept { return impl_->load_passes; }
std::shared_ptr<const Graph> Session::graph() const noexcept { return impl_->graph; }

std::shared_ptr<const CompileReport> Session::prepare(std::span<const Type> types) {
  impl_->check(types);
  return impl_->arena->execute([&] { return impl_->runner->compiled_for(types)->report(); });
}

std::vector<Value> Session::run(std::span<const Value> inputs, const RunOptions& options) {
  return run(std::vector<Value>(inputs.begin(), inputs.end()), options);
}

std::vector<Value> Session::run(std::vector<Value>&& inputs, const RunOptions& options) {
  std::vector<Type> types;
  types.reserve(inputs.size());
  for (const Value& value : inputs) types.push_back(Type::of(value));
  impl_->check(types);
  std::mt19937_64 random(impl_->compiler.options.seed);
  const Request request{impl_->bodies.get(), &random, options.cancelled, options.times, options.trace, options.cuts};
  return impl_->runner->run(std::move(inputs), request);
}

}  // namespace sparse_run
