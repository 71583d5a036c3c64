// The CPU as a device.
#include "cpu/device.hpp"

#include "cpu/blocked_graph.hpp"
#include "cpu/graph_kernels/adjacency.hpp"
#include "cpu/image_stages.hpp"
#include "cpu/kernels/column_region.hpp"
#include "cpu/program.hpp"
#include "cpu/selection/selector.hpp"
#include "cpu/staged_program.hpp"
#include "cpu/workspace_pool.hpp"

namespace sparse_run::cpu {

namespace {

class CpuDevice final : public Device {
 public:
  CpuDevice(const Machine& machine, const CpuOptions& options)
      : machine_(machine),
        budget_s_(options.timing_budget_s),
        columns_(options.columns),
        precision_(options.precision),
        memory_(options.cache_folder, machine) {}

  std::string name() const override { return "cpu"; }
  std::string description() const override {
    return fmt::format("{}, {} core{}, {:.1f} GiB", machine_.cpu_model.empty() ? "unknown CPU" : machine_.cpu_model,
                       machine_.cores, machine_.cores == 1 ? "" : "s",
                       static_cast<double>(machine_.memory_bytes) / (1 << 30));
  }
  std::size_t memory_bytes() const override { return machine_.memory_bytes; }
  std::unique_ptr<Executable> compile(const Partition& partition, const CompileOptions& options) override {
    // Without a budget nothing depends on earlier runs either.
    const SelectionPolicy policy{budget_s_, budget_s_ > 0 ? &memory_ : nullptr};
    const Environment environment{.machine = machine_,
                                  .threads = options.threads,
                                  .columns = columns_,
                                  .precision = precision_,
                                  .adjacencies = adjacencies_,
                                  .workspaces = workspaces_};
    if (!has_column_regions(partition, options, environment)) {
      if (const auto blocked = with_blocked_images(partition, options)) {
        if (const auto stages = cut_into_image_stages(blocked->partition, blocked->options, environment)) {
          return std::make_unique<StagedProgram>(blocked->partition, *stages, environment, policy);
        }
        return std::make_unique<Program>(blocked->partition, environment, blocked->options, policy);
      }
    }
    return std::make_unique<Program>(partition, environment, options, policy);
  }

 private:
  Machine machine_;
  double budget_s_;
  ColumnMode columns_;
  Precision precision_;
  KernelMemory memory_;
  std::shared_ptr<WorkspacePool> workspaces_ = std::make_shared<WorkspacePool>();     // likewise
  std::shared_ptr<AdjacencyCache> adjacencies_ = std::make_shared<AdjacencyCache>();  // shared with compiled steps
};

}  // namespace

std::shared_ptr<Device> make_cpu_device(const Machine& machine, const CpuOptions& options) {
  return std::make_shared<CpuDevice>(machine, options);
}

}  // namespace sparse_run::cpu
