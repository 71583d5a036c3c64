// What executables report about themselves: which kernel runs each layer, and how long it took.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sparse_run {

/// One step of an executable: usually one node, sometimes a chain that a device runs as one.
struct LayerReport {
  std::string name;    ///< node name
  std::string op;      ///< "Conv", "FusedMatMul"
  std::string device;  ///< "cpu"
  std::string kernel;  ///< "cpu.conv.column.f32.avx512"
  std::string shape;   ///< output shape, "1x64x56x56"
  double zeros = 0;    ///< share of zeros of the constant weight; 0 when there is none
  double flops = 0;    ///< multiplications and additions on non-zeros
  double bytes = 0;    ///< operands read and results written, weights in their packed format included
  std::string refusals;  ///< why better-ranked kernels were refused: "NAME: reason; …". Empty when the first one runs
};

/// Measured time per step, parallel to Executable::layers(). Owned by one execution.
struct LayerTimes {
  std::vector<std::int64_t> begin_ns;  ///< of the clock in base/clock.hpp
  std::vector<std::int64_t> end_ns;
};

}  // namespace sparse_run
