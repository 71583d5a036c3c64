// Comparing two tensors.
#include "tests/device/divergence.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace sparse_run {

double divergence(const Tensor& given, const Tensor& expected) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (given.dtype() != expected.dtype() || given.shape() != expected.shape()) return kInfinite;
  if (given.dtype() != DType::f32) {
    return given.bytes() == 0 || std::memcmp(given.raw(), expected.raw(), given.bytes()) == 0 ? 0 : kInfinite;
  }
  double largest = 0;
  const auto a = given.data<float>();
  const auto b = expected.data<float>();
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    const double error = std::abs(static_cast<double>(a[i]) - b[i]) / (1 + std::abs(static_cast<double>(b[i])));
    largest = std::isnan(error) ? kInfinite : std::max(largest, error);
  }
  return largest;
}

}  // namespace sparse_run
