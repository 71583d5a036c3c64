// Opening shared objects and calling the policy in them.
#include "partitioner/policies/policy_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>

#include "base/error.hpp"
#include "partitioner/policies/policy_abi.h"

namespace sparse_run {

namespace {

constexpr int kUnset = -0x5eed;  // no device has this number

struct CloseLibrary {
  void operator()(void* handle) const { ::dlclose(handle); }
};

/// The problem in the form of policy_abi.h. Refers to `problem`.
class ProblemView {
 public:
  ProblemView(const PlacementProblem& problem, const PolicyOptions& options) {
    for (const auto& [key, value] : options.parameters) {
      parameters_ += fmt::format("{}{}={}", parameters_.empty() ? "" : ",", key, value);
    }
    for (const CandidateDevice& device : problem.devices) {
      devices_.push_back({device.spec.name.c_str(), device.spec.kind == DeviceKind::gpu, device.rank,
                          device.memory_limit, device.spec.dense_gflops, device.spec.sparse_gflops, device.dispatch_s});
    }
    for (std::size_t n = 0; n < problem.works.size(); ++n) {
      const NodeWork& work = problem.works[n];
      const Node& node = problem.graph->nodes()[n];
      nodes_.push_back({node.name.c_str(), node.op.c_str(), work.dense_flops, work.zeros, work.dense_weight_bytes(),
                        work.activation_bytes, problem.pinned[n], 0});
    }
    for (const FlowingValue& value : problem.values) {
      for (const int reader : value.readers) edges_.push_back({value.producer, reader, value.bytes});
      if (value.is_output) edges_.push_back({value.producer, -1, value.bytes});
    }
    confidence_.assign(problem.confidence.begin(), problem.confidence.end());
    view_ = {SPARSE_RUN_POLICY_ABI_VERSION,
             static_cast<std::int32_t>(options.objective),
             options.seed,
             parameters_.c_str(),
             problem.device_count(),
             problem.node_count(),
             static_cast<std::int32_t>(edges_.size()),
             0,
             devices_.data(),
             nodes_.data(),
             edges_.data(),
             problem.seconds.data(),
             confidence_.data(),
             problem.allowed.data(),
             problem.copy_latency_s.data(),
             problem.copy_s_per_byte.data()};
  }
  const sparse_run_problem* get() const { return &view_; }

 private:
  std::string parameters_;
  std::vector<sparse_run_device> devices_;
  std::vector<sparse_run_node> nodes_;
  std::vector<sparse_run_edge> edges_;
  std::vector<double> confidence_;
  sparse_run_problem view_{};
};

class LibraryPolicy final : public Policy {
 public:
  explicit LibraryPolicy(std::string path) : path_(std::move(path)) {
    handle_.reset(::dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL));
    if (handle_ == nullptr) {
      const char* why = ::dlerror();
      throw_error(ErrorKind::usage, "--policy {}: cannot be opened: {}", path_, why == nullptr ? "unknown" : why);
    }
    const auto version = reinterpret_cast<decltype(&sparse_run_policy_abi)>(find("sparse_run_policy_abi"));
    place_ = reinterpret_cast<decltype(&sparse_run_policy_place)>(find("sparse_run_policy_place"));
    const std::uint32_t found = version();
    if (found != SPARSE_RUN_POLICY_ABI_VERSION) {
      throw_error(ErrorKind::usage, "--policy {}: built for version {} of the interface, this program has version {}",
                  path_, found, SPARSE_RUN_POLICY_ABI_VERSION);
    }
  }

  std::string name() const override { return path_; }
  std::string purpose() const override { return "a policy in a shared object"; }
  std::vector<PolicyParameter> parameters() const override { return {{"*", "whatever the library understands"}}; }

  Assignment assign(const PlacementProblem& problem, const PolicyOptions& options) const override {
    const ProblemView view(problem, options);
    std::vector<std::int32_t> devices(problem.works.size(), kUnset);
    std::array<char, 256> message{};
    std::int32_t result = 0;
    try {
      result = place_(view.get(), devices.data(), message.data(), message.size());
    } catch (const std::exception& error) {
      throw_error(ErrorKind::usage, "--policy {}: threw an exception: {}", path_, error.what());
    } catch (...) {
      throw_error(ErrorKind::usage, "--policy {}: threw an exception", path_);
    }
    if (result != 0) {
      message.back() = '\0';
      throw_error(ErrorKind::usage, "--policy {}: failed with {}: {}", path_, result,
                  message.front() == '\0' ? "it gave no reason" : message.data());
    }
    return {devices.begin(), devices.end()};
  }

 private:
  void* find(const char* symbol) const {
    void* found = ::dlsym(handle_.get(), symbol);
    if (found == nullptr) {
      throw_error(ErrorKind::usage, "--policy {}: has no function {}; see examples/policies", path_, symbol);
    }
    return found;
  }

  std::string path_;
  std::unique_ptr<void, CloseLibrary> handle_;
  decltype(&sparse_run_policy_place) place_ = nullptr;
};

}  // namespace

PolicyPtr load_policy_library(const std::string& path) { return std::make_shared<LibraryPolicy>(path); }

}  // namespace sparse_run
