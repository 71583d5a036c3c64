// What copies cost each other and the CPU when they run at the same time.
#pragma once

#include <functional>

#include "partitioner/calibration.hpp"

namespace sparse_run {

/// How many times as long `once` takes, by the seconds it returns, while another thread copies memory without a pause:
/// the median of the ratios of pairs that are measured one after the other, at least 1.
MeasuredNumber contention_with_copies(const std::function<double()>& once);

/// The same for a copy of memory on this thread.
MeasuredNumber contention_of_copies();

}  // namespace sparse_run
