# The kernels of the CUDA device, compiled by nvcc alone: no CUDA library is linked, and no other source needs the Toolkit.
set(cuda_image_source "${CMAKE_SOURCE_DIR}/gpu/cuda/kernel_image.cpp")
set(cuda_scalar_math "${CMAKE_SOURCE_DIR}/gpu/cuda/kernels/scalar_math.hpp")
set_property(SOURCE "${cuda_image_source}" APPEND PROPERTY COMPILE_DEFINITIONS
             "SPARSE_RUN_SCALAR_MATH=\"${cuda_scalar_math}\"")
set_property(SOURCE "${cuda_image_source}" APPEND PROPERTY OBJECT_DEPENDS "${cuda_scalar_math}")

if(SPARSE_RUN_CUDA)  # AUTO or ON
  find_program(SPARSE_RUN_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH /usr/local/cuda PATH_SUFFIXES bin)
  if(NOT SPARSE_RUN_NVCC AND SPARSE_RUN_CUDA STREQUAL "ON")
    message(FATAL_ERROR "SPARSE_RUN_CUDA is ON and nvcc is not found: install the CUDA Toolkit, or set CUDA_HOME to its folder")
  endif()
endif()
if(SPARSE_RUN_CUDA AND SPARSE_RUN_NVCC)
  execute_process(COMMAND "${SPARSE_RUN_NVCC}" --version OUTPUT_VARIABLE nvcc_version)
  string(REGEX MATCH "release ([0-9]+)\\.([0-9]+)" nvcc_release "${nvcc_version}")
  set(nvcc_major "${CMAKE_MATCH_1}")
  message(STATUS "CUDA kernels: ${SPARSE_RUN_NVCC}, CUDA ${CMAKE_MATCH_1}.${CMAKE_MATCH_2}, sm_80, sm_90 and PTX")
  set(cuda_image "${CMAKE_BINARY_DIR}/generated/gpu/kernels.fatbin")
  file(GLOB cuda_headers CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/gpu/cuda/kernels/*.hpp")
  add_custom_command(
    OUTPUT "${cuda_image}"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${CMAKE_BINARY_DIR}/generated/gpu"
    COMMAND "${SPARSE_RUN_NVCC}" -std=c++20 -O3 --fatbin "-I${CMAKE_SOURCE_DIR}" -Werror all-warnings
            -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90
            -gencode arch=compute_90,code=compute_90
            -o "${cuda_image}" "${CMAKE_SOURCE_DIR}/gpu/cuda/kernels/kernels.cu"
    DEPENDS "${CMAKE_SOURCE_DIR}/gpu/cuda/kernels/kernels.cu" ${cuda_headers}
    COMMENT "Compiling CUDA kernels for sm_80, sm_90 and PTX"
    VERBATIM)
  set_property(SOURCE "${cuda_image_source}" APPEND PROPERTY OBJECT_DEPENDS "${cuda_image}")
  set_property(SOURCE "${cuda_image_source}" APPEND PROPERTY COMPILE_DEFINITIONS
               "SPARSE_RUN_CUDA_IMAGE=\"${cuda_image}\"" "SPARSE_RUN_CUDA_MAJOR=${nvcc_major}")
  # The tables of functions are compared with the headers, where those are.
  get_filename_component(nvcc_path "${SPARSE_RUN_NVCC}" REALPATH)
  get_filename_component(cuda_root "${nvcc_path}" DIRECTORY)
  find_path(SPARSE_RUN_CUDA_INCLUDE cublasLt.h HINTS "${cuda_root}/../include" /usr/local/cuda/include)
  if(SPARSE_RUN_CUDA_INCLUDE AND EXISTS "${SPARSE_RUN_CUDA_INCLUDE}/cusparse.h" AND EXISTS
                                    "${SPARSE_RUN_CUDA_INCLUDE}/nvrtc.h")
    set(abi_check "${CMAKE_SOURCE_DIR}/gpu/cuda/api/abi_check.cpp")
    set_property(SOURCE "${abi_check}" APPEND PROPERTY COMPILE_OPTIONS -isystem "${SPARSE_RUN_CUDA_INCLUDE}")
    set_property(SOURCE "${abi_check}" APPEND PROPERTY COMPILE_DEFINITIONS SPARSE_RUN_CUDA_HEADERS)
    if(EXISTS "${SPARSE_RUN_CUDA_INCLUDE}/cudnn_graph.h")
      set_property(SOURCE "${abi_check}" APPEND PROPERTY COMPILE_DEFINITIONS SPARSE_RUN_CUDNN_HEADERS)
    endif()
  endif()
endif()
