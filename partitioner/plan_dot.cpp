// Plans as Graphviz digraphs, for eyes.
#include <fmt/format.h>

#include <iterator>

#include "partitioner/plan.hpp"

namespace sparse_run {

namespace {

std::string dot_quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c == '\n' ? ' ' : c;
  }
  return quoted + '"';
}

}  // namespace

std::string plan_to_dot(const Plan& plan, const Graph& graph) {
  std::string dot = "digraph plan {\n  rankdir=TB;\n  node [shape=box, fontname=\"sans-serif\"];\n";
  auto out = std::back_inserter(dot);
  fmt::format_to(out, "  outside [label=\"inputs\", shape=ellipse];\n");
  for (std::size_t p = 0; p < plan.partitions.size(); ++p) {
    fmt::format_to(out, "  subgraph cluster_{} {{\n    label={};\n", p,
                   dot_quoted(fmt::format("{}: {} on rank {}", p, plan.partitions[p].device, plan.partitions[p].rank)));
    for (const NodeId id : plan.partitions[p].nodes) {
      fmt::format_to(out, "    n{} [label={}];\n", id,
                     dot_quoted(fmt::format("{} ({})", graph.node(id).name, graph.node(id).op)));
    }
    dot += "  }\n";
  }
  for (const Node& node : graph.nodes()) {
    const auto id = static_cast<NodeId>(&node - graph.nodes().data());
    for (const auto& list : {&node.inputs, &node.captures}) {
      for (const ValueId value : *list) {
        if (value == kNoValue || graph.value(value).constant) continue;
        const auto producer = graph.producer(value);
        const std::string from = producer ? fmt::format("n{}", *producer) : "outside";
        fmt::format_to(out, "  {} -> n{} [label={}];\n", from, id, dot_quoted(to_string(graph.value(value).type)));
      }
    }
  }
  return dot + "}\n";
}

}  // namespace sparse_run
