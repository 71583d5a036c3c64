// The driver's functions on the host.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/error.hpp"
#include "tests/cuda/host/host_gpu.hpp"
#include "tests/cuda/host/host_module.hpp"
#include "tests/cuda/host/host_stream.hpp"

namespace sparse_run::host_cuda {

namespace status = gpu::cuda::status;
namespace attribute = gpu::cuda::attribute;
using gpu::cuda::DevicePtr;

namespace {

using EventPointer = std::shared_ptr<HostEvent>;
using Graph = std::vector<HostWork>;

thread_local std::shared_ptr<HostGpu> current;  // the context of this thread
thread_local int captures = 0;                  // by this thread

/// A context is a GPU.
HostGpu* context(void* handle) { return static_cast<HostGpu*>(handle); }

int guard() {
  if (!current) return status::kInvalidValue;
  return current->faults.lost() ? status::kLaunchFailed : status::kSuccess;
}

int error_name(int code, const char** text) {
  switch (code) {
    case status::kOutOfMemory:
      *text = "CUDA_ERROR_OUT_OF_MEMORY";
      break;
    case status::kOutOfResources:
      *text = "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES";
      break;
    case status::kLaunchFailed:
      *text = "CUDA_ERROR_LAUNCH_FAILED";
      break;
    default:
      *text = "CUDA_ERROR_UNKNOWN";
  }
  return status::kSuccess;
}

int error_text(int, const char** text) {
  *text = "as told";
  return status::kSuccess;
}

int device_attribute(int* value, int which, int device) {
  const HostGpuOptions& options = host_gpu(device)->options;
  switch (which) {
    case attribute::kCapabilityMajor:
      *value = options.major;
      break;
    case attribute::kCapabilityMinor:
      *value = options.minor;
      break;
    case attribute::kMultiprocessors:
      *value = 4;
      break;
    case attribute::kClockKhz:
      *value = 1000000;
      break;
    case attribute::kMemoryClockKhz:
      *value = 1000000;
      break;
    case attribute::kMemoryBusBits:
      *value = 512;
      break;
    case attribute::kSharedBytesOptIn:
      *value = static_cast<int>(options.shared_bytes);
      break;
    case attribute::kMemoryPools:
      *value = options.memory_pools;
      break;
    default:
      return status::kInvalidValue;
  }
  return status::kSuccess;
}

int context_retain(void** handle, int device) {
  *handle = host_gpu(device).get();
  return status::kSuccess;
}

int context_set(void* handle) {
  current.reset();
  for (int i = 0; i < host_gpu_count() && handle != nullptr; ++i) {
    if (host_gpu(i).get() == context(handle)) current = host_gpu(i);
  }
  return handle == nullptr || current ? status::kSuccess : status::kInvalidValue;
}

int allocate(DevicePtr* address, std::size_t bytes) {
  if (!current || captures > 0) return status::kInvalidValue;
  void* memory = nullptr;
  const int code = current->allocate(bytes, &memory);
  *address = reinterpret_cast<DevicePtr>(memory);
  return code;
}

int allocate_async(DevicePtr* address, std::size_t bytes, void*) { return allocate(address, bytes); }

int release(DevicePtr address) {
  if (const int code = guard(); code != status::kSuccess) return code;
  return current->release(reinterpret_cast<void*>(address));
}

int release_async(DevicePtr address, void* handle) {
  HostStream& stream = stream_of(handle);
  stream.submit({[&gpu = stream.gpu(), address] { gpu.release(reinterpret_cast<void*>(address)); }});
  return status::kSuccess;
}

int pool_default(void** pool, int device) {
  *pool = host_gpu(device).get();
  return status::kSuccess;
}

int host_allocate(void** memory, std::size_t bytes, unsigned) {
  *memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  return *memory != nullptr ? status::kSuccess : status::kOutOfMemory;
}

int host_free(void* memory) {
  std::free(memory);
  return status::kSuccess;
}

/// Memory of the program that was locked, by address.
struct LockedMemory {
  std::mutex mutex;
  std::map<void*, std::size_t> ranges;
  bool allowed = true;
};

LockedMemory& locked_memory() {
  static LockedMemory one;
  return one;
}

int host_register(void* address, std::size_t bytes, unsigned flags) {
  if (const int code = guard(); code != status::kSuccess) return code;
  const unsigned known =
      gpu::cuda::kHostRegisterPortable | gpu::cuda::kHostRegisterDeviceMap | gpu::cuda::kHostRegisterReadOnly;
  LockedMemory& locked = locked_memory();
  const std::lock_guard lock(locked.mutex);
  if (!locked.allowed || bytes == 0 || (flags & ~known) != 0 || locked.ranges.contains(address)) {
    return status::kInvalidValue;
  }
  locked.ranges.emplace(address, bytes);
  return status::kSuccess;
}

int host_unregister(void* address) {
  LockedMemory& locked = locked_memory();
  const std::lock_guard lock(locked.mutex);
  return locked.ranges.erase(address) == 1 ? status::kSuccess : status::kInvalidValue;
}

int host_device_address(DevicePtr* device, void* address, unsigned) {
  *device = reinterpret_cast<DevicePtr>(address);
  return status::kSuccess;
}

/// A copy with one or both sides on the GPU; `device` are the ranges that have to be.
int copy(void* handle, void* to, const void* from, std::size_t bytes, std::initializer_list<const void*> device) {
  HostStream& stream = stream_of(handle);
  HostGpu& gpu = stream.gpu();
  if (!stream.capturing()) {
    const int code = status_of(gpu, status::kUnknown, [&] { gpu.faults.before_copy(); });
    if (code != status::kSuccess) return code;
  }
  for (const void* address : device) {
    if (!gpu.holds(address, bytes)) return status::kInvalidValue;
  }
  stream.submit({[&gpu, to, from, bytes] {
    if (!gpu.faults.lost()) std::memcpy(to, from, bytes);
  }});
  return status::kSuccess;
}

int copy_in(DevicePtr to, const void* from, std::size_t bytes, void* stream) {
  void* target = reinterpret_cast<void*>(to);
  return copy(stream, target, from, bytes, {target});
}

int copy_out(void* to, DevicePtr from, std::size_t bytes, void* stream) {
  const void* source = reinterpret_cast<const void*>(from);
  return copy(stream, to, source, bytes, {source});
}

int copy_within(DevicePtr to, DevicePtr from, std::size_t bytes, void* stream) {
  void* target = reinterpret_cast<void*>(to);
  const void* source = reinterpret_cast<const void*>(from);
  return copy(stream, target, source, bytes, {target, source});
}

int fill(DevicePtr to, unsigned char value, std::size_t bytes, void* handle) {
  HostStream& stream = stream_of(handle);
  void* target = reinterpret_cast<void*>(to);
  if (!stream.gpu().holds(target, bytes)) return status::kInvalidValue;
  stream.submit({[target, value, bytes] { std::memset(target, value, bytes); }});
  return status::kSuccess;
}

int stream_create(void** stream, unsigned) {
  if (const int code = guard(); code != status::kSuccess) return code;
  *stream = new HostStream(current);
  return status::kSuccess;
}

int stream_destroy(void* stream) {
  delete static_cast<HostStream*>(stream);
  return status::kSuccess;
}

int stream_synchronize(void* handle) {
  HostStream& stream = stream_of(handle);
  if (stream.capturing()) return status::kInvalidValue;
  stream.synchronize();
  return stream.gpu().faults.lost() ? status::kLaunchFailed : status::kSuccess;
}

int stream_wait(void* handle, void* event, unsigned) {
  const EventPointer waited = *static_cast<EventPointer*>(event);
  const std::uint64_t turn = waited->recorded();
  stream_of(handle).submit({[waited, turn] { waited->wait(turn); }});
  return status::kSuccess;
}

int event_create(void** event, unsigned) {
  if (const int code = guard(); code != status::kSuccess) return code;
  *event = new EventPointer(std::make_shared<HostEvent>());
  return status::kSuccess;
}

int event_destroy(void* event) {
  delete static_cast<EventPointer*>(event);
  return status::kSuccess;
}

int event_record(void* event, void* handle) {
  HostStream& stream = stream_of(handle);
  if (stream.gpu().faults.lost()) return status::kLaunchFailed;
  if (stream.capturing()) return status::kInvalidValue;
  const EventPointer recorded = *static_cast<EventPointer*>(event);
  const std::uint64_t turn = recorded->record();
  stream.submit({[recorded, turn] { recorded->reach(turn); }});
  return status::kSuccess;
}

int event_synchronize(void* event) {
  const EventPointer waited = *static_cast<EventPointer*>(event);
  waited->wait(waited->recorded());
  return guard();
}

int event_elapsed(float* milliseconds, void* begin, void* end) {
  const std::int64_t nanoseconds =
      (*static_cast<EventPointer*>(end))->when_ns() - (*static_cast<EventPointer*>(begin))->when_ns();
  *milliseconds = static_cast<float>(nanoseconds) * 1e-6f;
  return status::kSuccess;
}

int module_load(void** module, const void* image) {
  auto loaded = std::make_unique<HostModule>();
  if (image == own_image()) {
    loaded->kernels = own_kernels();
  } else {
    *loaded = load_generated(static_cast<const char*>(image));
  }
  if (loaded->kernels.empty()) return status::kNoBinary;
  *module = loaded.release();
  return status::kSuccess;
}

int module_unload(void* module) {
  delete static_cast<HostModule*>(module);
  return status::kSuccess;
}

int module_function(void** function, void* module, const char* name) {
  auto& kernels = static_cast<HostModule*>(module)->kernels;
  const auto found = kernels.find(name);
  if (found == kernels.end()) return status::kInvalidValue;
  *function = &found->second;
  return status::kSuccess;
}

int function_set(void* function, int which, int value) {
  if (which != gpu::cuda::kFunctionMaxDynamicShared || !current) return status::kInvalidValue;
  if (value < 0 || static_cast<std::size_t>(value) > current->options.shared_bytes) return status::kInvalidValue;
  static_cast<HostKernel*>(function)->shared_limit = static_cast<std::size_t>(value);
  return status::kSuccess;
}

int launch(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
           unsigned block_z, unsigned shared_bytes, void* stream, void** parameters, void** extra) {
  const auto& kernel = *static_cast<HostKernel*>(function);
  if (grid_x == 0 || grid_y != 1 || grid_z != 1 || block_x == 0 || block_x > 256 || block_y != 1 || block_z != 1 ||
      extra != nullptr || shared_bytes > kernel.shared_limit) {
    return status::kInvalidValue;
  }
  const auto* bytes = static_cast<const std::byte*>(parameters[0]);
  auto copied = std::make_shared<std::vector<std::byte>>(bytes, bytes + kernel.parameter_bytes);
  return submit_kernel(stream, [kernel, copied, grid_x, block_x, shared_bytes] {
    if (kernel.grid != nullptr) return kernel.grid(copied->data(), grid_x, block_x);
    std::vector<std::uint64_t> shared((shared_bytes + 7) / 8);
    for (unsigned index = 0; index < grid_x; ++index) {
      std::fill(shared.begin(), shared.end(), ~std::uint64_t{0});  // not-a-number
      kernel.block(copied->data(), {static_cast<gpu::cuda::Index>(index), static_cast<gpu::cuda::Index>(grid_x),
                                    block_x, shared.data()});
    }
  });
}

int capture_begin(void* stream, int) {
  stream_of(stream).begin_capture();
  ++captures;
  return status::kSuccess;
}

int capture_end(void* stream, void** graph) {
  --captures;
  *graph = new Graph(stream_of(stream).end_capture());
  return status::kSuccess;
}

int graph_instantiate(void** executable, void* graph, unsigned long long) {
  *executable = new Graph(*static_cast<Graph*>(graph));
  return status::kSuccess;
}

int graph_launch(void* executable, void* handle) {
  HostStream& stream = stream_of(handle);
  HostGpu& gpu = stream.gpu();
  const auto& graph = *static_cast<Graph*>(executable);
  for (const HostWork& work : graph) {
    if (!work.is_kernel) continue;
    const int code = status_of(gpu, status::kOutOfResources, [&] { gpu.faults.before_kernel("a captured kernel"); });
    if (code != status::kSuccess) return code;
  }
  ++gpu.graphs;
  for (const HostWork& work : graph) stream.submit(work);
  return status::kSuccess;
}

int graph_destroy(void* graph) {
  delete static_cast<Graph*>(graph);
  return status::kSuccess;
}

gpu::cuda::Driver host_driver() {
  gpu::cuda::Driver driver;
  driver.init = [](unsigned) { return status::kSuccess; };
  driver.driver_version = [](int* version) {
    *version = 13000;
    return status::kSuccess;
  };
  driver.error_name = error_name;
  driver.error_text = error_text;
  driver.device_count = [](int* count) {
    *count = host_gpu_count();
    return status::kSuccess;
  };
  driver.device_get = [](int* device, int ordinal) {
    *device = ordinal;
    return status::kSuccess;
  };
  driver.device_name = [](char* name, int length, int device) {
    std::strncpy(name, host_gpu(device)->options.model.c_str(), static_cast<std::size_t>(length));
    return status::kSuccess;
  };
  driver.device_attribute = device_attribute;
  driver.device_memory = [](std::size_t* bytes, int device) {
    *bytes = host_gpu(device)->options.memory_bytes;
    return status::kSuccess;
  };
  driver.context_retain = context_retain;
  driver.context_release = [](int) { return status::kSuccess; };
  driver.context_set = context_set;
  driver.memory_info = [](std::size_t* free, std::size_t* total) {
    if (const int code = guard(); code != status::kSuccess) return code;
    *total = current->options.memory_bytes;
    *free = *total - current->allocated();
    return status::kSuccess;
  };
  driver.memory_allocate = allocate;
  driver.memory_free = release;
  driver.memory_allocate_async = allocate_async;
  driver.memory_free_async = release_async;
  driver.pool_default = pool_default;
  driver.pool_set = [](void*, int, void*) { return status::kSuccess; };
  driver.pool_trim = [](void*, std::size_t) { return status::kSuccess; };
  driver.host_allocate = host_allocate;
  driver.host_free = host_free;
  driver.host_register = host_register;
  driver.host_unregister = host_unregister;
  driver.host_device_address = host_device_address;
  driver.copy_in = copy_in;
  driver.copy_out = copy_out;
  driver.copy_within = copy_within;
  driver.fill = fill;
  driver.stream_create = stream_create;
  driver.stream_destroy = stream_destroy;
  driver.stream_synchronize = stream_synchronize;
  driver.stream_wait = stream_wait;
  driver.event_create = event_create;
  driver.event_destroy = event_destroy;
  driver.event_record = event_record;
  driver.event_synchronize = event_synchronize;
  driver.event_elapsed = event_elapsed;
  driver.module_load = module_load;
  driver.module_unload = module_unload;
  driver.module_function = module_function;
  driver.function_set = function_set;
  driver.launch = launch;
  driver.capture_begin = capture_begin;
  driver.capture_end = capture_end;
  driver.graph_instantiate = graph_instantiate;
  driver.graph_launch = graph_launch;
  driver.graph_exec_destroy = graph_destroy;
  driver.graph_destroy = graph_destroy;
  driver.each([](const char* symbol, auto pointer) {
    if (pointer == nullptr) throw_error(ErrorKind::internal, "the host has no {}", symbol);
  });
  return driver;
}

}  // namespace

void allow_locking(bool allowed) {
  const std::lock_guard lock(locked_memory().mutex);
  locked_memory().allowed = allowed;
}

std::size_t locked_ranges() {
  const std::lock_guard lock(locked_memory().mutex);
  return locked_memory().ranges.size();
}

gpu::cuda::Libraries bare_libraries() {
  gpu::cuda::Libraries libraries;
  libraries.driver = host_driver();
  libraries.kernels = own_image();
  libraries.least_driver = 13000;
  libraries.blas.absence = "cuBLASLt is not there";
  libraries.dnn.absence = "cuDNN 9 is not there";
  libraries.sparse.absence = "cuSPARSE is not there";
  libraries.nvrtc.absence = "NVRTC is not there";
  return libraries;
}

gpu::cuda::Libraries host_libraries() {
  gpu::cuda::Libraries libraries = bare_libraries();
  libraries.blas = {host_blas(), {}};
  libraries.dnn = {host_dnn(), {}};
  libraries.sparse = {host_sparse(), {}};
  libraries.nvrtc = {host_nvrtc(), {}};
  return libraries;
}

}  // namespace sparse_run::host_cuda
