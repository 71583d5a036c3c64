// The CPU as a device.
#pragma once

#include <memory>

#include "device/device.hpp"
#include "device/machine.hpp"

namespace sparse_run::cpu {

/// The device named "cpu". Executables run in the TBB arena of their caller.
std::shared_ptr<Device> make_cpu_device(const Machine& machine);

}  // namespace sparse_run::cpu
