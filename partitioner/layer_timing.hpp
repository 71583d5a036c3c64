// Measuring layers on a device, steadily or not at all.
#pragma once

#include <functional>
#include <vector>

#include "device/device.hpp"
#include "partitioner/calibration.hpp"

namespace sparse_run {

struct Timing {
  double median_s = 0;
  double spread = 0;  ///< half the distance between quartiles, relative to the median
  int count = 0;
};

/// Median and spread of samples; Error(internal) when there are none.
Timing timing_of(std::vector<double> seconds);

/// Repeats `once`, which returns the seconds it measured, for about `budget_s` and at least five times. A round that
/// spreads by more than a quarter is measured again, up to three times; the steadiest round counts.
Timing time_steadily(const std::function<double()>& once, double budget_s);

/// The one-layer graph compiled for the device: each call runs it once and returns the seconds its steps took. Call it
/// in the TBB arena that is to compute. Error as the device's.
std::function<double()> layer_run(const std::shared_ptr<const Graph>& layer, Device& device, int threads);

/// Compiles the one-layer graph for the device and times its steps on random inputs. Runs in the calling thread and
/// the TBB arena it is in. Error as the device's.
Timing time_layer(const std::shared_ptr<const Graph>& layer, Device& device, int threads, double budget_s);

/// Copies of memory by size: what a hand-over inside the host costs.
std::vector<CopySample> time_copies();

}  // namespace sparse_run
