// Running plans on the CPU and emulated GPUs, to set measurements beside predictions.
#pragma once

#include <memory>
#include <vector>

#include "device/device.hpp"
#include "partitioner/topology.hpp"

namespace sparse_run::bench {

/// Whether every device of the first host is the CPU or emulated.
bool can_run(const Topology& topology);

/// What a topology's first host describes: this machine's CPU and its emulated devices.
std::vector<std::shared_ptr<Device>> open_devices(const Topology& topology);

}  // namespace sparse_run::bench
