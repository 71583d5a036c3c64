// Detects instruction sets and reads SPARSE_RUN_ISA.
#include "cpu/isa.hpp"

#include <algorithm>
#include <cstdlib>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "base/error.hpp"

namespace sparse_run::cpu {
namespace {

#if defined(__x86_64__)
/// AMX bits of CPUID leaf 7 (EDX), which the compiler's feature names do not cover. The operating system must have
/// enabled the tile state (XCR0 bits 17 and 18).
bool has_amx(unsigned edx_bit) noexcept {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & (1u << 27)) == 0) return false;  // no XGETBV
  unsigned xcr0 = 0, xcr0_high = 0;
  __asm__("xgetbv" : "=a"(xcr0), "=d"(xcr0_high) : "c"(0));
  if ((xcr0 & 0x60000u) != 0x60000u) return false;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & (1u << edx_bit)) != 0;
}
#endif

CpuFeatures detect() noexcept {
  CpuFeatures features;
#if defined(__x86_64__)
  __builtin_cpu_init();
  features.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  features.avx512 = features.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  features.avx512_vnni = features.avx512 && __builtin_cpu_supports("avx512vnni");
  features.avx512_bf16 = features.avx512 && __builtin_cpu_supports("avx512bf16");
  features.amx_bf16 = features.avx512 && has_amx(22);
  features.amx_int8 = features.avx512 && has_amx(25);
#endif
  return features;
}

Isa best_isa() noexcept {
  if (cpu_features().avx512) return Isa::avx512;
  return cpu_features().avx2 ? Isa::avx2 : Isa::portable;
}

Isa choose_isa() {
  const char* wanted = std::getenv("SPARSE_RUN_ISA");
  if (wanted == nullptr || *wanted == '\0') return best_isa();
  for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
    if (to_string(isa) == wanted) return std::min(isa, best_isa());
  }
  throw_error(ErrorKind::usage, "SPARSE_RUN_ISA is '{}': it must be portable, avx2 or avx512", wanted);
}

}  // namespace

std::string_view to_string(Isa isa) noexcept {
  switch (isa) {
    case Isa::portable:
      return "portable";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "portable";
}

const CpuFeatures& cpu_features() noexcept {
  static const CpuFeatures features = detect();
  return features;
}

Isa active_isa() {
  static const Isa isa = choose_isa();
  return isa;
}

std::vector<Isa> runnable_isas() {
  std::vector<Isa> isas{Isa::portable};
  if (cpu_features().avx2) isas.push_back(Isa::avx2);
  if (cpu_features().avx512) isas.push_back(Isa::avx512);
  return isas;
}

}  // namespace sparse_run::cpu
