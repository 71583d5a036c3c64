// Sessions for trials of devices.
#include "tests/device/trial.hpp"

#include <atomic>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>

#include "cpu/device.hpp"
#include "cpu/reference/evaluator.hpp"
#include "device/machine.hpp"

namespace sparse_run {

TrialDevices::TrialDevices(int count, gpu::EmulatedGpuOptions options) : cpu(cpu::make_cpu_device(discover_machine())) {
  options.scribble_on_release = true;
  for (int i = 0; i < count; ++i) {
    options.name = fmt::format("emulated:{}", i);
    emulated.push_back(std::make_shared<gpu::EmulatedGpu>(options, cpu));
  }
}

std::vector<std::shared_ptr<Device>> TrialDevices::all() const {
  std::vector<std::shared_ptr<Device>> devices{cpu};
  devices.insert(devices.end(), emulated.begin(), emulated.end());
  return devices;
}

std::size_t TrialDevices::used_bytes() const {
  std::size_t bytes = 0;
  for (const auto& device : emulated) bytes += device->memory()->used_bytes();
  return bytes;
}

std::unique_ptr<Session> trial_session(std::shared_ptr<const Graph> graph, const TrialDevices& devices, Planner planner,
                                       int threads) {
  SessionOptions options;
  options.threads = threads;
  return std::make_unique<Session>(std::move(graph), devices.all(), std::make_shared<reference::ReferenceEvaluator>(),
                                   std::move(planner), options);
}

Planner all_on(std::string device) {
  return [device = std::move(device)](const Graph& graph) { return single_device_plan(graph, device, ""); };
}

std::vector<Value> random_inputs(const Session& session, std::mt19937_64& random, std::int64_t open_dimension) {
  std::vector<Value> values;
  for (const Port& port : session.inputs()) {
    Shape shape = port.type.shape.value();
    for (std::int64_t& extent : shape) extent = extent < 0 ? open_dimension : extent;
    Tensor tensor = Tensor::allocate(port.type.dtype, std::move(shape));
    if (tensor.dtype() == DType::f32) {
      std::uniform_real_distribution<float> value(-1, 1);
      for (float& element : tensor.data<float>()) element = value(random);
    } else if (tensor.dtype() == DType::i64) {
      for (std::int64_t& element : tensor.data<std::int64_t>()) element = static_cast<std::int64_t>(random() % 2);
    } else {
      throw_error(ErrorKind::unsupported, "trials have no inputs of type {}", to_string(tensor.dtype()));
    }
    values.emplace_back(std::move(tensor));
  }
  return values;
}

std::vector<Type> types_of(std::span<const Value> values) {
  std::vector<Type> types;
  for (const Value& value : values) types.push_back(Type::of(value));
  return types;
}

double divergence(std::span<const Value> given, std::span<const Value> expected) {
  if (given.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (!given[i].is_tensor() || !expected[i].is_tensor()) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, divergence(given[i].tensor, expected[i].tensor));
  }
  return largest;
}

double run_side_by_side(Session& session, const std::vector<std::vector<Value>>& inputs,
                        const std::vector<std::vector<Value>>& expected, int threads, int repeats) {
  std::mutex mutex;
  double largest = 0;
  std::exception_ptr error;
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    try {
      while (true) {
        const std::size_t turn = next++;
        if (turn >= inputs.size() * static_cast<std::size_t>(repeats)) return;
        const std::size_t i = turn % inputs.size();
        const double found = divergence(session.run(inputs[i]), expected[i]);
        const std::lock_guard lock(mutex);
        largest = std::max(largest, found);
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  if (error) std::rethrow_exception(error);
  return largest;
}

}  // namespace sparse_run
