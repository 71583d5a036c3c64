// Finding CUDA's libraries and filling the tables.
#include "gpu/cuda/api/libraries.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <sstream>
#include <system_error>
#include <vector>

#include "base/error.hpp"
#include "gpu/absent.hpp"
#include "gpu/cuda/kernel_image.hpp"

namespace sparse_run::gpu::cuda {

namespace {

namespace fs = std::filesystem;

/// Entries of a folder; none when it cannot be read.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code ignored;  // a folder that is not there has no entries
  for (fs::directory_iterator entry(folder, ignored), end; entry != end; entry.increment(ignored)) {
    found.push_back(entry->path());
    if (ignored) break;
  }
  return found;
}

/// Packages of Python bring CUDA's libraries in nvidia/NAME/lib.
void add_python_folders(const fs::path& root, std::vector<fs::path>& folders) {
  for (const fs::path& version : entries_of(root / "lib")) {
    if (!version.filename().string().starts_with("python3")) continue;
    for (const char* kind : {"site-packages", "dist-packages"}) {
      for (const fs::path& package : entries_of(version / kind / "nvidia")) folders.push_back(package / "lib");
    }
  }
}

std::vector<fs::path> library_folders() {
  std::vector<fs::path> folders;
  if (const char* given = std::getenv("SPARSE_RUN_CUDA_LIBRARIES")) {
    std::istringstream list(given);
    for (std::string folder; std::getline(list, folder, ':');) {
      if (!folder.empty()) folders.emplace_back(folder);
    }
  }
  folders.emplace_back("/usr/local/cuda/lib64");
  if (const char* environment = std::getenv("VIRTUAL_ENV")) add_python_folders(environment, folders);
  if (const char* home = std::getenv("HOME")) add_python_folders(fs::path(home) / ".local", folders);
  for (const char* root : {"/usr/local", "/usr"}) add_python_folders(root, folders);
  return folders;
}

std::string loader_error() {
  const char* text = dlerror();
  return text != nullptr ? text : "unknown reason";
}

/// The library, or nullptr with the loader's words for the first attempt.
void* open_library(const std::string& file, std::string& reason) {
  if (void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  reason = loader_error();
  for (const fs::path& folder : library_folders()) {
    const fs::path path = folder / file;
    std::error_code ignored;
    if (!fs::exists(path, ignored)) continue;
    if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    reason = loader_error();
  }
  return nullptr;
}

/// Fills the table; the name of the first function that is missing, or nullptr.
template <class Table>
const char* fill_table(void* library, Table& table) {
  const char* missing = nullptr;
  table.each([&](const char* symbol, auto& pointer) {
    void* address = dlsym(library, symbol);
    if (address == nullptr && missing == nullptr) missing = symbol;
    pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(address);
  });
  return missing;
}

template <class Table>
Loaded<Table> load_table(const char* name, std::initializer_list<const char*> files) {
  std::string first_reason;
  for (const char* file : files) {
    std::string reason;
    if (void* library = open_library(file, reason)) {
      Table table;
      const char* missing = fill_table(library, table);
      if (missing == nullptr) return {table, {}};
      reason = fmt::format("{} has no function {}", file, missing);
      dlclose(library);
    }
    if (first_reason.empty()) first_reason = reason;
  }
  return {std::nullopt, fmt::format("{} is not there ({})", name, first_reason)};
}

Libraries load_everything() {
  Libraries libraries;
  const KernelImage image = kernel_image();
  if (image.data == nullptr) throw Error(ErrorKind::device, cuda_absence());
  libraries.kernels = image.data;
  libraries.least_driver = image.least_driver;
  libraries.driver = load_driver("libcuda.so.1");
  libraries.blas = load_blas();
  libraries.dnn = load_dnn();
  libraries.sparse = load_sparse();
  libraries.nvrtc = load_nvrtc();
  return libraries;
}

}  // namespace

Driver load_driver(const std::string& file) {
  std::string reason;
  void* library = open_library(file, reason);
  if (library == nullptr) {
    throw_error(ErrorKind::device,
                "there is no NVIDIA driver: {} cannot be loaded ({}); install the driver or choose cpu", file, reason);
  }
  Driver driver;
  if (const char* missing = fill_table(library, driver)) {
    dlclose(library);
    throw_error(ErrorKind::device,
                "the NVIDIA driver is too old: {} has no function {}; install a newer one or choose cpu", file,
                missing);
  }
  return driver;
}

Loaded<BlasLt> load_blas() { return load_table<BlasLt>("cuBLASLt", {"libcublasLt.so.13", "libcublasLt.so.12"}); }
Loaded<Dnn> load_dnn() { return load_table<Dnn>("cuDNN 9", {"libcudnn.so.9"}); }
Loaded<Sparse> load_sparse() { return load_table<Sparse>("cuSPARSE", {"libcusparse.so.12"}); }
Loaded<Nvrtc> load_nvrtc() { return load_table<Nvrtc>("NVRTC", {"libnvrtc.so.13", "libnvrtc.so.12"}); }

const Libraries& load_libraries() {
  static const Libraries libraries = load_everything();  // a failure is tried again at the next call
  return libraries;
}

}  // namespace sparse_run::gpu::cuda
