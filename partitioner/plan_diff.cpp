// Comparing plan files node by node.
#include "partitioner/plan_diff.hpp"

#include <fmt/format.h>

#include <map>
#include <set>

#include "base/error.hpp"
#include "partitioner/json_fields.hpp"
#include "partitioner/plan.hpp"

namespace sparse_run {

namespace {

struct PlacedNode {
  std::string device;
  std::string kernel;
  bool pinned = false;
  std::size_t partition = 0;
};

struct PlanFacts {
  std::map<std::string, std::string> fields;
  std::map<std::string, PlacedNode> nodes;
};

std::string name_of(const Json& json, const std::string& where) {
  if (!json.is_string()) throw_error(ErrorKind::usage, "{}: expected the name of a node", where);
  return json.get<std::string>();
}

PlanFacts read(const std::string& text, const std::string& what) {
  const Json json = parse_json(text, what);
  const JsonFields fields(json, what);
  fields.expect_schema_version(Plan::kSchemaVersion);
  PlanFacts facts;
  for (const char* key : {"policy", "objective", "model_hash", "topology_hash", "calibration_hash"}) {
    facts.fields[key] = fields.text_or(key, "");
  }
  for (const char* key : {"predicted_ms", "bottleneck_ms"}) {
    facts.fields[key] = fmt::format("{:.4g}", fields.number_or(key, 0, 0, 1e12));
  }
  if (fields.find("partitions") == nullptr) throw_error(ErrorKind::usage, "{}: 'partitions' is missing", what);
  const auto partitions = fields.objects("partitions");
  facts.fields["partitions"] = std::to_string(partitions.size());
  double bytes = 0;
  for (const JsonFields& edge : fields.objects("edges")) bytes += edge.number_or("bytes", 0, 0, 1e18);
  facts.fields["edges"] = fmt::format("{} with {:.0f} bytes", fields.list_or_empty("edges").size(), bytes);
  for (std::size_t p = 0; p < partitions.size(); ++p) {
    const JsonFields& partition = partitions[p];
    const std::int64_t rank = partition.integer_or("rank", 0, 0, 1 << 20);
    const std::string device =
        rank == 0 ? partition.text("device") : fmt::format("{} of rank {}", partition.text("device"), rank);
    for (const Json& name : partition.list("nodes")) {
      facts.nodes[name_of(name, partition.where("nodes"))] = {device, "", false, p};
    }
    for (const Json& name : partition.list_or_empty("pinned")) {
      facts.nodes[name_of(name, partition.where("pinned"))].pinned = true;
    }
    if (const Json* kernels = partition.find("kernels")) {
      const JsonFields each(*kernels, partition.where("kernels"));
      for (const auto& [name, kernel] : kernels->items()) facts.nodes[name].kernel = each.text(name);
    }
  }
  return facts;
}

std::string describe(const PlacedNode& node) {
  return fmt::format("{}{}{}", node.device, node.kernel.empty() ? "" : "/" + node.kernel,
                     node.pinned ? " (pinned)" : "");
}

}  // namespace

std::string plan_diff(const std::string& a, const std::string& b) {
  const PlanFacts left = read(a, "first plan");
  const PlanFacts right = read(b, "second plan");
  std::string text;
  for (const auto& [key, value] : left.fields) {
    const std::string& other = right.fields.at(key);
    if (value != other) text += fmt::format("{}: {} -> {}\n", key, value, other);
  }
  std::size_t moved = 0;
  for (const auto& [name, node] : left.nodes) {
    const auto other = right.nodes.find(name);
    if (other == right.nodes.end()) {
      text += fmt::format("node {}: only in the first plan\n", name);
    } else if (describe(node) != describe(other->second)) {
      text += fmt::format("node {}: {} -> {}\n", name, describe(node), describe(other->second));
      ++moved;
    }
  }
  for (const auto& [name, node] : right.nodes) {
    if (!left.nodes.contains(name)) text += fmt::format("node {}: only in the second plan\n", name);
  }
  if (text.empty()) return "no difference\n";
  return text + fmt::format("{} of {} nodes are placed differently\n", moved, left.nodes.size());
}

}  // namespace sparse_run
