// For tests: sessions over the CPU and emulated GPUs, their inputs, and comparison of results.
#pragma once

#include <memory>
#include <random>
#include <span>
#include <vector>

#include "gpu/emulated/emulated_gpu.hpp"
#include "runtime/session.hpp"
#include "tests/device/divergence.hpp"

namespace sparse_run {

/// The CPU and emulated GPUs "emulated:0" … that take freed memory for not-a-number.
struct TrialDevices {
  explicit TrialDevices(int count, gpu::EmulatedGpuOptions options = {});

  std::vector<std::shared_ptr<Device>> all() const;
  /// Bytes in use on all emulated devices together.
  std::size_t used_bytes() const;

  std::shared_ptr<Device> cpu;
  std::vector<std::shared_ptr<gpu::EmulatedGpu>> emulated;
};

/// A session that folds constants with the reference kernels.
std::unique_ptr<Session> trial_session(std::shared_ptr<const Graph> graph, const TrialDevices& devices, Planner planner,
                                       int threads = 2);
/// The whole graph on one device.
Planner all_on(std::string device);

/// Values for the session's inputs; dimensions that are open become `open_dimension`. Floats in [-1, 1), integers in
/// [0, 2).
std::vector<Value> random_inputs(const Session& session, std::mt19937_64& random, std::int64_t open_dimension = 1);
std::vector<Type> types_of(std::span<const Value> values);

/// The largest |a - b| / (1 + |b|) over all f32 outputs; infinite when types differ, other elements differ, or a value
/// is not a number on one side only.
double divergence(std::span<const Value> given, std::span<const Value> expected);

/// Runs every input `repeats` times from `threads` threads at once, and returns the largest divergence from
/// `expected` (parallel to `inputs`). The first error is rethrown after all threads have ended.
double run_side_by_side(Session& session, const std::vector<std::vector<Value>>& inputs,
                        const std::vector<std::vector<Value>>& expected, int threads, int repeats);

}  // namespace sparse_run
