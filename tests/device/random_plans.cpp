// A long trial: many random plans of a model over the CPU and two emulated GPUs, compared with the CPU alone.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>

#include "base/clock.hpp"
#include "graph/onnx/import.hpp"
#include "tests/device/random_network.hpp"
#include "tests/device/random_plan.hpp"
#include "tests/device/trial.hpp"

namespace sparse_run {
namespace {

constexpr int kPlans = 200;
constexpr std::uint64_t kSeed = 1;
constexpr std::int64_t kOpenDimension = 64;
constexpr std::size_t kPartitions = 16;
constexpr int kInFlight = 3;
constexpr int kNetworkLayers = 60;
constexpr double kTolerance = 1e-5;

std::shared_ptr<const Graph> load(const std::string& model, std::mt19937_64& random) {
  return model == "random-network" ? random_network(random, kNetworkLayers) : load_model(model).graph;
}

/// Open dimensions of images are the batch and the size; a size of `kOpenDimension` suits all others.
std::vector<Value> inputs_of(const Session& session, std::mt19937_64& random, std::int64_t open) {
  std::vector<Value> values = random_inputs(session, random, open);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Shape& declared = session.inputs()[i].type.shape.value();
    if (declared.size() != 4 || declared[0] >= 0) continue;
    Shape one = values[i].tensor.shape();
    one[0] = 1;  // the batch: as a view of the first item
    values[i] =
        Tensor::view(values[i].tensor.dtype(), std::move(one), values[i].tensor.raw(), values[i].tensor.owner());
  }
  return values;
}

struct Trial {
  std::string model;
  int plans = kPlans;
  std::int64_t open = kOpenDimension;
};

bool run(const Trial& trial) {
  std::mt19937_64 random(kSeed);
  const auto start = Clock::now();
  const TrialDevices devices(2);
  const auto graph = load(trial.model, random);
  std::vector<std::vector<Value>> inputs;
  std::vector<std::vector<Value>> expected;
  {
    auto alone = trial_session(graph, devices, all_on("cpu"));
    for (int i = 0; i < kInFlight; ++i) {
      inputs.push_back(inputs_of(*alone, random, trial.open));
      expected.push_back(alone->run(inputs.back()));
    }
  }
  double largest = 0;
  int wrong = 0;
  std::size_t partitions = 0;
  std::size_t leaked = 0;
  for (int i = 0; i < trial.plans; ++i) {
    auto session = trial_session(graph, devices, [&](const Graph& resolved) {
      Plan plan = random_plan(resolved, devices.all(), random, kPartitions);
      partitions += plan.partitions.size();
      return plan;
    });
    const double found = run_side_by_side(*session, inputs, expected, kInFlight, 1);
    largest = std::max(largest, found);
    if (!(found <= kTolerance)) ++wrong;
    session.reset();
    leaked += devices.used_bytes();
  }
  fmt::print(
      "{}: {} plans of {:.1f} partitions in the mean, {} requests in flight, seed {}: largest divergence {:.3g}, "
      "{} wrong, {} bytes left on devices, {:.1f} s\n",
      trial.model, trial.plans, static_cast<double>(partitions) / std::max(1, trial.plans), kInFlight, kSeed, largest,
      wrong, leaked, seconds_since(start));
  std::fflush(stdout);
  return wrong == 0 && leaked == 0;
}

}  // namespace
}  // namespace sparse_run

/// random-plans [--plans N] [--dim N] MODEL.onnx|random-network ...
int main(int argc, char** argv) {
  using sparse_run::Trial;
  Trial trial;
  bool good = argc > 1;
  try {
    for (int i = 1; i < argc; ++i) {
      const bool number = std::strcmp(argv[i], "--plans") == 0 || std::strcmp(argv[i], "--dim") == 0;
      if (!number) {
        trial.model = argv[i];
        good = sparse_run::run(trial) && good;
        continue;
      }
      std::int64_t value = 0;
      const char* text = i + 1 < argc ? argv[i + 1] : "";
      const auto parsed = std::from_chars(text, text + std::strlen(text), value);
      if (parsed.ec != std::errc() || *parsed.ptr != '\0' || value < 1 || value > 1'000'000) {
        throw sparse_run::Error(sparse_run::ErrorKind::usage, "--plans and --dim take a number from 1 to 1000000");
      }
      if (std::strcmp(argv[i], "--plans") == 0) {
        trial.plans = static_cast<int>(value);
      } else {
        trial.open = value;
      }
      ++i;
    }
  } catch (const sparse_run::Error& error) {
    fmt::print(stderr, "random-plans: {}: {}\n", trial.model, error.what());
    return sparse_run::exit_code(error.kind());
  }
  return good ? 0 : 1;
}
