// One GPU of this machine: its context, kernels, library handles and memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.hpp"
#include "device/precision.hpp"
#include "gpu/cuda/api/libraries.hpp"
#include "gpu/cuda/pool.hpp"
#include "graph/ir/tensor.hpp"

namespace sparse_run::gpu::cuda {

class HostWeights;

struct GpuOptions {
  std::size_t memory_bytes = 0;          ///< most that is used; 0: what is free when the GPU is opened
  Precision precision = Precision::f32;  ///< lowest that products and convolutions may round operands to
  double sparse_from = -1;  ///< share of zeros of weights from which sparse kernels are used; < 0: the device's prior
  bool graphs = true;       ///< partitions are captured and replayed as CUDA graphs
  bool generated = true;    ///< chains of elementwise operators become kernels of their own, where NVRTC is there
  /// Told what the user should know of but that is no error; called from any thread.
  std::function<void(const std::string&)> notice = {};
  /// Told what there is to say of the executions of a partition so far (how often a cache had what was asked for),
  /// after each whose times were taken; called from a thread of the device.
  std::function<void(const std::string& partition, const std::vector<std::string>& remarks)> remark = {};
};

/// What does not change while a GPU is open.
struct GpuFacts {
  std::string name;   ///< "gpu:0"
  std::string model;  ///< "NVIDIA H100"
  int major = 0;      ///< compute capability
  int minor = 0;
  int multiprocessors = 0;
  int clock_khz = 0;
  int memory_clock_khz = 0;
  int memory_bus_bits = 0;
  std::size_t memory_bytes = 0;
  std::size_t shared_bytes = 0;  ///< most shared memory of one block
  bool memory_pools = false;

  double f32_flops_per_s() const;     ///< of the data sheet: two per lane and cycle
  double memory_bytes_per_s() const;  ///< of the data sheet
};

/// Blocks and threads of a launch.
struct LaunchShape {
  unsigned blocks = 1;
  unsigned threads = 256;
  std::size_t shared_bytes = 0;
};

/// Thread-safe. Shared by the device, its executables and every buffer, which may outlive one another.
class Gpu {
 public:
  /// Opens GPU `index`. Error(device) says what is missing: no GPU, an index out of range, a driver too old for the
  /// kernels, an unsupported compute capability.
  static std::shared_ptr<Gpu> open(const Libraries& libraries, int index, const GpuOptions& options);
  /// What GPU `index` is, without opening it. Error(device) as above.
  static GpuFacts describe(const Libraries& libraries, int index);
  /// GPUs that the driver finds; Error(device) when it finds none or does not start.
  static int count(const Libraries& libraries);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  const GpuFacts& facts() const noexcept { return facts_; }
  const GpuOptions& options() const noexcept { return options_; }
  const Libraries& libraries() const noexcept { return libraries_; }
  const Driver& driver() const noexcept { return libraries_.driver; }
  Pool& pool() noexcept { return *pool_; }

  /// Makes this GPU the one that the calling thread talks to.
  void enter() const;

  /// Error(device) unless the driver's `status` is success: "gpu:0: WHAT failed: NAME (description)", and that the
  /// device is lost where it is.
  void check(int status, std::string_view what) const;
  /// The driver's words for a status: "NAME (description)".
  std::string text(int status) const;
  /// The same for statuses of other libraries, whose names the caller has.
  [[noreturn]] void fail(std::string_view library, std::string_view status, std::string_view what) const;

  /// Copies to the GPU and waits until it is done: for constants.
  void upload(DevicePtr to, const void* from, std::size_t bytes);
  /// Copies from the GPU and waits until it is done: for counters, whenever it pleases.
  void download(void* to, DevicePtr from, std::size_t bytes);

  /// Bytes that weights, workspace and values of requests may take in all: what was given, or a share of the memory
  /// that leaves some for what libraries need.
  std::size_t allowance() const noexcept;
  /// A constant of the model in CPU memory that the GPU reads; one for all who ask for the same tensor. Error(limit)
  /// when the machine locks no more memory.
  std::shared_ptr<const HostWeights> host_weights(const std::shared_ptr<Gpu>& self, const Tensor& tensor);

  /// A kernel of kernels/kernel_list.hpp. Error(internal) when there is none of that name.
  FunctionHandle kernel(const char* name);
  /// Function `name` of a kernel compiled by NVRTC from `source`; compiled once. Error(device) with the compiler's log.
  FunctionHandle generated(const std::string& source, const char* name);

  /// Enqueues a kernel whose only parameter is the structure `parameters`.
  template <class Parameters>
  void launch(const char* name, LaunchShape shape, StreamHandle stream, const Parameters& parameters) {
    launch_raw(kernel(name), name, shape, stream, const_cast<Parameters*>(&parameters));
  }
  void launch_raw(FunctionHandle function, const char* name, LaunchShape shape, StreamHandle stream, void* parameters);

  /// Handles of libraries, made at the first call and used by one thread at a time: by whoever holds the compute
  /// stream. Error(device) when the library is absent or refuses.
  BlasHandle blas();
  DnnHandle dnn();
  SparseHandle sparse();
  /// What `make` gave when it was first called for `key`: plans of libraries that equal layers share. They go before
  /// the handles of the libraries do.
  std::shared_ptr<const void> shared_plan(const std::string& key,
                                          const std::function<std::shared_ptr<const void>()>& make);

 private:
  Gpu(const Libraries& libraries, const GpuOptions& options);
  void discover(int index);
  void load_kernels();
  std::string compile(const std::string& source, std::string& log) const;

  Libraries libraries_;
  GpuOptions options_;
  GpuFacts facts_;
  int device_ = 0;
  ContextHandle context_ = nullptr;
  ModuleHandle kernels_ = nullptr;
  StreamHandle uploads_ = nullptr;
  std::unique_ptr<Pool> pool_;
  std::mutex mutex_;  // over what follows
  std::unordered_map<std::string, FunctionHandle> functions_;
  std::unordered_map<std::string, FunctionHandle> generated_;  // by source
  std::unordered_map<FunctionHandle, std::size_t> shared_limit_;
  std::unordered_map<const void*, std::weak_ptr<const HostWeights>> host_weights_;  // by address of the tensor
  std::vector<ModuleHandle> modules_;
  std::unordered_map<std::string, std::shared_ptr<const void>> plans_;
  BlasHandle blas_ = nullptr;
  DnnHandle dnn_ = nullptr;
  SparseHandle sparse_ = nullptr;
};

/// The context is gone with these statuses: whatever is asked for afterwards fails.
bool loses_device(int status) noexcept;

}  // namespace sparse_run::gpu::cuda
