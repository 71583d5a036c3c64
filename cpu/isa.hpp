// The instruction sets kernels are compiled for, and which of them this processor runs.
#pragma once

#include <string_view>
#include <vector>

namespace sparse_run::cpu {

/// Instruction sets with kernels of their own, each including the ones before it. `avx2` means AVX2 with FMA and BMI2,
/// `avx512` means F, BW, DQ and VL besides.
enum class Isa { portable, avx2, avx512 };

/// "portable", "avx2", "avx512": the last part of a kernel's name.
std::string_view to_string(Isa isa) noexcept;

/// What the processor and its operating system offer beyond the three sets.
struct CpuFeatures {
  bool avx2 = false;
  bool avx512 = false;
  bool avx512_vnni = false;
  bool avx512_bf16 = false;
  bool amx_bf16 = false;
  bool amx_int8 = false;
};

/// Read once from the processor. Thread-safe.
const CpuFeatures& cpu_features() noexcept;

/// The set kernels use unless told otherwise: the best the processor has, lowered by the environment variable
/// SPARSE_RUN_ISA=portable|avx2|avx512, which is read once. Throws Error(usage) when that names no set.
Isa active_isa();

/// Every set this processor runs, `portable` first.
std::vector<Isa> runnable_isas();

}  // namespace sparse_run::cpu
