// The CPU as a device.
#pragma once

#include <filesystem>
#include <memory>

#include "cpu/column/column_mode.hpp"
#include "device/device.hpp"
#include "device/machine.hpp"
#include "device/precision.hpp"

namespace sparse_run::cpu {

/// How the device chooses between kernels.
struct CpuOptions {
  /// Seconds that one compilation may spend on timing kernels. 0: estimates decide, the same on every run.
  double timing_budget_s = 0;
  /// Where timings are kept between processes; empty: nowhere.
  std::filesystem::path cache_folder = {};
  ColumnMode columns = ColumnMode::automatic;  ///< how convolutions over many images run
  /// bf16: kernels that multiply in bf16 compete too. Whatever else: f32.
  Precision precision = Precision::f32;
};

/// The device named "cpu". Executables run in the TBB arena of their caller, and are compiled in it.
std::shared_ptr<Device> make_cpu_device(const Machine& machine, const CpuOptions& options = {});

}  // namespace sparse_run::cpu
