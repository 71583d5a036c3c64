// Two points of the sparse kernel's time and one of the dense product's.
#include "cpu/selection/crossover.hpp"

#include <algorithm>
#include <limits>
#include <random>

#include "base/clock.hpp"
#include "cpu/dense/onednn_matmul.hpp"
#include "cpu/sparse/columns.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::size_t kLanes = 192;
constexpr std::size_t kMostRows = 512, kMostK = 1024;
constexpr double kFew = 0.5, kMany = 0.9;  // shares of zeros
constexpr int kRuns = 4;

template <class Run>
double fastest(const Run& run) {
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kRuns; ++i) {
    const auto start = Clock::now();
    run();
    best = std::min(best, seconds_since(start));
  }
  return best;
}

AlignedVector<float> numbers(std::size_t count, double zeros) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> value(0.5f, 1), chance(0, 1);
  AlignedVector<float> values(count);
  for (float& x : values) x = chance(random) < static_cast<float>(zeros) ? 0 : value(random);
  return values;
}

}  // namespace

double measured_crossover(std::size_t rows, std::size_t k) {
  rows = std::clamp<std::size_t>(rows, 1, kMostRows);
  k = std::clamp<std::size_t>(k, 1, kMostK);
  const auto x = numbers(k * kLanes, 0);
  AlignedVector<float> y(rows * kLanes);
  const auto sparse_seconds = [&](double zeros) {
    const auto weights = numbers(rows * k, zeros);
    const Csr csr = Csr::from_dense(weights, rows, k);
    double best = std::numeric_limits<double>::infinity();
    for (const SparseVariant& variant : SparseColumns::candidates(zeros, k, 1, kLanes)) {
      const SparseColumns columns(csr, variant);
      best = std::min(best,
                      fastest([&] { columns.run(ColumnInput::rows(x.data(), kLanes), kLanes, y.data(), kLanes, {}); }));
    }
    return best;
  };
  const auto dense_weights = numbers(rows * k, 0);
  const auto m = static_cast<std::int64_t>(rows), n = static_cast<std::int64_t>(kLanes),
             depth = static_cast<std::int64_t>(k);
  const OnednnMatmul product({m, n, depth, depth, 1, n, 1, n});
  const double dense = fastest([&] { product.run(dense_weights.data(), x.data(), y.data()); });
  const double few = sparse_seconds(kFew), many = sparse_seconds(kMany);
  const double slope = (few - many) / (kMany - kFew);  // seconds per share of non-zeros
  if (slope <= 0) return many < dense ? 0 : 1;
  return std::clamp(kMany - (dense - many) / slope, 0.0, 1.0);
}

}  // namespace sparse_run::cpu
