// How long the runtime takes from the end of one stage of a request to the start of the next.
#pragma once

#include "device/machine.hpp"
#include "partitioner/calibration.hpp"

namespace sparse_run::cli {

/// Runs a request through the CPU, an emulated device and the CPU again, whose copies and kernels last a known time,
/// and shares what is left between them. Microseconds.
MeasuredNumber time_handover(const Machine& machine, int threads);

}  // namespace sparse_run::cli
