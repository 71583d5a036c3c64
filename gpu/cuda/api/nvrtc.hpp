// The functions of NVRTC, CUDA's compiler at run time, as a table that is filled at run time.
#pragma once

#include <cstddef>

namespace sparse_run::gpu::cuda {

using RtcProgram = void*;

/// Results are nvrtcResult. See Driver.
struct Nvrtc {
  const char* (*error_text)(int status) = nullptr;
  int (*create)(RtcProgram* program, const char* source, const char* name, int headers, const char* const* texts,
                const char* const* names) = nullptr;
  int (*compile)(RtcProgram program, int count, const char* const* options) = nullptr;
  int (*log_bytes)(RtcProgram program, std::size_t* bytes) = nullptr;
  int (*log)(RtcProgram program, char* text) = nullptr;
  int (*binary_bytes)(RtcProgram program, std::size_t* bytes) = nullptr;
  int (*binary)(RtcProgram program, char* image) = nullptr;
  int (*destroy)(RtcProgram* program) = nullptr;

  /// Calls visit(symbol, pointer) for every function.
  template <class Visit>
  void each(Visit&& visit) {
    visit("nvrtcGetErrorString", error_text);
    visit("nvrtcCreateProgram", create);
    visit("nvrtcCompileProgram", compile);
    visit("nvrtcGetProgramLogSize", log_bytes);
    visit("nvrtcGetProgramLog", log);
    visit("nvrtcGetCUBINSize", binary_bytes);
    visit("nvrtcGetCUBIN", binary);
    visit("nvrtcDestroyProgram", destroy);
  }
};

}  // namespace sparse_run::gpu::cuda
