// Laying out the stages of a plan.
#include "runtime/stage.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "runtime/partition_boundary.hpp"

namespace sparse_run {

namespace {

constexpr std::size_t kOutside = static_cast<std::size_t>(-1);  // a value that the caller gives

std::size_t bytes_of(const ValueDef& value) {
  if (!value.type.is_concrete()) return 0;
  return static_cast<std::size_t>(element_count(*value.type.shape)) * element_size(value.type.dtype);
}

class Layout {
 public:
  Layout(const std::shared_ptr<const Graph>& graph, const Plan& plan, std::span<const std::shared_ptr<Device>> devices)
      : graph_(graph), plan_(plan) {
    result_.devices.assign(devices.begin(), devices.end());
    result_.request_bytes.assign(devices.size(), 0);
  }

  StageGraph build() {
    for (std::size_t p = 0; p < plan_.partitions.size(); ++p) {
      locations_.push_back(locate(plan_.partitions[p]));
      partitions_.push_back(boundary_of(graph_, plan_.partitions[p].nodes));
      for (const ValueId id : partitions_[p].inputs) readers_[id].insert(locations_[p]);
    }
    for (const ValueId id : graph_->outputs()) readers_[id].insert(kHost);
    bring(graph_->inputs(), kHost, kOutside);
    for (std::size_t p = 0; p < partitions_.size(); ++p) compute(p);
    return std::move(result_);
  }

 private:
  Location locate(const PlannedPartition& planned) const {
    for (std::size_t i = 0; i < result_.devices.size(); ++i) {
      Device& device = *result_.devices[i];
      if (device.name() != planned.device) continue;
      for (const NodeId id : planned.nodes) {
        const Node& node = graph_->node(id);
        const std::string reason = device.refusal(*graph_, node);
        if (!reason.empty()) {
          throw_error(ErrorKind::usage, "the plan places {} on {}, which cannot run it: {}", node.describe(),
                      planned.device, reason);
        }
      }
      return device.memory() != nullptr ? static_cast<Location>(i) : kHost;
    }
    throw_error(ErrorKind::usage, "the plan names device '{}', which this session does not have", planned.device);
  }

  void compute(std::size_t p) {
    Stage stage;
    stage.partition = static_cast<int>(p);
    stage.location = locations_[p];
    for (const ValueId id : partitions_[p].inputs) {
      const std::size_t source = available_.at({id, stage.location});
      if (source != kOutside) stage.after.push_back(source);
    }
    stage.work = std::move(partitions_[p]);
    const std::vector<ValueId> results = stage.work.outputs;
    take(results, stage.location);
    bring(results, stage.location, add(std::move(stage)));
  }

  /// `values` are at `location` once stage `source` is complete: plans their way to all who read them.
  void bring(std::span<const ValueId> values, Location location, std::size_t source) {
    for (const ValueId id : values) available_[{id, location}] = source;
    if (location == kHost) {
      spread(values, source);
      return;
    }
    std::vector<ValueId> leaving;
    for (const ValueId id : values) {
      const std::set<Location>& readers = readers_[id];
      if (std::any_of(readers.begin(), readers.end(), [&](Location reader) { return reader != location; })) {
        leaving.push_back(id);
      }
    }
    copy(leaving, Stage::Kind::copy_out, location, source,
         [&](std::span<const ValueId> group, std::size_t stage) { spread(group, stage); });
  }

  /// `values` are on the host once `source` is complete: copies them to every device that reads them.
  void spread(std::span<const ValueId> values, std::size_t source) {
    std::map<Location, std::vector<ValueId>> wanted;
    for (const ValueId id : values) {
      available_[{id, kHost}] = source;
      for (const Location reader : readers_[id]) {
        if (reader != kHost && !available_.contains({id, reader})) wanted[reader].push_back(id);
      }
    }
    for (const auto& [device, group] : wanted) {
      copy(group, Stage::Kind::copy_in, device, source, [&](std::span<const ValueId> arrived, std::size_t stage) {
        take(arrived, device);
        for (const ValueId id : arrived) available_[{id, device}] = stage;
      });
    }
  }

  /// Adds the copies of `values` and calls arrived(group, stage) for each group that travels together.
  template <class Arrived>
  void copy(std::span<const ValueId> values, Stage::Kind kind, Location device, std::size_t source,
            const Arrived& arrived) {
    const auto add_copy = [&](std::vector<ValueId> group) {
      Stage stage;
      stage.kind = kind;
      stage.location = device;
      stage.values = group;
      for (const ValueId id : group) stage.bytes += bytes_of(graph_->value(id));
      if (source != kOutside) stage.after.push_back(source);
      arrived(group, add(std::move(stage)));
    };
    std::vector<ValueId> small;
    for (const ValueId id : values) {
      if (bytes_of(graph_->value(id)) <= kCoalescedBytes) {
        small.push_back(id);
      } else {
        add_copy({id});
      }
    }
    if (!small.empty()) add_copy(std::move(small));
  }

  /// Counts memory of a device, as allocators round it.
  void take(std::span<const ValueId> values, Location location) {
    if (location == kHost) return;
    constexpr std::size_t kUnit = 256;
    for (const ValueId id : values) {
      const std::size_t bytes = std::max<std::size_t>(bytes_of(graph_->value(id)), 1);
      result_.request_bytes[static_cast<std::size_t>(location)] += (bytes + kUnit - 1) / kUnit * kUnit;
    }
  }

  std::size_t add(Stage stage) {
    std::sort(stage.after.begin(), stage.after.end());
    stage.after.erase(std::unique(stage.after.begin(), stage.after.end()), stage.after.end());
    if (stage.location != kHost) result_.asynchronous = true;
    result_.stages.push_back(std::move(stage));
    return result_.stages.size() - 1;
  }

  const std::shared_ptr<const Graph>& graph_;
  const Plan& plan_;
  std::vector<Location> locations_;    // by partition
  std::vector<Partition> partitions_;  // moved into stages
  std::map<ValueId, std::set<Location>> readers_;
  std::map<std::pair<ValueId, Location>, std::size_t> available_;  // the stage after which a value is there
  StageGraph result_;
};

}  // namespace

std::string Stage::describe(const std::string& device) const {
  if (kind == Kind::compute) return fmt::format("partition {} on {}", partition, device);
  return fmt::format("copy of {} value{} {} {}", values.size(), values.size() == 1 ? "" : "s",
                     kind == Kind::copy_in ? "to" : "from", device);
}

StageGraph lay_out_stages(const std::shared_ptr<const Graph>& graph, const Plan& plan,
                          std::span<const std::shared_ptr<Device>> devices) {
  return Layout(graph, plan, devices).build();
}

}  // namespace sparse_run
