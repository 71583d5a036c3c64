# Instruction-set flags of the kernel translation units: everything else is compiled for the baseline processor.
# Files named *_avx2.cpp and *_avx512.cpp contain nothing but templates over their own vector type, so that no inline
# function compiled with these flags can be picked by the linker for code that runs on lesser processors.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  file(GLOB_RECURSE avx2_kernels CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/cpu/*_avx2.cpp")
  file(GLOB_RECURSE avx512_kernels CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/cpu/*_avx512.cpp")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")  # _mm512_undefined_ps() in the compiler's own header
    set(avx512_warnings -Wno-maybe-uninitialized -Wno-uninitialized)
  endif()
  # Without -mprfchw, results are fetched ahead only to be read, and their lines asked for once more when they are written:
  # a BERT-base at 90% zeros took 5% longer on two threads. Processors that lack the instruction pass over it.
  set_source_files_properties(${avx2_kernels} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-mbmi2;-mprfchw;-O3")
  set_source_files_properties(${avx512_kernels} PROPERTIES
    COMPILE_OPTIONS "-mavx2;-mfma;-mbmi2;-mprfchw;-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-O3;${avx512_warnings}")
endif()
file(GLOB_RECURSE portable_kernels CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/cpu/*_portable.cpp")
set_source_files_properties(${portable_kernels} PROPERTIES COMPILE_OPTIONS "-O3")
