// The CPU as a device.
#include "cpu/device.hpp"

#include "cpu/program.hpp"

namespace sparse_run::cpu {

namespace {

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(const Machine& machine) : machine_(machine) {}

  std::string name() const override { return "cpu"; }
  std::string description() const override {
    return fmt::format("{}, {} core{}, {:.1f} GiB", machine_.cpu_model.empty() ? "unknown CPU" : machine_.cpu_model,
                       machine_.cores, machine_.cores == 1 ? "" : "s",
                       static_cast<double>(machine_.memory_bytes) / (1 << 30));
  }
  std::size_t memory_bytes() const override { return machine_.memory_bytes; }
  std::unique_ptr<Executable> compile(const Partition& partition, const CompileOptions& options) override {
    return std::make_unique<Program>(partition, Environment{machine_, options.threads});
  }

 private:
  Machine machine_;
};

}  // namespace

std::shared_ptr<Device> make_cpu_device(const Machine& machine) { return std::make_shared<CpuDevice>(machine); }

}  // namespace sparse_run::cpu
