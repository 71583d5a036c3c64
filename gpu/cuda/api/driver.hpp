// The functions of the CUDA driver that are used, as a table that is filled at run time.
#pragma once

#include <cstddef>

namespace sparse_run::gpu::cuda {

/// Addresses in the memory of a GPU, and handles of the driver. All opaque.
using DevicePtr = unsigned long long;
using ContextHandle = void*;
using StreamHandle = void*;
using EventHandle = void*;
using ModuleHandle = void*;
using FunctionHandle = void*;
using GraphHandle = void*;
using GraphExecHandle = void*;
using PoolHandle = void*;

/// Results of the driver that are told apart. Any other is a failure of the operation alone.
namespace status {
inline constexpr int kSuccess = 0;
inline constexpr int kInvalidValue = 1;
inline constexpr int kOutOfMemory = 2;
inline constexpr int kStubLibrary = 34;
inline constexpr int kNoDevice = 100;
inline constexpr int kInvalidDevice = 101;
inline constexpr int kNoBinary = 209;
inline constexpr int kUncorrectableMemory = 214;
inline constexpr int kUnsupportedPtx = 222;
inline constexpr int kIllegalAddress = 700;
inline constexpr int kOutOfResources = 701;
inline constexpr int kLaunchTimeout = 702;
inline constexpr int kContextDestroyed = 709;
inline constexpr int kAssert = 710;
inline constexpr int kHardwareStack = 714;
inline constexpr int kIllegalInstruction = 715;
inline constexpr int kMisalignedAddress = 716;
inline constexpr int kInvalidAddressSpace = 717;
inline constexpr int kInvalidProgramCounter = 718;
inline constexpr int kLaunchFailed = 719;
inline constexpr int kDriverMismatch = 803;
inline constexpr int kUnknown = 999;
}  // namespace status

/// What may be asked of a device.
namespace attribute {
inline constexpr int kClockKhz = 13;
inline constexpr int kMultiprocessors = 16;
inline constexpr int kMemoryClockKhz = 36;
inline constexpr int kMemoryBusBits = 37;
inline constexpr int kCapabilityMajor = 75;
inline constexpr int kCapabilityMinor = 76;
inline constexpr int kSharedBytesOptIn = 97;
inline constexpr int kMemoryPools = 115;
}  // namespace attribute

inline constexpr unsigned kStreamNonBlocking = 1;
inline constexpr unsigned kEventBlockingSync = 1;
inline constexpr unsigned kHostAllocPortable = 1;
inline constexpr unsigned kHostRegisterPortable = 1;
inline constexpr unsigned kHostRegisterDeviceMap = 2;
inline constexpr unsigned kHostRegisterReadOnly = 8;
inline constexpr int kCaptureThreadLocal = 1;
inline constexpr int kPoolReleaseThreshold = 4;
inline constexpr int kFunctionMaxDynamicShared = 8;

/// Plain pointers under the names of the driver API, with parameters as binary compatible types of our own: no header
/// of CUDA is needed to compile. abi_check.cpp compares both where the Toolkit is installed. Results are CUresult.
struct Driver {
  int (*init)(unsigned flags) = nullptr;
  int (*driver_version)(int* version) = nullptr;
  int (*error_name)(int status, const char** text) = nullptr;
  int (*error_text)(int status, const char** text) = nullptr;
  int (*device_count)(int* count) = nullptr;
  int (*device_get)(int* device, int ordinal) = nullptr;
  int (*device_name)(char* name, int length, int device) = nullptr;
  int (*device_attribute)(int* value, int attribute, int device) = nullptr;
  int (*device_memory)(std::size_t* bytes, int device) = nullptr;
  int (*context_retain)(ContextHandle* context, int device) = nullptr;
  int (*context_release)(int device) = nullptr;
  int (*context_set)(ContextHandle context) = nullptr;
  int (*memory_info)(std::size_t* free, std::size_t* total) = nullptr;
  int (*memory_allocate)(DevicePtr* address, std::size_t bytes) = nullptr;
  int (*memory_free)(DevicePtr address) = nullptr;
  int (*memory_allocate_async)(DevicePtr* address, std::size_t bytes, StreamHandle stream) = nullptr;
  int (*memory_free_async)(DevicePtr address, StreamHandle stream) = nullptr;
  int (*pool_default)(PoolHandle* pool, int device) = nullptr;
  int (*pool_set)(PoolHandle pool, int attribute, void* value) = nullptr;
  int (*pool_trim)(PoolHandle pool, std::size_t keep) = nullptr;
  int (*host_allocate)(void** address, std::size_t bytes, unsigned flags) = nullptr;
  int (*host_free)(void* address) = nullptr;
  int (*host_register)(void* address, std::size_t bytes, unsigned flags) = nullptr;
  int (*host_unregister)(void* address) = nullptr;
  int (*host_device_address)(DevicePtr* device, void* address, unsigned flags) = nullptr;
  int (*copy_in)(DevicePtr to, const void* from, std::size_t bytes, StreamHandle stream) = nullptr;
  int (*copy_out)(void* to, DevicePtr from, std::size_t bytes, StreamHandle stream) = nullptr;
  int (*copy_within)(DevicePtr to, DevicePtr from, std::size_t bytes, StreamHandle stream) = nullptr;
  int (*fill)(DevicePtr to, unsigned char value, std::size_t bytes, StreamHandle stream) = nullptr;
  int (*stream_create)(StreamHandle* stream, unsigned flags) = nullptr;
  int (*stream_destroy)(StreamHandle stream) = nullptr;
  int (*stream_synchronize)(StreamHandle stream) = nullptr;
  int (*stream_wait)(StreamHandle stream, EventHandle event, unsigned flags) = nullptr;
  int (*event_create)(EventHandle* event, unsigned flags) = nullptr;
  int (*event_destroy)(EventHandle event) = nullptr;
  int (*event_record)(EventHandle event, StreamHandle stream) = nullptr;
  int (*event_synchronize)(EventHandle event) = nullptr;
  int (*event_elapsed)(float* milliseconds, EventHandle begin, EventHandle end) = nullptr;
  int (*module_load)(ModuleHandle* module, const void* image) = nullptr;
  int (*module_unload)(ModuleHandle module) = nullptr;
  int (*module_function)(FunctionHandle* function, ModuleHandle module, const char* name) = nullptr;
  int (*function_set)(FunctionHandle function, int attribute, int value) = nullptr;
  int (*launch)(FunctionHandle function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                unsigned block_y, unsigned block_z, unsigned shared_bytes, StreamHandle stream, void** parameters,
                void** extra) = nullptr;
  int (*capture_begin)(StreamHandle stream, int mode) = nullptr;
  int (*capture_end)(StreamHandle stream, GraphHandle* graph) = nullptr;
  int (*graph_instantiate)(GraphExecHandle* executable, GraphHandle graph, unsigned long long flags) = nullptr;
  int (*graph_launch)(GraphExecHandle executable, StreamHandle stream) = nullptr;
  int (*graph_exec_destroy)(GraphExecHandle executable) = nullptr;
  int (*graph_destroy)(GraphHandle graph) = nullptr;

  /// Calls visit(symbol, pointer) for every function.
  template <class Visit>
  void each(Visit&& visit) {
    visit("cuInit", init);
    visit("cuDriverGetVersion", driver_version);
    visit("cuGetErrorName", error_name);
    visit("cuGetErrorString", error_text);
    visit("cuDeviceGetCount", device_count);
    visit("cuDeviceGet", device_get);
    visit("cuDeviceGetName", device_name);
    visit("cuDeviceGetAttribute", device_attribute);
    visit("cuDeviceTotalMem_v2", device_memory);
    visit("cuDevicePrimaryCtxRetain", context_retain);
    visit("cuDevicePrimaryCtxRelease_v2", context_release);
    visit("cuCtxSetCurrent", context_set);
    visit("cuMemGetInfo_v2", memory_info);
    visit("cuMemAlloc_v2", memory_allocate);
    visit("cuMemFree_v2", memory_free);
    visit("cuMemAllocAsync", memory_allocate_async);
    visit("cuMemFreeAsync", memory_free_async);
    visit("cuDeviceGetDefaultMemPool", pool_default);
    visit("cuMemPoolSetAttribute", pool_set);
    visit("cuMemPoolTrimTo", pool_trim);
    visit("cuMemHostAlloc", host_allocate);
    visit("cuMemFreeHost", host_free);
    visit("cuMemHostRegister_v2", host_register);
    visit("cuMemHostUnregister", host_unregister);
    visit("cuMemHostGetDevicePointer_v2", host_device_address);
    visit("cuMemcpyHtoDAsync_v2", copy_in);
    visit("cuMemcpyDtoHAsync_v2", copy_out);
    visit("cuMemcpyDtoDAsync_v2", copy_within);
    visit("cuMemsetD8Async", fill);
    visit("cuStreamCreate", stream_create);
    visit("cuStreamDestroy_v2", stream_destroy);
    visit("cuStreamSynchronize", stream_synchronize);
    visit("cuStreamWaitEvent", stream_wait);
    visit("cuEventCreate", event_create);
    visit("cuEventDestroy_v2", event_destroy);
    visit("cuEventRecord", event_record);
    visit("cuEventSynchronize", event_synchronize);
    visit("cuEventElapsedTime", event_elapsed);
    visit("cuModuleLoadData", module_load);
    visit("cuModuleUnload", module_unload);
    visit("cuModuleGetFunction", module_function);
    visit("cuFuncSetAttribute", function_set);
    visit("cuLaunchKernel", launch);
    visit("cuStreamBeginCapture_v2", capture_begin);
    visit("cuStreamEndCapture", capture_end);
    visit("cuGraphInstantiateWithFlags", graph_instantiate);
    visit("cuGraphLaunch", graph_launch);
    visit("cuGraphExecDestroy", graph_exec_destroy);
    visit("cuGraphDestroy", graph_destroy);
  }
};

}  // namespace sparse_run::gpu::cuda
