// Timing layers and copies.
#include "partitioner/layer_timing.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>

#include "base/clock.hpp"
#include "base/error.hpp"

namespace sparse_run {

namespace {

constexpr double kSteady = 0.25;
constexpr int kRounds = 3;
constexpr std::size_t kFewest = 5;
constexpr std::size_t kMost = 200;

/// About what the layers between two runs of one leave in the caches of a core: with four times as much predictions
/// came out a fifth too long, with none a fifth too short.
constexpr std::size_t kOtherWorkBytes = std::size_t{2} << 20;

void touch(const unsigned char* data, std::size_t bytes) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < bytes; i += 64) sum += data[i];
  __asm__ volatile("" : : "r"(sum));  // the reads must not be optimised away
}

Value random_value(const Type& type, std::mt19937_64& random) {
  Tensor tensor = Tensor::allocate(type.dtype, *type.shape);
  std::uniform_real_distribution<float> value(-1, 1);
  for (float& element : tensor.data<float>()) element = value(random);
  return Value(std::move(tensor));
}

}  // namespace

Timing timing_of(std::vector<double> seconds) {
  require(!seconds.empty(), "a timing needs samples");
  std::sort(seconds.begin(), seconds.end());
  Timing timing;
  timing.median_s = seconds[seconds.size() / 2];
  timing.count = static_cast<int>(seconds.size());
  const double quartiles = seconds[seconds.size() * 3 / 4] - seconds[seconds.size() / 4];
  timing.spread = timing.median_s > 0 ? 0.5 * quartiles / timing.median_s : 0;
  return timing;
}

Timing time_steadily(const std::function<double()>& once, double budget_s) {
  Timing best;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<double> samples;
    const auto start = Clock::now();
    while (samples.size() < kFewest || (samples.size() < kMost && seconds_since(start) < budget_s)) {
      samples.push_back(once());
      if (seconds_since(start) > 20 * budget_s) break;  // a slow layer, measured often enough to have a median
    }
    const Timing timing = timing_of(std::move(samples));
    if (round == 0 || timing.spread < best.spread) best = timing;
    if (best.spread <= kSteady) break;
  }
  return best;
}

std::function<double()> layer_run(const std::shared_ptr<const Graph>& layer, Device& device, int threads) {
  struct Prepared {
    std::unique_ptr<Executable> executable;
    std::mt19937_64 random{1};
    std::vector<Value> inputs;
    std::vector<Value> outputs;
    LayerTimes times;
    std::vector<unsigned char> other_work = std::vector<unsigned char>(kOtherWorkBytes, 1);
  };
  const auto prepared = std::make_shared<Prepared>();  // shared: functions are copied
  Partition partition;
  partition.graph = layer;
  for (std::size_t n = 0; n < layer->nodes().size(); ++n) partition.nodes.push_back(static_cast<NodeId>(n));
  partition.inputs.assign(layer->inputs().begin(), layer->inputs().end());
  partition.outputs.assign(layer->outputs().begin(), layer->outputs().end());
  CompileOptions options;
  options.threads = threads;
  prepared->executable = device.compile(partition, options);
  for (const ValueId id : partition.inputs) {
    prepared->inputs.push_back(random_value(layer->value(id).type, prepared->random));
  }
  prepared->outputs.resize(partition.outputs.size());
  return [prepared] {
    // In a model, other layers have passed through the caches since this one last ran, and its inputs are fresh.
    touch(prepared->other_work.data(), prepared->other_work.size());
    for (const Value& input : prepared->inputs) {
      touch(static_cast<const unsigned char*>(input.tensor.raw()), input.tensor.bytes());
    }
    RunState state;
    LayerTimes& times = prepared->times;
    state.times = &times;
    state.random = &prepared->random;
    prepared->executable->run(prepared->inputs, prepared->outputs, state);
    double seconds = 0;
    for (std::size_t i = 0; i < times.begin_ns.size(); ++i) {
      seconds += static_cast<double>(times.end_ns[i] - times.begin_ns[i]) * 1e-9;
    }
    return seconds;
  };
}

Timing time_layer(const std::shared_ptr<const Graph>& layer, Device& device, int threads, double budget_s) {
  const auto once = layer_run(layer, device, threads);
  once();  // fills caches
  return time_steadily(once, budget_s);
}

std::vector<CopySample> time_copies() {
  std::vector<CopySample> samples;
  for (const std::size_t bytes :
       {std::size_t{64} << 10, std::size_t{1} << 20, std::size_t{16} << 20, std::size_t{64} << 20}) {
    std::vector<char> from(bytes, 1);
    std::vector<char> to(bytes, 2);
    const Timing timing = time_steadily(
        [&] {
          const auto start = Clock::now();
          std::memcpy(to.data(), from.data(), bytes);
          __asm__ volatile("" : : "r"(to.data()) : "memory");  // the copy must not be optimised away
          return seconds_since(start);
        },
        0.05);
    samples.push_back({static_cast<double>(bytes), static_cast<double>(bytes) / std::max(timing.median_s, 1e-9) / 1e9,
                       timing.spread, timing.count});
  }
  return samples;
}

}  // namespace sparse_run
