// CUDA's libraries as they are found when a GPU is first asked for: the program starts without any of them.
#pragma once

#include <optional>
#include <string>

#include "gpu/cuda/api/blas_lt.hpp"
#include "gpu/cuda/api/dnn.hpp"
#include "gpu/cuda/api/driver.hpp"
#include "gpu/cuda/api/nvrtc.hpp"
#include "gpu/cuda/api/sparse.hpp"

namespace sparse_run::gpu::cuda {

/// A library that may be absent: its functions, or why there are none.
template <class Table>
struct Loaded {
  std::optional<Table> table;
  std::string absence;
};

/// What a GPU needs: the driver and the program's own kernels; the other libraries widen what it can run.
struct Libraries {
  Driver driver;
  const void* kernels = nullptr;  ///< image of the program's kernels, as cuModuleLoadData takes it
  int least_driver = 0;           ///< version of the driver that the image needs, 1000 · major + 10 · minor
  Loaded<BlasLt> blas;
  Loaded<Dnn> dnn;
  Loaded<Sparse> sparse;
  Loaded<Nvrtc> nvrtc;
};

/// Loads what is there, once per process; libraries stay loaded. Looked for where the system's loader looks, in the
/// folders of the environment variable SPARSE_RUN_CUDA_LIBRARIES (separated by colons), in /usr/local/cuda and among
/// the packages of Python. Error(device) when there is no driver, it is too old to have all functions, or this
/// program was built without kernels. Thread-safe.
const Libraries& load_libraries();

/// The functions of the driver found as `file`. Error(device) when it cannot be loaded or lacks a function.
Driver load_driver(const std::string& file);

/// The first of `files` (names as the loader knows them) that can be loaded and has all functions of the table.
Loaded<BlasLt> load_blas();
Loaded<Dnn> load_dnn();
Loaded<Sparse> load_sparse();
Loaded<Nvrtc> load_nvrtc();

}  // namespace sparse_run::gpu::cuda
