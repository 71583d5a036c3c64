// The cache of compiled signatures.
#include "runtime/graph_runner.hpp"

#include "runtime/compiled_graph.hpp"

namespace sparse_run {

std::string signature_of(const Graph& graph, std::span<const Type> types) {
  std::string signature;
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (i != 0) signature += ';';
    signature += graph.value(graph.inputs()[i]).name;
    signature += '=';
    signature += to_string(types[i]);
  }
  return signature;
}

GraphRunner::GraphRunner(std::shared_ptr<const Graph> graph, const Compiler& compiler)
    : graph_(std::move(graph)), compiler_(compiler) {}

GraphRunner::~GraphRunner() = default;

std::shared_ptr<const CompiledGraph> GraphRunner::compiled_for(std::span<const Type> types) {
  const std::string signature = signature_of(*graph_, types);
  std::promise<Compiled> promise;
  {
    std::unique_lock lock(mutex_);
    const auto found = entries_.find(signature);
    if (found != entries_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second.position);
      const std::shared_future<Compiled> compiled = found->second.compiled;
      lock.unlock();
      return compiled.get();
    }
    recent_.push_front(signature);
    entries_.emplace(signature, Entry{promise.get_future().share(), recent_.begin()});
    if (recent_.size() > std::max<std::size_t>(compiler_.options.cached_signatures, 1)) {
      entries_.erase(recent_.back());
      recent_.pop_back();
    }
  }
  try {
    // Isolated: while compiling, this thread must not pick up a request that waits for this very signature.
    Compiled compiled =
        tbb::this_task_arena::isolate([&] { return std::make_shared<const CompiledGraph>(*graph_, types, compiler_); });
    promise.set_value(compiled);
    return compiled;
  } catch (...) {
    promise.set_exception(std::current_exception());
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(signature);
    if (found != entries_.end()) {
      recent_.erase(found->second.position);
      entries_.erase(found);
    }
    throw;
  }
}

std::vector<Value> GraphRunner::run(std::vector<Value> inputs, const Request& request) {
  std::vector<Type> types;
  types.reserve(inputs.size());
  for (const Value& value : inputs) types.push_back(Type::of(value));
  Compiled compiled;
  std::vector<Value> outputs;
  compiler_.arena->execute([&] {
    compiled = compiled_for(types);
    if (!compiled->asynchronous()) outputs = compiled->run(std::move(inputs), request);
  });
  // No worker of the arena may sleep while devices work.
  if (compiled->asynchronous()) outputs = compiled->run(std::move(inputs), request);
  return outputs;
}

}  // namespace sparse_run
