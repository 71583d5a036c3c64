// Products in bf16 against the reference in f32: every element within the bound that rounding both operands gives.
#include <gmock/gmock.h>

#include <cmath>

#include "cpu/column/column_test_support.hpp"
#include "cpu/dense/bf16_matmul.hpp"
#include "cpu/selection/compile_one_test.hpp"

namespace sparse_run::cpu {
namespace {

using reference::resolved;

Tensor values_of(std::mt19937& random, Shape shape, double zeros = 0) {
  Tensor tensor = Tensor::allocate(DType::f32, std::move(shape));
  const auto values = random_floats(random, static_cast<std::size_t>(tensor.size()), zeros);
  std::copy(values.begin(), values.end(), tensor.data<float>().begin());
  return tensor;
}

std::shared_ptr<Device> device_with(Precision precision) {
  CpuOptions options;
  options.precision = precision;
  return make_cpu_device(discover_machine(), options);
}

/// Elements of row-major `a` and `b` as magnitudes multiplied: what rounding errors are proportional to.
std::vector<double> magnitudes(const Tensor& a, const Tensor& b) {
  const auto m = static_cast<std::size_t>(a.shape()[0]), k = static_cast<std::size_t>(a.shape()[1]),
             n = static_cast<std::size_t>(b.shape()[1]);
  std::vector<double> sums(m * n);
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < k; ++j) {
      for (std::size_t l = 0; l < n; ++l) {
        sums[i * n + l] += std::abs(static_cast<double>(a.data<float>()[i * k + j]) * b.data<float>()[j * n + l]);
      }
    }
  }
  return sums;
}

/// Products whose weights alone are kept in bf16, which every processor computes.
class Bf16Weights : public testing::Test {
 protected:
  /// Runs the product on `kernel` and on the reference: an element may differ by `bound` of its sum of magnitudes, 2^-8
  /// for every rounded operand; f32 sums add less than 2^-12 of it at these lengths.
  void check(const Graph& graph, const std::string& kernel, const std::vector<Value>& inputs,
             const std::vector<double>& scale, double bound = 0x1p-8) {
    const auto device = device_with(Precision::bf16);
    const auto expected = run_whole(*compile_whole(graph, *device, {{0, "cpu.reference"}}), graph, inputs);
    const auto executable = compile_whole(graph, *device, {{0, kernel}});
    EXPECT_THAT(executable->layers().at(0).kernel, testing::StartsWith(kernel));
    const auto actual = run_whole(*executable, graph, inputs);
    ASSERT_EQ(actual.at(0).tensor.shape(), expected.at(0).tensor.shape());
    bool rounded = false;
    for (std::size_t i = 0; i < scale.size(); ++i) {
      const float a = actual[0].tensor.data<float>()[i], e = expected[0].tensor.data<float>()[i];
      ASSERT_NEAR(a, e, scale[i] * (bound + 0x1p-12) + 1e-6) << i;
      rounded = rounded || std::abs(a - e) > scale[i] * 0x1p-20;
    }
    EXPECT_TRUE(rounded || scale.size() < 4) << "computed in f32";
  }
};

class Bf16Product : public Bf16Weights {
 protected:
  void SetUp() override {
    if (!has_bf16_products()) GTEST_SKIP() << "this processor multiplies no bf16";
  }
};

TEST_F(Bf16Weights, sparse_products_stay_within_the_bound) {
  std::mt19937 random = seeded_random();
  for (const auto& [m, k, n] : {std::array<std::int64_t, 3>{1, 65, 33}, {3, 64, 200}, {17, 100, 130}}) {
    for (const double zeros : {0.5, 0.9}) {
      const Tensor x = values_of(random, {m, k}), w = values_of(random, {k, n}, zeros);
      GraphSketch s;
      const Graph graph =
          resolved(s.build(s.op("Gemm", {s.input("x", {m, k}), s.constant(w), s.constant(values_of(random, {n}))})));
      if (m < 12) check(graph, "cpu.matmul.sparse_rows.bf16", {Value(x)}, magnitudes(x, w));
      if (m > 2) check(graph, "cpu.matmul.sparse_column.bf16", {Value(x)}, magnitudes(x, w));
    }
  }
}

TEST_F(Bf16Weights, products_with_weights_of_pattern_n_of_m_stay_within_the_bound) {
  std::mt19937 random = seeded_random();
  const std::int64_t m = 3, k = 64, n = 50;
  const Tensor x = values_of(random, {m, k});
  Tensor w = values_of(random, {k, n});
  for (std::int64_t i = 0; i < k * n; ++i) {
    if ((i / n + i % n) % 4 != 0) w.data<float>()[static_cast<std::size_t>(i)] = 0;
  }
  GraphSketch s;
  const Graph graph = resolved(s.build(s.op("MatMul", {s.input("x", {m, k}), s.constant(w)})));
  check(graph, "cpu.matmul.n_of_m.bf16", {Value(x)}, magnitudes(x, w));
}

TEST_F(Bf16Weights, sparse_weights_times_lanes_stay_within_the_bound) {
  std::mt19937 random = seeded_random();
  for (const auto& [m, k, n] : {std::array<std::int64_t, 3>{5, 9, 13}, {70, 100, 128}, {256, 64, 31}}) {
    const Tensor w = values_of(random, {m, k}, 0.8), x = values_of(random, {k, n});
    GraphSketch s;
    const ValueId y = s.op("FusedMatMul",
                           {s.constant(w), s.input("x", {1, k, n}), s.constant(values_of(random, {m, 1})),
                            s.constant(values_of(random, {1, m, n}))},
                           {}, kInternalDomain);
    check(resolved(s.build(y)), "cpu.matmul.sparse_lanes.bf16", {Value(x.reshaped({1, k, n}))}, magnitudes(w, x));
  }
}

TEST_F(Bf16Product, rows_times_weights_stay_within_the_bound) {
  std::mt19937 random = seeded_random();
  for (const auto& [m, k, n] : {std::array<std::int64_t, 3>{1, 1, 1},
                                {1, 65, 33},
                                {3, 64, 200},
                                {17, 100, 130},
                                {64, 256, 512},
                                {300, 31, 77}}) {
    for (const bool transposed : {false, true}) {
      const Tensor x = values_of(random, {m, k}), w = values_of(random, {k, n}, 0.5);
      Tensor stored = w;
      if (transposed) {
        stored = Tensor::allocate(DType::f32, {n, k});
        for (std::int64_t i = 0; i < k; ++i) {
          for (std::int64_t j = 0; j < n; ++j) {
            stored.data<float>()[static_cast<std::size_t>(j * k + i)] =
                w.data<float>()[static_cast<std::size_t>(i * n + j)];
          }
        }
      }
      GraphSketch s;
      const ValueId y = s.op("Gemm", {s.input("x", {m, k}), s.constant(stored), s.constant(values_of(random, {n}))},
                             {{"transB", std::int64_t{transposed ? 1 : 0}}, {"alpha", transposed ? 1.0f : 0.5f}});
      check(resolved(s.build(y)), "cpu.matmul.onednn.bf16", {Value(x)}, magnitudes(x, w), 0x1p-7);
    }
  }
}

TEST_F(Bf16Product, weights_times_lanes_stay_within_the_bound) {
  std::mt19937 random = seeded_random();
  for (const auto& [m, k, n] : {std::array<std::int64_t, 3>{5, 9, 13}, {70, 100, 128}, {256, 64, 31}}) {
    const Tensor w = values_of(random, {m, k}, 0.8), x = values_of(random, {k, n});
    GraphSketch s;
    const ValueId y = s.op("FusedMatMul",
                           {s.constant(w), s.input("x", {1, k, n}), s.constant(values_of(random, {m, 1})),
                            s.constant(values_of(random, {1, m, n}))},
                           {}, kInternalDomain);
    check(resolved(s.build(y)), "cpu.matmul.lanes.bf16", {Value(x.reshaped({1, k, n}))}, magnitudes(w, x), 0x1p-7);
  }
}

TEST_F(Bf16Product, is_no_candidate_unless_bf16_is_allowed) {
  std::mt19937 random = seeded_random();
  GraphSketch s;
  const Graph graph =
      resolved(s.build(s.op("MatMul", {s.input("x", {4, 32}), s.constant(values_of(random, {32, 64}, 0.8))})));
  for (const Precision precision : {Precision::f32, Precision::tf32}) {
    for (const char* kernel :
         {"cpu.matmul.onednn.bf16", "cpu.matmul.sparse_rows.bf16", "cpu.matmul.sparse_column.bf16"}) {
      try {
        compile_whole(graph, *device_with(precision), {{0, kernel}});
        ADD_FAILURE() << "computed in bf16 although " << to_string(precision) << " was asked for";
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::usage);
      }
    }
  }
}

}  // namespace
}  // namespace sparse_run::cpu
