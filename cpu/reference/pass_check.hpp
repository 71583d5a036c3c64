// For tests: runs a graph before and after rewriting on the same random inputs and compares.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "cpu/reference/evaluator.hpp"
#include "graph/passes/pipeline.hpp"

namespace sparse_run::reference {

/// A tensor of independent values: floats in [-1, 1), integers in [0, 4).
inline Tensor random_tensor(const Type& type, std::mt19937& random) {
  Tensor tensor = Tensor::allocate(type.dtype, *type.shape);
  visit_arithmetic(type.dtype, [&]<class T>() {
    for (T& element : tensor.data<T>()) {
      if constexpr (std::is_same_v<T, bool>) {
        element = random() % 2 == 0;
      } else if constexpr (std::is_integral_v<T>) {
        element = static_cast<T>(random() % 4);
      } else {
        element = static_cast<T>(std::uniform_real_distribution<float>(-1, 1)(random));
      }
    }
  });
  return tensor;
}

inline std::vector<Value> random_inputs(const Graph& graph, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Value> inputs;
  for (const ValueId id : graph.inputs()) inputs.emplace_back(random_tensor(graph.value(id).type, random));
  return inputs;
}

inline void expect_close(const Tensor& actual, const Tensor& expected, double tolerance) {
  ASSERT_EQ(actual.dtype(), expected.dtype());
  ASSERT_EQ(actual.shape(), expected.shape());
  visit_arithmetic(expected.dtype(), [&]<class T>() {
    for (std::int64_t i = 0; i < expected.size(); ++i) {
      const auto a = static_cast<double>(static_cast<Compute<T>>(actual.data<T>()[static_cast<std::size_t>(i)]));
      const auto e = static_cast<double>(static_cast<Compute<T>>(expected.data<T>()[static_cast<std::size_t>(i)]));
      ASSERT_LE(std::abs(a - e), tolerance * (1 + std::abs(e))) << "element " << i;
    }
  });
}

/// Both graphs, on the same random inputs, give the same outputs under the same names.
inline void expect_equivalent(const Graph& actual, const Graph& expected, double tolerance = 1e-4) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  ASSERT_EQ(actual.outputs().size(), expected.outputs().size());
  const auto inputs = random_inputs(expected, seed);
  const auto results = run_graph(actual, inputs);
  const auto references = run_graph(expected, inputs);
  for (std::size_t i = 0; i < references.size(); ++i) {
    EXPECT_EQ(actual.value(actual.outputs()[i]).name, expected.value(expected.outputs()[i]).name);
    if (references[i].is_tensor()) expect_close(results[i].tensor, references[i].tensor, tolerance);
  }
}

/// The graph resolved for its declared input shapes.
inline Graph resolved(const Graph& graph) {
  ReferenceEvaluator evaluator;
  return fold_constants(graph, evaluator);
}

/// The graph after one pass, types verified, and compared with the graph before.
inline Graph after(std::unique_ptr<Pass> pass, const Graph& graph, double tolerance = 1e-4) {
  PassPipeline pipeline;
  pipeline.add(std::move(pass));
  PassOptions options;
  options.verify = true;
  Graph rewritten = pipeline.run(resolved(graph), options);
  expect_equivalent(rewritten, graph, tolerance);
  return rewritten;
}

}  // namespace sparse_run::reference
