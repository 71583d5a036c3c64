// The order of passes, and the two ways through them.
#include "graph/passes/pipeline.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "graph/passes/passes.hpp"

namespace sparse_run {

namespace {

Graph timed_resolve(std::string_view name, std::size_t nodes_before, std::vector<PassReport>* reports, auto&& body) {
  const auto start = Clock::now();
  Graph graph = body();
  if (reports != nullptr) {
    reports->push_back({std::string(name), 1e3 * seconds_since(start), 0, nodes_before, graph.nodes().size()});
  }
  return graph;
}

}  // namespace

const PassPipeline& load_passes() {
  static const PassPipeline pipeline = [] {
    PassPipeline built;
    built.add(make_share_equal_nodes())
        .add(make_fold_batch_norm())
        .add(make_fold_pad())
        .add(make_recognise_activation())
        .add(make_recognise_layer_norm())
        .add(make_fold_scale())
        .add(make_recognise_attention())  // before transposes of unit dimensions become reshapes
        .add(make_simplify_movement());
    return built;
  }();
  return pipeline;
}

const PassPipeline& specialize_passes() {
  static const PassPipeline pipeline = [] {
    PassPipeline built;
    built.add(make_share_equal_nodes())
        .add(make_fold_pad())
        .add(make_recognise_activation())
        .add(make_recognise_layer_norm())
        .add(make_fold_projection())
        .add(make_recognise_aggregate())  // before biases and factors move elsewhere
        .add(make_fold_scale())
        .add(make_recognise_attention())
        .add(make_simplify_movement())
        .add(make_fuse_product())
        .add(make_multiply_after_sums())  // leaves products that the next pass takes
        .add(make_fuse_aggregate())       // takes fused products
        .add(make_fuse_convolution())
        .add(make_tokens_as_lanes())  // sees which products have their bias, residual and activation
        .add(make_share_equal_nodes());
    return built;
  }();
  return pipeline;
}

void check_pass_names(const std::set<std::string, std::less<>>& names) {
  std::set<std::string_view> known;
  for (const std::string_view name : load_passes().names()) known.insert(name);
  for (const std::string_view name : specialize_passes().names()) known.insert(name);
  for (const std::string& name : names) {
    if (known.contains(name)) continue;
    std::string list;
    for (const std::string_view one : known) list += fmt::format("{}{}", list.empty() ? "" : ", ", one);
    throw_error(ErrorKind::usage, "there is no pass '{}'; there are: {}", name, list);
  }
}

Graph optimize(const Graph& graph, Evaluator& evaluator, const PassOptions& options, std::vector<PassReport>* reports,
               const ResolveOptions& resolving) {
  Graph folded = timed_resolve("fold-constants", graph.nodes().size(), reports,
                               [&] { return fold_constants(graph, evaluator, resolving); });
  return load_passes().run(std::move(folded), options, reports);
}

Graph specialize(const Graph& graph, std::span<const Type> inputs, Evaluator& evaluator, const PassOptions& options,
                 std::vector<PassReport>* reports, std::span<const Type> captures, const ResolveOptions& resolving) {
  Graph resolved = timed_resolve("resolve", graph.nodes().size(), reports,
                                 [&] { return resolve(graph, inputs, evaluator, resolving, captures); });
  return specialize_passes().run(std::move(resolved), options, reports);
}

}  // namespace sparse_run
