// Runs passes in order, timed and checked.
#include "graph/passes/pass.hpp"

#include "base/clock.hpp"
#include "graph/ops/infer.hpp"

namespace sparse_run {

PassPipeline& PassPipeline::add(std::unique_ptr<Pass> pass) {
  passes_.push_back(std::move(pass));
  return *this;
}

std::vector<std::string_view> PassPipeline::names() const {
  std::vector<std::string_view> names;
  for (const auto& pass : passes_) names.push_back(pass->name());
  return names;
}

Graph PassPipeline::run(Graph graph, const PassOptions& options, std::vector<PassReport>* reports) const {
  for (const auto& pass : passes_) {
    if (options.disabled.contains(pass->name())) continue;
    with_context([&] { return fmt::format("pass '{}'", pass->name()); },
                 [&] {
                   const auto start = Clock::now();
                   PassReport report;
                   report.name = pass->name();
                   report.nodes_before = graph.nodes().size();
                   GraphBuilder builder(std::move(graph));
                   report.rewrites = pass->run(builder);
                   graph = std::move(builder).build();
                   report.nodes_after = graph.nodes().size();
                   report.ms = 1e3 * seconds_since(start);
                   if (options.verify) verify_types(graph);
                   if (reports != nullptr) reports->push_back(std::move(report));
                 });
  }
  return graph;
}

void verify_types(const Graph& graph) {
  std::vector<Type> inputs;
  std::vector<Type> captures;
  for (const ValueId id : graph.inputs()) inputs.push_back(graph.value(id).type);
  for (const ValueId id : graph.captures()) captures.push_back(graph.value(id).type);
  try {
    const std::vector<Type> inferred = infer_graph(graph, inputs, captures);
    for (ValueId id = 0; id < inferred.size(); ++id) {
      with_context([&] { return fmt::format("value '{}'", graph.value(id).name); },
                   [&] { merge(inferred[id], graph.value(id).type); });
    }
  } catch (const Error& error) {
    throw_error(ErrorKind::internal, "the rewritten graph is not consistent: {}", error.what());
  }
}

}  // namespace sparse_run
