// NVRTC on the host: generated kernels become shared objects, compiled by g++.
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

#include "tests/cuda/host/host_cuda.hpp"

namespace sparse_run::host_cuda {

namespace {

namespace fs = std::filesystem;

constexpr int kFailed = 6;

/// What a GPU gives every kernel.
constexpr const char* kBefore = R"(
#include <cstddef>
#define __global__
struct HostDim { unsigned x, y, z; };
static thread_local HostDim blockIdx, blockDim, gridDim, threadIdx;
)";

/// All threads of all blocks, one after the other.
constexpr const char* kAfter = R"(
extern "C" { extern const std::size_t chain_bytes; const std::size_t chain_bytes = sizeof(ChainOperands); }
extern "C" void run_chain_grid(const void* parameters, unsigned blocks, unsigned threads) {
  gridDim = {blocks, 1, 1};
  blockDim = {threads, 1, 1};
  for (unsigned block = 0; block < blocks; ++block) {
    for (unsigned thread = 0; thread < threads; ++thread) {
      blockIdx = {block, 0, 0};
      threadIdx = {thread, 0, 0};
      chain(*static_cast<const ChainOperands*>(parameters));
    }
  }
}
)";

struct Program {
  std::string source;
  std::string header;
  std::string header_name;
  fs::path folder;
  std::string image;
  std::string log;

  ~Program() {
    std::error_code ignored;  // a folder that stays is in the way of nobody
    fs::remove(folder / "chain.cpp", ignored);
    fs::remove(folder / header_name, ignored);
  }
};

void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

int compile(void* handle, int, const char* const*) {
  auto& program = *static_cast<Program*>(handle);
  std::string pattern = (fs::temp_directory_path() / "host-nvrtc-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) return kFailed;
  program.folder = pattern;
  write(program.folder / program.header_name, program.header);
  write(program.folder / "chain.cpp", kBefore + program.source + kAfter);
  program.image = (program.folder / "chain.so").string();
  const std::string log = (program.folder / "log").string();
  const std::string command =
      fmt::format("g++ -std=c++17 -O1 -Wall -Wextra -Werror -shared -fPIC -I{0} -o {1} {0}/chain.cpp 2>{2}",
                  program.folder.string(), program.image, log);
  const int code = std::system(command.c_str());
  std::ifstream file(log);
  std::stringstream text;
  text << file.rdbuf();
  program.log = text.str();
  return code == 0 ? 0 : kFailed;
}

}  // namespace

gpu::cuda::Nvrtc host_nvrtc() {
  gpu::cuda::Nvrtc table;
  table.error_text = [](int) { return "NVRTC_ERROR_OF_THE_HOST"; };
  table.create = [](void** program, const char* source, const char*, int headers, const char* const* texts,
                    const char* const* names) {
    if (headers != 1) return kFailed;
    auto* made = new Program;
    made->source = source;
    made->header = texts[0];
    made->header_name = names[0];
    *program = made;
    return 0;
  };
  table.compile = compile;
  table.log_bytes = [](void* program, std::size_t* bytes) {
    *bytes = static_cast<Program*>(program)->log.size() + 1;
    return 0;
  };
  table.log = [](void* program, char* text) {
    std::strcpy(text, static_cast<Program*>(program)->log.c_str());
    return 0;
  };
  table.binary_bytes = [](void* program, std::size_t* bytes) {
    *bytes = static_cast<Program*>(program)->image.size() + 1;
    return 0;
  };
  table.binary = [](void* program, char* image) {
    std::strcpy(image, static_cast<Program*>(program)->image.c_str());
    return 0;
  };
  table.destroy = [](void** program) {
    delete static_cast<Program*>(*program);
    *program = nullptr;
    return 0;
  };
  return table;
}

}  // namespace sparse_run::host_cuda
