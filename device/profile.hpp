// What executables report about themselves: which kernel runs each layer, and how long it took.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sparse_run {

/// A kernel that competed for a layer.
struct KernelCandidate {
  std::string kernel;  ///< "cpu.conv.column.f32", with "@variant" where there are several
  double seconds = 0;  ///< of one run
  bool timed = false;  ///< measured on this machine; otherwise estimated
};

/// One step of an executable: usually one node, sometimes a chain that a device runs as one.
struct LayerReport {
  std::string name;           ///< node name
  std::string op;             ///< "Conv", "FusedMatMul"
  std::string device;         ///< "cpu"
  std::string kernel;         ///< "cpu.conv.column.f32"
  std::string shape;          ///< output shape, "1x64x56x56"
  double zeros = 0;           ///< share of zeros of the constant weight; 0 when there is none
  double flops = 0;           ///< multiplications and additions that non-zero weights need
  double executed_flops = 0;  ///< what the kernel does: more where it multiplies by zeros
  double bytes = 0;           ///< operands read and results written, weights in their packed format included
  double weight_bytes = 0;    ///< of those, constants
  std::string refusals;       ///< why kernels were refused: "NAME: reason; …". Empty when none was
  std::string choice;         ///< why this kernel: "timed", "timed before", "estimated", "pinned"; empty without rivals
  std::vector<KernelCandidate> candidates;  ///< that competed, the chosen one first
  /// Share of zeros from which a kernel that skips zeros is the faster one, predicted; < 0 when not known.
  double sparse_from = -1;
};

/// Measured time per step, parallel to Executable::layers(). Owned by one execution.
struct LayerTimes {
  std::vector<std::int64_t> begin_ns;  ///< of the clock in base/clock.hpp
  std::vector<std::int64_t> end_ns;
};

}  // namespace sparse_run
