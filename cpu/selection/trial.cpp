// Running a step on made-up activations and its real weights.
#include "cpu/selection/trial.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <numeric>

#include "base/clock.hpp"
#include "cpu/parallel.hpp"

namespace sparse_run::cpu {

namespace {

constexpr int kMostRuns = 7;
constexpr int kFewestRuns = 3;
constexpr double kEnough = 3e-3;  // seconds spent on one candidate once it has had its fewest runs

std::mutex& one_at_a_time() {
  static std::mutex mutex;
  return mutex;
}

/// The same numbers everywhere, so that a trial can be repeated.
void fill(AlignedVector<float>& values, std::size_t count, bool rectified) {
  std::size_t at = values.size();
  if (at >= count) return;
  values.resize(count);
  std::uint32_t state = 12345;
  for (; at < std::min<std::size_t>(count, 65536); ++at) {
    state = state * 1664525u + 1013904223u;
    const float value = static_cast<float>(static_cast<std::int32_t>(state)) * 0x1p-31f;
    values[at] = rectified ? std::max(0.0f, value) : value;
  }
  while (at < count) {  // repeated with a period that no layer's pitch divides
    const std::size_t run = std::min<std::size_t>(count - at, 65521);
    std::copy_n(values.begin(), run, values.begin() + static_cast<std::ptrdiff_t>(at));
    at += run;
  }
}

float sum_of(const float* values, std::size_t count) {
  float sum[16] = {};
  for (std::size_t i = 0; i + 16 <= count; i += 16) {
    for (std::size_t j = 0; j < 16; ++j) sum[j] += values[i + j];
  }
  return std::accumulate(std::begin(sum), std::end(sum), 0.0f);
}

/// Reads all values, each thread a share.
void read_all(const float* values, std::size_t count) {
  std::atomic<float> kept{0};
  constexpr std::int64_t kShare = 1 << 16;
  parallel_ranges(static_cast<std::int64_t>(count), kShare, [&](std::int64_t begin, std::int64_t end) {
    kept.store(sum_of(values + begin, static_cast<std::size_t>(end - begin)), std::memory_order_relaxed);
  });
}

}  // namespace

bool is_rectified(const NodeView& view, std::size_t operand) {
  const auto producer = view.graph().producer(view.node().inputs[operand]);
  if (!producer) return false;
  const Node& node = view.graph().node(*producer);
  return node.is("Relu") || (node.domain == kInternalDomain && node.string_or("activation", "") == "Relu");
}

void Trial::sweep_caches() {
  const std::size_t inner = std::min<std::size_t>(environment_.machine.cache_bytes(2, std::size_t{1} << 20), 8 << 20);
  const std::size_t each = 2 * inner / sizeof(float);
  fill(sweep_, each * static_cast<std::size_t>(environment_.threads), false);
  std::atomic<float> kept{0};
  parallel_tasks(environment_.threads, [&](std::int64_t thread) {
    kept.store(sum_of(sweep_.data() + static_cast<std::size_t>(thread) * each, each), std::memory_order_relaxed);
  });
}

double Trial::seconds(const Step& step, const NodeView& view, double hopeless) {
  const Node& node = view.node();
  if (!view.all_f32()) return -1;
  std::size_t total = step.scratch_bytes();
  std::vector<std::size_t> elements;
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    elements.push_back(view.has_output(i) ? static_cast<std::size_t>(element_count(view.output_shape(i))) : 0);
    total += elements.back() * sizeof(float);
  }
  for (std::size_t i = 0; i < view.input_count(); ++i) {
    const bool made_up = view.has_input(i) && view.constant(i) == nullptr && view.sparse_constant(i) == nullptr;
    if (made_up) total += static_cast<std::size_t>(element_count(view.input_shape(i))) * sizeof(float);
  }
  constexpr std::size_t kUnknown = std::size_t{4} << 30;
  const std::size_t memory = environment_.machine.memory_bytes == 0 ? kUnknown : environment_.machine.memory_bytes;
  if (total > memory / 8) return -1;

  for (std::size_t i = 0; i < view.input_count(); ++i) {  // before any is viewed: growing moves the memory
    if (!view.has_input(i) || view.constant(i) != nullptr || view.sparse_constant(i) != nullptr) continue;
    const bool rectified = is_rectified(view, i);
    fill(rectified ? rectified_values_ : signed_values_, static_cast<std::size_t>(element_count(view.input_shape(i))),
         rectified);
  }
  std::vector<Value> values;
  std::vector<int> inputs, outputs;
  for (std::size_t i = 0; i < view.input_count(); ++i) {
    inputs.push_back(view.has_input(i) ? static_cast<int>(values.size()) : -1);
    if (!view.has_input(i)) continue;
    if (const Tensor* constant = view.constant(i)) {
      values.emplace_back(*constant);
    } else if (const SparseTensor* sparse = view.sparse_constant(i)) {
      values.emplace_back(step.skips_zeros() ? Tensor() : sparse->to_dense(memory / 8));
    } else {
      AlignedVector<float>& source = is_rectified(view, i) ? rectified_values_ : signed_values_;
      values.emplace_back(Tensor::view(DType::f32, view.input_shape(i), source.data()));
    }
  }
  results_.resize(std::max(results_.size(), elements.size()));
  for (std::size_t i = 0; i < elements.size(); ++i) {
    outputs.push_back(view.has_output(i) ? static_cast<int>(values.size()) : -1);
    if (!view.has_output(i)) continue;
    if (results_[i].size() < elements[i]) results_[i] = AlignedVector<float>(elements[i]);
    values.emplace_back(Tensor::view(DType::f32, view.output_shape(i), results_[i].data()));
  }
  if (scratch_.size() < step.scratch_bytes()) scratch_ = AlignedVector<std::byte>(step.scratch_bytes());
  RunState state;
  const StepArguments arguments{values, inputs, outputs, scratch_.data(), &state};

  double best = std::numeric_limits<double>::infinity();
  const std::lock_guard lock(one_at_a_time());
  // Isolated: waiting for its own tasks, this thread must not pick up another compilation, which would lock again.
  tbb::this_task_arena::isolate([&] {
    double spent = 0;
    for (int run = 0; run < kMostRuns && (run < kFewestRuns || spent < kEnough); ++run) {
      sweep_caches();
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (inputs[i] < 0 || view.constant(i) != nullptr || view.sparse_constant(i) != nullptr) continue;
        const Tensor& operand = values[static_cast<std::size_t>(inputs[i])].tensor;
        read_all(static_cast<const float*>(operand.raw()), static_cast<std::size_t>(operand.size()));
      }
      const auto start = Clock::now();
      step.run(arguments);
      const double taken = seconds_since(start);
      spent += taken;
      best = std::min(best, taken);
      if (taken > hopeless || spent > 20 * kEnough) break;
    }
  });
  return best;
}

}  // namespace sparse_run::cpu
