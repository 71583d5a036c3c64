// Plans as JSON: for programs, for editors, and to be run again.
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "partitioner/json_fields.hpp"
#include "partitioner/plan.hpp"

namespace sparse_run {

namespace {

using OrderedJson = nlohmann::ordered_json;
constexpr double kMilliseconds = 1e3;

OrderedJson partition_json(const PlannedPartition& partition, const Graph& graph) {
  auto names = OrderedJson::array();
  for (const NodeId id : partition.nodes) names.push_back(graph.node(id).name);
  OrderedJson json = {{"device", partition.device},
                      {"rank", partition.rank},
                      {"stage", partition.stage},
                      {"reason", partition.reason},
                      {"predicted_ms", partition.predicted_s * kMilliseconds},
                      {"confidence", partition.confidence},
                      {"weight_bytes", partition.weight_bytes},
                      {"nodes", std::move(names)}};
  auto kernels = OrderedJson::object();
  for (std::size_t i = 0; i < partition.kernels.size(); ++i) {
    if (!partition.kernels[i].empty()) kernels[graph.node(partition.nodes[i]).name] = partition.kernels[i];
  }
  if (!kernels.empty()) json["kernels"] = std::move(kernels);
  auto pinned = OrderedJson::array();
  for (const NodeId id : partition.pinned) pinned.push_back(graph.node(id).name);
  if (!pinned.empty()) json["pinned"] = std::move(pinned);
  return json;
}

class Names {
 public:
  explicit Names(const Graph& graph) {
    for (std::size_t id = 0; id < graph.nodes().size(); ++id) {
      nodes_.emplace(graph.nodes()[id].name, static_cast<NodeId>(id));
    }
  }
  NodeId node(const std::string& name, const std::string& where) const {
    const auto found = nodes_.find(name);
    if (found == nodes_.end()) {
      throw_error(ErrorKind::usage, "{}: the graph has no node '{}'; was the plan made for another model or shape?",
                  where, name);
    }
    return found->second;
  }

 private:
  std::unordered_map<std::string, NodeId> nodes_;
};

std::string node_name(const Json& json, const std::string& where) {
  if (!json.is_string()) throw_error(ErrorKind::usage, "{}: expected the name of a node", where);
  return json.get<std::string>();
}

PlannedPartition read_partition(const JsonFields& fields, const Names& names) {
  PlannedPartition partition;
  partition.device = fields.text("device");
  partition.rank = static_cast<int>(fields.integer_or("rank", 0, 0, 1 << 20));
  partition.stage = static_cast<int>(fields.integer_or("stage", 0, 0, 1 << 20));
  partition.reason = fields.text_or("reason", "");
  partition.predicted_s = fields.number_or("predicted_ms", 0, 0, 1e12) / kMilliseconds;
  partition.confidence = fields.number_or("confidence", 0, 0, 1);
  partition.weight_bytes = static_cast<std::size_t>(fields.integer_or("weight_bytes", 0, 0, std::int64_t{1} << 50));
  for (const Json& name : fields.list("nodes")) {
    partition.nodes.push_back(names.node(node_name(name, fields.where("nodes")), fields.where("nodes")));
  }
  if (const Json* kernels = fields.find("kernels")) {
    if (!kernels->is_object()) throw_error(ErrorKind::usage, "{}: expected an object", fields.where("kernels"));
    std::unordered_map<NodeId, std::string> kernel_of;
    const JsonFields each(*kernels, fields.where("kernels"));
    for (const auto& [name, kernel] : kernels->items()) {
      kernel_of[names.node(name, fields.where("kernels"))] = each.text(name);
    }
    for (const NodeId id : partition.nodes) {
      const auto found = kernel_of.find(id);
      partition.kernels.push_back(found == kernel_of.end() ? "" : found->second);
      if (found != kernel_of.end()) kernel_of.erase(found);
    }
    if (!kernel_of.empty()) {
      throw_error(ErrorKind::usage, "{}: names a node that is not in this partition", fields.where("kernels"));
    }
  }
  for (const Json& name : fields.list_or_empty("pinned")) {
    partition.pinned.push_back(names.node(node_name(name, fields.where("pinned")), fields.where("pinned")));
  }
  return partition;
}

PlannedEdge read_edge(const JsonFields& fields, const Graph& graph, std::size_t partitions) {
  const auto value = graph.find_value(fields.text("value"));
  if (!value) throw_error(ErrorKind::usage, "{}: the graph has no such value", fields.where("value"));
  const auto last = static_cast<std::int64_t>(partitions) - 1;
  return {*value, static_cast<int>(fields.integer("from", -1, last)), static_cast<int>(fields.integer("to", 0, last)),
          static_cast<std::size_t>(fields.integer("bytes", 0, std::int64_t{1} << 60)),
          fields.number_or("predicted_ms", 0, 0, 1e12) / kMilliseconds};
}

}  // namespace

std::string plan_to_json(const Plan& plan, const Graph& graph) {
  OrderedJson json = {{"schema_version", Plan::kSchemaVersion},
                      {"policy", plan.policy},
                      {"objective", plan.objective},
                      {"seed", plan.seed},
                      {"model_hash", plan.model_hash},
                      {"topology_hash", plan.topology_hash},
                      {"calibration_hash", plan.calibration_hash},
                      {"predicted_ms", plan.predicted_s * kMilliseconds},
                      {"bottleneck_ms", plan.bottleneck_s * kMilliseconds},
                      {"lower_bound_ms", plan.lower_bound_s * kMilliseconds}};
  json["memory"] = OrderedJson::array();
  for (const PlannedMemory& memory : plan.memory) {
    json["memory"].push_back({{"device", memory.device},
                              {"rank", memory.rank},
                              {"weight_bytes", memory.weight_bytes},
                              {"activation_bytes", memory.activation_bytes},
                              {"limit_bytes", memory.limit_bytes}});
  }
  for (const TriedPlan& tried : plan.tried) {
    json["tried"].push_back({{"what", tried.what},
                             {"predicted_ms", tried.predicted_s * kMilliseconds},
                             {"measured_ms", tried.measured_s * kMilliseconds}});
  }
  json["partitions"] = OrderedJson::array();
  for (const PlannedPartition& partition : plan.partitions)
    json["partitions"].push_back(partition_json(partition, graph));
  json["edges"] = OrderedJson::array();
  for (const PlannedEdge& edge : plan.edges) {
    json["edges"].push_back({{"value", graph.value(edge.value).name},
                             {"from", edge.from},
                             {"to", edge.to},
                             {"bytes", edge.bytes},
                             {"predicted_ms", edge.predicted_s * kMilliseconds}});
  }
  return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + '\n';
}

Plan plan_from_json(const std::string& text, const Graph& graph) {
  const Json json = parse_json(text, "plan");
  const JsonFields fields(json, "plan");
  fields.expect_schema_version(Plan::kSchemaVersion);
  Plan plan;
  plan.policy = fields.text_or("policy", "by hand");
  plan.objective = fields.text_or("objective", "latency");
  plan.seed = static_cast<std::uint64_t>(fields.integer_or("seed", 0, 0, std::numeric_limits<std::int64_t>::max()));
  plan.model_hash = fields.text_or("model_hash", "");
  plan.topology_hash = fields.text_or("topology_hash", "");
  plan.calibration_hash = fields.text_or("calibration_hash", "");
  plan.predicted_s = fields.number_or("predicted_ms", 0, 0, 1e12) / kMilliseconds;
  plan.bottleneck_s = fields.number_or("bottleneck_ms", 0, 0, 1e12) / kMilliseconds;
  plan.lower_bound_s = fields.number_or("lower_bound_ms", 0, 0, 1e12) / kMilliseconds;
  constexpr std::int64_t kMostBytes = std::int64_t{1} << 60;
  for (const JsonFields& entry : fields.objects("memory")) {
    plan.memory.push_back({entry.text("device"), static_cast<int>(entry.integer_or("rank", 0, 0, 1 << 20)),
                           static_cast<std::size_t>(entry.integer_or("weight_bytes", 0, 0, kMostBytes)),
                           static_cast<std::size_t>(entry.integer_or("activation_bytes", 0, 0, kMostBytes)),
                           static_cast<std::size_t>(entry.integer_or("limit_bytes", 0, 0, kMostBytes))});
  }
  for (const JsonFields& entry : fields.objects("tried")) {
    plan.tried.push_back({entry.text("what"), entry.number("predicted_ms", 0, 1e12) / kMilliseconds,
                          entry.number("measured_ms", 0, 1e12) / kMilliseconds});
  }
  const Names names(graph);
  if (fields.find("partitions") == nullptr) throw Error(ErrorKind::usage, "plan: 'partitions' is missing");
  for (const JsonFields& entry : fields.objects("partitions")) plan.partitions.push_back(read_partition(entry, names));
  for (const JsonFields& entry : fields.objects("edges")) {
    plan.edges.push_back(read_edge(entry, graph, plan.partitions.size()));
  }
  if (fields.find("edges") == nullptr) connect_partitions(plan, graph);
  validate_plan(plan, graph);
  return plan;
}

}  // namespace sparse_run
