// Plans timed against each other: the slower device loses, what cannot be run is left out.
#include "runtime/plan_trial.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "cpu/reference/evaluator.hpp"
#include "graph/passes/sketch.hpp"
#include "tests/device/trial.hpp"

namespace sparse_run {
namespace {

Graph two_steps(DType dtype = DType::f32) {
  GraphSketch sketch;
  const ValueId x = sketch.input("x", {2, 7}, dtype);
  return sketch.build(sketch.op("Exp", {sketch.op("Relu", {x})}));
}

std::vector<double> seconds_of(const Graph& graph, const std::vector<Plan>& plans, const TrialDevices& devices) {
  return time_plans(graph, plans, devices.all(), std::make_shared<reference::ReferenceEvaluator>(), {},
                    {.budget_s = 0.1});
}

TEST(PlanTrial, a_device_that_takes_ten_milliseconds_per_partition_is_seen_to_lose) {
  gpu::EmulatedGpuOptions slow;
  slow.dispatch_s = 10e-3;
  const TrialDevices devices(1, slow);
  const Graph graph = two_steps();
  const auto seconds =
      seconds_of(graph, {single_device_plan(graph, "emulated:0", ""), single_device_plan(graph, "cpu", "")}, devices);
  ASSERT_EQ(seconds.size(), 2u);
  EXPECT_GE(seconds[0], 10e-3);
  EXPECT_LT(seconds[1], seconds[0]);
  EXPECT_EQ(devices.used_bytes(), 0u);
}

TEST(PlanTrial, plans_that_cannot_be_run_are_not_measured) {
  const TrialDevices devices(1);
  const Graph graph = two_steps();
  const auto seconds =
      seconds_of(graph, {single_device_plan(graph, "abacus", ""), single_device_plan(graph, "cpu", "")}, devices);
  EXPECT_TRUE(std::isnan(seconds[0]));
  EXPECT_GT(seconds[1], 0);
}

TEST(PlanTrial, a_device_with_room_for_one_plan_is_measured_with_one_after_the_other) {
  gpu::EmulatedGpuOptions small;
  small.memory_bytes = 12288;
  const TrialDevices devices(1, small);
  GraphSketch sketch;
  const ValueId x = sketch.input("x", {1, 64});
  Tensor weights = Tensor::allocate(DType::f32, Shape{64, 32});
  std::fill(weights.data<float>().begin(), weights.data<float>().end(), 0.5f);
  const Graph graph = sketch.build(sketch.op("MatMul", {x, sketch.constant(std::move(weights))}));
  const Plan plan = single_device_plan(graph, "emulated:0", "");
  for (const double one : seconds_of(graph, {plan, plan}, devices)) EXPECT_GT(one, 0);
}

}  // namespace
}  // namespace sparse_run
