// Telling and taking over choices of kernels.
#include "cli/kernel_choices.hpp"

#include "runtime/distributed/wire.hpp"

namespace sparse_run::cli {

std::vector<std::byte> KernelChoices::of(const CompileReport& compiled) {
  WireWriter writer;
  std::size_t count = 0;
  for (const auto& partition : compiled.layers) count += partition.size();
  writer.put(count);
  for (const auto& partition : compiled.layers) {
    for (const LayerReport& layer : partition) {
      writer.put(std::string_view(layer.name));
      writer.put(std::string_view(layer.kernel));
    }
  }
  return writer.take();
}

void KernelChoices::set(std::vector<std::byte> bytes) {
  WireReader reader(std::move(bytes));
  const std::size_t count = reader.count(2 * sizeof(std::size_t));
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < count; ++i) {
    std::string name = reader.text();
    kernels_[std::move(name)] = reader.text();
  }
}

void KernelChoices::set(const Plan& plan, const Graph& graph) {
  const std::lock_guard lock(mutex_);
  for (const PlannedPartition& partition : plan.partitions) {
    for (std::size_t i = 0; i < partition.kernels.size(); ++i) {
      if (!partition.kernels[i].empty()) kernels_[graph.node(partition.nodes.at(i)).name] = partition.kernels[i];
    }
  }
}

void KernelChoices::clear() {
  const std::lock_guard lock(mutex_);
  kernels_.clear();
}

void KernelChoices::apply(Plan& plan, const Graph& graph) const {
  const std::lock_guard lock(mutex_);
  if (kernels_.empty()) return;
  for (PlannedPartition& partition : plan.partitions) {
    partition.kernels.resize(partition.nodes.size());
    for (std::size_t i = 0; i < partition.nodes.size(); ++i) {
      const auto found = kernels_.find(graph.node(partition.nodes[i]).name);
      if (found != kernels_.end() && partition.kernels[i].empty()) partition.kernels[i] = found->second;
    }
  }
}

}  // namespace sparse_run::cli
