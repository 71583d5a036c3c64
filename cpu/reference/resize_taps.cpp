// Which elements of an axis make one element of its resized form.
#include "cpu/reference/resize_taps.hpp"

#include <algorithm>
#include <cmath>

namespace sparse_run::reference {

namespace {

using Interpolation = ResizeMode::Interpolation;

/// Source coordinate with values no image has (an absurd region) brought within reach of integers.
double bounded_coordinate(const ResizeAxis& axis, const ResizeMode& mode, std::int64_t x) {
  const double source = source_coordinate(axis, mode.coordinates, x);
  return std::isnan(source) ? 0 : std::clamp(source, -1e9, static_cast<double>(axis.input) + 1e9);
}

double cubic_kernel(double distance, double a) {
  const double t = std::abs(distance);
  if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
  return 0;
}

}  // namespace

std::int64_t nearest_index(const ResizeAxis& axis, const ResizeMode& mode, std::int64_t x) {
  const double source = bounded_coordinate(axis, mode, x);
  double chosen = source;
  switch (mode.nearest) {
    case ResizeMode::Nearest::round_prefer_floor:
      chosen = std::ceil(source - 0.5);
      break;
    case ResizeMode::Nearest::round_prefer_ceil:
      chosen = std::floor(source + 0.5);
      break;
    case ResizeMode::Nearest::floor:
      chosen = std::floor(source);
      break;
    case ResizeMode::Nearest::ceil:
      chosen = std::ceil(source);
      break;
    case ResizeMode::Nearest::truncate:
      chosen = axis.scale < 1 ? std::ceil(source) : std::trunc(source);
      break;
  }
  return static_cast<std::int64_t>(std::clamp(chosen, 0.0, static_cast<double>(axis.input - 1)));
}

std::vector<Weighted> interpolation_weights(const ResizeAxis& axis, const ResizeMode& mode, std::int64_t x) {
  const double source = bounded_coordinate(axis, mode, x);
  const double shrink = mode.antialias ? std::min(static_cast<double>(axis.scale), 1.0) : 1.0;
  const bool linear = mode.interpolation == Interpolation::linear;
  const double reach = (linear ? 1.0 : 2.0) / shrink;
  const auto first = static_cast<std::int64_t>(std::floor(source - reach)) + 1;
  const auto last = static_cast<std::int64_t>(std::ceil(source + reach)) - 1;
  std::vector<Weighted> weights;
  double sum = 0;
  for (std::int64_t i = first; i <= last; ++i) {
    const double distance = (static_cast<double>(i) - source) * shrink;
    double weight = linear ? std::max(0.0, 1 - std::abs(distance)) : cubic_kernel(distance, mode.cubic_coefficient);
    if (mode.exclude_outside && (i < 0 || i >= axis.input)) weight = 0;
    sum += weight;
    weights.push_back({std::clamp<std::int64_t>(i, 0, axis.input - 1), weight});
  }
  if ((mode.antialias || mode.exclude_outside) && sum != 0) {
    for (Weighted& one : weights) one.weight /= sum;
  }
  return weights;
}

}  // namespace sparse_run::reference
