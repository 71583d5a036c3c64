// Order statistics of measured times.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace sparse_run::cli {

/// The value below which a share `q` (0…1) of the samples lies, interpolated linearly between neighbours as
/// numpy.percentile does. `sorted` ascending and not empty.
double quantile(std::span<const double> sorted, double q);

struct Summary {
  std::size_t count = 0;
  double min = 0, mean = 0, max = 0, standard_deviation = 0;
  double p10 = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0, p99_9 = 0;
};

/// Of any samples; all zero for none.
Summary summarize(std::vector<double> samples);

/// Why the samples look disturbed by something else on the machine; empty when they do not.
std::string noise_warning(const Summary& summary);

}  // namespace sparse_run::cli
