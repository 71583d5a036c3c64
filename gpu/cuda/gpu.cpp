// Opening a GPU, naming its failures, and keeping its kernels and handles.
#include "gpu/cuda/gpu.hpp"

#include <algorithm>
#include <array>

#include "gpu/cuda/host_weights.hpp"
#include "gpu/cuda/kernel_image.hpp"

namespace sparse_run::gpu::cuda {

namespace {

constexpr int kLeastMajor = 8;  ///< the oldest architecture that the kernels are compiled for
constexpr std::size_t kSharedByDefault = 48 << 10;
/// Lanes of one multiprocessor for f32: 64 on 8.0, 128 on all later ones.
constexpr double kLanes = 128;
constexpr double kLanesOfA100 = 64;
/// Of a GPU's memory when no limit is given, as the runtime lets requests in.
constexpr double kAllowedShare = 0.8;

std::string status_text(const Driver& driver, int code) {
  const char* name = nullptr;
  const char* text = nullptr;
  if (driver.error_name(code, &name) != status::kSuccess || name == nullptr) return fmt::format("status {}", code);
  if (driver.error_text(code, &text) != status::kSuccess || text == nullptr) return name;
  return fmt::format("{} ({})", name, text);
}

std::string version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

void initialize(const Libraries& libraries) {
  const Driver& driver = libraries.driver;
  const int code = driver.init(0);
  switch (code) {
    case status::kSuccess:
      break;
    case status::kNoDevice:
      throw Error(ErrorKind::device,
                  "the NVIDIA driver finds no GPU; is one built in, and does CUDA_VISIBLE_DEVICES hide it?");
    case status::kStubLibrary:
      throw Error(ErrorKind::device,
                  "the library libcuda.so.1 that was found is the CUDA Toolkit's stub, which cannot run anything; "
                  "install the NVIDIA driver");
    case status::kDriverMismatch:
      throw Error(ErrorKind::device,
                  "the NVIDIA driver's library and kernel module are of different versions; restart the machine");
    default:
      throw_error(ErrorKind::device, "the NVIDIA driver does not start: {}", status_text(driver, code));
  }
  int version = 0;
  if (driver.driver_version(&version) != status::kSuccess || version < libraries.least_driver) {
    throw_error(
        ErrorKind::device,
        "the NVIDIA driver is too old: it knows CUDA {}, this program's kernels need {}; install a newer driver",
        version_text(version), version_text(libraries.least_driver));
  }
}

}  // namespace

bool loses_device(int code) noexcept {
  constexpr std::array kFatal = {status::kUncorrectableMemory,
                                 status::kIllegalAddress,
                                 status::kLaunchTimeout,
                                 status::kContextDestroyed,
                                 status::kAssert,
                                 status::kHardwareStack,
                                 status::kIllegalInstruction,
                                 status::kMisalignedAddress,
                                 status::kInvalidAddressSpace,
                                 status::kInvalidProgramCounter,
                                 status::kLaunchFailed};
  return std::find(kFatal.begin(), kFatal.end(), code) != kFatal.end();
}

double GpuFacts::f32_flops_per_s() const {
  const double lanes = major == 8 && minor == 0 ? kLanesOfA100 : kLanes;
  return 2 * lanes * multiprocessors * clock_khz * 1e3;
}

double GpuFacts::memory_bytes_per_s() const { return 2.0 * memory_clock_khz * 1e3 * memory_bus_bits / 8; }

Gpu::Gpu(const Libraries& libraries, const GpuOptions& options) : libraries_(libraries), options_(options) {}

std::shared_ptr<Gpu> Gpu::open(const Libraries& libraries, int index, const GpuOptions& options) {
  std::shared_ptr<Gpu> gpu(new Gpu(libraries, options));  // the constructor is private
  gpu->facts_.name = fmt::format("gpu:{}", index);
  with_context([&] { return gpu->facts_.name; },
               [&] {
                 initialize(libraries);
                 gpu->discover(index);
               });
  gpu->check(libraries.driver.context_retain(&gpu->context_, gpu->device_), "opening it");
  gpu->enter();
  gpu->load_kernels();
  gpu->check(libraries.driver.stream_create(&gpu->uploads_, kStreamNonBlocking), "creating a stream");
  std::size_t free = 0;
  std::size_t total = 0;
  gpu->check(libraries.driver.memory_info(&free, &total), "asking for its free memory");
  const std::size_t capacity = options.memory_bytes > 0 ? options.memory_bytes : free;
  gpu->pool_ = std::make_unique<Pool>(*gpu, gpu->device_, capacity);
  return gpu;
}

GpuFacts Gpu::describe(const Libraries& libraries, int index) {
  Gpu gpu(libraries, {});
  gpu.facts_.name = fmt::format("gpu:{}", index);
  with_context([&] { return gpu.facts_.name; },
               [&] {
                 initialize(libraries);
                 gpu.discover(index);
               });
  return gpu.facts_;
}

int Gpu::count(const Libraries& libraries) {
  initialize(libraries);
  int count = 0;
  if (const int code = libraries.driver.device_count(&count); code != status::kSuccess) {
    throw_error(ErrorKind::device, "GPUs cannot be counted: {}", status_text(libraries.driver, code));
  }
  return count;
}

void Gpu::discover(int index) {
  const Driver& driver = libraries_.driver;
  int count = 0;
  if (const int code = driver.device_count(&count); code != status::kSuccess) {
    throw_error(ErrorKind::device, "GPUs cannot be counted: {}", status_text(driver, code));
  }
  if (count == 0) {
    throw Error(ErrorKind::device,
                "the NVIDIA driver finds no GPU; is one built in, and does CUDA_VISIBLE_DEVICES hide it?");
  }
  if (index < 0 || index >= count) {
    throw_error(ErrorKind::device, "there is no such GPU: this machine has {}, gpu:0{}", count,
                count == 1 ? "" : fmt::format(" to gpu:{}", count - 1));
  }
  const auto ask = [&](int code, const char* what) {
    if (code != status::kSuccess) throw_error(ErrorKind::device, "{}: {}", what, status_text(driver, code));
  };
  ask(driver.device_get(&device_, index), "it cannot be addressed");
  std::array<char, 256> text{};
  ask(driver.device_name(text.data(), static_cast<int>(text.size()) - 1, device_), "it does not tell its name");
  facts_.model = text.data();
  ask(driver.device_memory(&facts_.memory_bytes, device_), "it does not tell its memory");
  const auto attribute_of = [&](int which) {
    int value = 0;
    ask(driver.device_attribute(&value, which, device_), "it does not tell its attributes");
    return value;
  };
  facts_.major = attribute_of(attribute::kCapabilityMajor);
  facts_.minor = attribute_of(attribute::kCapabilityMinor);
  facts_.multiprocessors = attribute_of(attribute::kMultiprocessors);
  facts_.clock_khz = attribute_of(attribute::kClockKhz);
  facts_.memory_clock_khz = attribute_of(attribute::kMemoryClockKhz);
  facts_.memory_bus_bits = attribute_of(attribute::kMemoryBusBits);
  facts_.shared_bytes = static_cast<std::size_t>(std::max(0, attribute_of(attribute::kSharedBytesOptIn)));
  facts_.memory_pools = attribute_of(attribute::kMemoryPools) != 0;
  if (facts_.major < kLeastMajor) {
    throw_error(ErrorKind::device, "{} has compute capability {}.{}, which is not supported; the least is {}.0",
                facts_.model, facts_.major, facts_.minor, kLeastMajor);
  }
}

void Gpu::load_kernels() {
  const int code = driver().module_load(&kernels_, libraries_.kernels);
  if (code == status::kNoBinary || code == status::kUnsupportedPtx) {
    throw_error(ErrorKind::device,
                "{}: the kernels of this program do not run on {} (compute capability {}.{}): {}; build the program "
                "with a newer CUDA Toolkit or install a newer driver",
                facts_.name, facts_.model, facts_.major, facts_.minor, status_text(driver(), code));
  }
  check(code, "loading its kernels");
}

Gpu::~Gpu() {
  if (context_ == nullptr) return;
  // What fails here has no one left to tell.
  libraries_.driver.context_set(context_);
  plans_.clear();
  if (blas_ != nullptr) libraries_.blas.table->destroy(blas_);
  if (dnn_ != nullptr) libraries_.dnn.table->destroy(dnn_);
  if (sparse_ != nullptr) libraries_.sparse.table->destroy(sparse_);
  pool_.reset();
  if (uploads_ != nullptr) libraries_.driver.stream_destroy(uploads_);
  for (ModuleHandle module : modules_) libraries_.driver.module_unload(module);
  if (kernels_ != nullptr) libraries_.driver.module_unload(kernels_);
  libraries_.driver.context_release(device_);
}

void Gpu::enter() const { check(driver().context_set(context_), "entering its context"); }

void Gpu::check(int code, std::string_view what) const {
  if (code == status::kSuccess) return;
  throw_error(ErrorKind::device, "{}: {} failed: {}{}", facts_.name, what, status_text(driver(), code),
              loses_device(code) ? "; the device is lost: start the program again" : "");
}

std::string Gpu::text(int code) const { return status_text(driver(), code); }

void Gpu::fail(std::string_view library, std::string_view code, std::string_view what) const {
  throw_error(ErrorKind::device, "{}: {} failed: {}: {}", facts_.name, what, library, code);
}

void Gpu::upload(DevicePtr to, const void* from, std::size_t bytes) {
  enter();
  const std::string what = fmt::format("copying a constant of {} bytes to it", bytes);
  check(driver().copy_in(to, from, bytes, uploads_), what);
  check(driver().stream_synchronize(uploads_), what);
}

void Gpu::download(void* to, DevicePtr from, std::size_t bytes) {
  enter();
  const std::string what = fmt::format("copying {} bytes from it", bytes);
  check(driver().copy_out(to, from, bytes, uploads_), what);
  check(driver().stream_synchronize(uploads_), what);
}

std::size_t Gpu::allowance() const noexcept {
  const std::size_t capacity = pool_->capacity();
  return options_.memory_bytes > 0 ? capacity : static_cast<std::size_t>(kAllowedShare * static_cast<double>(capacity));
}

std::shared_ptr<const HostWeights> Gpu::host_weights(const std::shared_ptr<Gpu>& self, const Tensor& tensor) {
  const std::lock_guard lock(mutex_);
  auto& known = host_weights_[tensor.raw()];
  auto weights = known.lock();
  if (!weights || weights->bytes() != tensor.bytes()) {
    weights = std::make_shared<const HostWeights>(self, tensor);
    known = weights;
  }
  return weights;
}

std::shared_ptr<const void> Gpu::shared_plan(const std::string& key,
                                             const std::function<std::shared_ptr<const void>()>& make) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = plans_.find(key); known != plans_.end()) return known->second;
  }
  std::shared_ptr<const void> plan = make();  // two threads may make the same: the first one stays
  const std::lock_guard lock(mutex_);
  return plans_.emplace(key, std::move(plan)).first->second;
}

FunctionHandle Gpu::kernel(const char* name) {
  const std::lock_guard lock(mutex_);
  if (const auto known = functions_.find(name); known != functions_.end()) return known->second;
  FunctionHandle function = nullptr;
  const std::string symbol = fmt::format("sparse_run_{}", name);
  if (driver().module_function(&function, kernels_, symbol.c_str()) != status::kSuccess) {
    throw_error(ErrorKind::internal, "{}: there is no kernel '{}'", facts_.name, name);
  }
  functions_.emplace(name, function);
  return function;
}

std::string Gpu::compile(const std::string& source, std::string& log) const {
  const Nvrtc& rtc = *libraries_.nvrtc.table;
  const char* header = scalar_math_source();
  const char* header_name = "scalar_math.hpp";
  RtcProgram program = nullptr;
  int code = rtc.create(&program, source.c_str(), "chain.cu", 1, &header, &header_name);
  if (code != 0) fail("NVRTC", rtc.error_text(code), "preparing a generated kernel");
  const std::string architecture = fmt::format("--gpu-architecture=sm_{}{}", facts_.major, facts_.minor);
  const std::array options = {architecture.c_str(), "--std=c++17", "--fmad=true"};
  code = rtc.compile(program, static_cast<int>(options.size()), options.data());
  std::size_t bytes = 0;
  if (rtc.log_bytes(program, &bytes) == 0 && bytes > 1) {
    log.resize(bytes);
    rtc.log(program, log.data());
    log.resize(bytes - 1);
  }
  std::string image;
  if (code == 0) code = rtc.binary_bytes(program, &bytes);
  if (code == 0) {
    image.resize(bytes);
    code = rtc.binary(program, image.data());
  }
  rtc.destroy(&program);
  if (code != 0) fail("NVRTC", fmt::format("{}; {}", rtc.error_text(code), log), "compiling a generated kernel");
  return image;
}

FunctionHandle Gpu::generated(const std::string& source, const char* name) {
  const std::lock_guard lock(mutex_);
  if (const auto known = generated_.find(source); known != generated_.end()) return known->second;
  require(libraries_.nvrtc.table.has_value(), "a kernel was generated without a compiler for it");
  std::string log;
  const std::string image = compile(source, log);
  ModuleHandle module = nullptr;
  check(driver().module_load(&module, image.data()), "loading a generated kernel");
  modules_.push_back(module);
  FunctionHandle function = nullptr;
  check(driver().module_function(&function, module, name), "finding a generated kernel");
  generated_.emplace(source, function);
  return function;
}

void Gpu::launch_raw(FunctionHandle function, const char* name, LaunchShape shape, StreamHandle stream,
                     void* parameters) {
  if (shape.shared_bytes > kSharedByDefault) {
    const std::lock_guard lock(mutex_);
    std::size_t& limit = shared_limit_[function];
    if (shape.shared_bytes > limit) {
      check(driver().function_set(function, kFunctionMaxDynamicShared, static_cast<int>(shape.shared_bytes)),
            fmt::format("giving kernel {} {} bytes of shared memory", name, shape.shared_bytes));
      limit = shape.shared_bytes;
    }
  }
  void* list[] = {parameters};
  check(driver().launch(function, shape.blocks, 1, 1, shape.threads, 1, 1, static_cast<unsigned>(shape.shared_bytes),
                        stream, list, nullptr),
        fmt::format("launching kernel {}", name));
}

BlasHandle Gpu::blas() {
  const std::lock_guard lock(mutex_);
  if (blas_ == nullptr) {
    const BlasLt& table = *libraries_.blas.table;
    if (const int code = table.create(&blas_); code != 0) fail("cuBLASLt", table.status_name(code), "opening cuBLASLt");
  }
  return blas_;
}

DnnHandle Gpu::dnn() {
  const std::lock_guard lock(mutex_);
  if (dnn_ == nullptr) {
    const Dnn& table = *libraries_.dnn.table;
    if (const int code = table.create(&dnn_); code != 0) fail("cuDNN", table.error_text(code), "opening cuDNN");
  }
  return dnn_;
}

SparseHandle Gpu::sparse() {
  const std::lock_guard lock(mutex_);
  if (sparse_ == nullptr) {
    const Sparse& table = *libraries_.sparse.table;
    if (const int code = table.create(&sparse_); code != 0) {
      fail("cuSPARSE", table.status_name(code), "opening cuSPARSE");
    }
  }
  return sparse_;
}

}  // namespace sparse_run::gpu::cuda
