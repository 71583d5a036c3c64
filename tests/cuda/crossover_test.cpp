// The measurement from which zeros on sparse kernels pay, rehearsed on the host.
#include "bench/gpu/crossover.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cpu/device.hpp"
#include "tests/cuda/node_trial.hpp"

namespace sparse_run {
namespace {

CrossoverRow row(double zeros, Precision precision, const std::string& kernel, double ms) {
  return {{8, 64, 64, zeros}, "gpu:0", precision, kernel, ms, 2 * ms, {}};
}

TEST(Crossovers, begin_where_no_sparser_product_is_faster_dense) {
  const std::string dense = "gpu.matmul.cublaslt.f32";
  const std::string half = "gpu.matmul.cublaslt.f16";
  std::vector<CrossoverRow> rows;
  const double bitmap[] = {9, 3, 5, 2};  // the second is a lucky one: what follows is slower
  const double shares[] = {0, 0.5, 0.8, 0.9};
  for (int i = 0; i < 4; ++i) {
    rows.push_back(row(shares[i], Precision::f32, dense, 4));
    rows.push_back(row(shares[i], Precision::f16, half, 1));
    rows.push_back(row(shares[i], Precision::f32, "gpu.spmm.bitmap.f32", bitmap[i]));
    rows.push_back(row(shares[i], Precision::f32, "gpu.spmm.cusparse.f32", bitmap[i] + 1));
  }
  const std::vector<Crossover> found = crossovers_of(rows);
  ASSERT_EQ(found.size(), 2u);
  for (const Crossover& one : found) EXPECT_EQ(one.sparse_from, one.precision == Precision::f32 ? 0.9 : 1.0);
}

TEST(Crossovers, measure_every_kernel_and_tell_what_was_not_run) {
  const auto cpu = cpu::make_cpu_device(Machine{});
  const auto open = [](Precision precision) {
    return gpu::cuda::host_device({.precision = precision, .sparse_from = 0, .generated = false});
  };
  const auto rows =
      measure_crossovers({{2, 48, 16, 0.5}, {70, 48, 16, 0.5}}, *cpu, open, {Precision::f32, Precision::f16}, 1e-6);
  ASSERT_EQ(rows.size(), 10u);  // the CPU, two dense and two sparse kernels of the GPU, for each
  for (const CrossoverRow& one : rows) {
    const bool too_many_rows = one.product.rows == 70 && one.kernel == "gpu.spmm.bitmap.f32";
    EXPECT_EQ(!one.refusal.empty(), too_many_rows) << one.kernel << ": " << one.refusal;
    EXPECT_EQ(one.compute_ms > 0, !too_many_rows) << one.kernel;
  }
  EXPECT_EQ(crossovers_of(rows).size(), 4u);
}

}  // namespace
}  // namespace sparse_run
