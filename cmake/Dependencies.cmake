# Every library the project links, found once; each failure names the package to install.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(TBB REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)  # only to tell oneDNN to use one thread
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(Protobuf REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(ZLIB REQUIRED)
pkg_check_modules(hwloc REQUIRED IMPORTED_TARGET hwloc)
pkg_check_modules(libzip REQUIRED IMPORTED_TARGET libzip)

find_library(DNNL_LIBRARY dnnl REQUIRED)
find_path(DNNL_INCLUDE_DIR dnnl.hpp REQUIRED)
add_library(DNNL::dnnl UNKNOWN IMPORTED)
set_target_properties(DNNL::dnnl PROPERTIES IMPORTED_LOCATION "${DNNL_LIBRARY}"
                      INTERFACE_INCLUDE_DIRECTORIES "${DNNL_INCLUDE_DIR}")
if(SPARSE_RUN_TESTS)
  find_package(GTest REQUIRED)
endif()

# Optional: without MPI the program runs in one process and says so.
if(SPARSE_RUN_MPI)
  find_package(MPI COMPONENTS C)
endif()
add_library(sparse_run_mpi INTERFACE)
if(MPI_C_FOUND)
  target_link_libraries(sparse_run_mpi INTERFACE MPI::MPI_C)
  target_compile_definitions(sparse_run_mpi INTERFACE SPARSE_RUN_WITH_MPI OMPI_SKIP_MPICXX)
endif()

# Optional: without METIS the nodes of a graph are given to ranks in consecutive ranges.
find_library(METIS_LIBRARY metis)
find_path(METIS_INCLUDE_DIR metis.h)
add_library(sparse_run_metis INTERFACE)
if(SPARSE_RUN_METIS AND METIS_LIBRARY AND METIS_INCLUDE_DIR)
  target_link_libraries(sparse_run_metis INTERFACE "${METIS_LIBRARY}")
  target_include_directories(sparse_run_metis SYSTEM INTERFACE "${METIS_INCLUDE_DIR}")
  target_compile_definitions(sparse_run_metis INTERFACE SPARSE_RUN_WITH_METIS)
endif()
