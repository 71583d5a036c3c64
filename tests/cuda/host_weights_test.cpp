// Tables with a cache of rows, and weights that are streamed: results are those of the oracle, memory is kept to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "graph/passes/sketch.hpp"
#include "tests/cuda/node_trial.hpp"

namespace sparse_run::gpu::cuda {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

constexpr std::size_t kKiB = 1 << 10;

/// A GPU on the host with a limit on its memory, and whatever it has noticed.
class HostWeightsTest : public testing::Test {
 protected:
  std::shared_ptr<Device> device_with(std::size_t bytes) {
    return open_cuda_device(
        host_cuda::host_libraries(), index_,
        {.memory_bytes = bytes,
         .generated = false,
         .remark = [this](const std::string&, const std::vector<std::string>& told) { remarks_ = told; }});
  }
  ~HostWeightsTest() override { host_cuda::allow_locking(true); }

  int index_ = host_cuda::add_host_gpu();
  std::mt19937_64 random_{7};
  std::vector<std::string> remarks_;  ///< of the last execution whose times were taken
};

/// A compiled graph and what surrounds an execution of it.
class Runner {
 public:
  Runner(std::shared_ptr<Device> device, std::shared_ptr<const Graph> graph)
      : device_(std::move(device)), graph_(std::move(graph)) {
    Partition partition{graph_, {}, {}, {}};
    for (NodeId id = 0; id < graph_->nodes().size(); ++id) partition.nodes.push_back(id);
    partition.inputs.assign(graph_->inputs().begin(), graph_->inputs().end());
    partition.outputs.assign(graph_->outputs().begin(), graph_->outputs().end());
    executable_ = device_->compile(partition, {});
  }
  const Executable& executable() const { return *executable_; }

  Tensor run(const Tensor& input, LayerTimes* times = nullptr) {
    DeviceMemory& memory = *device_->memory();
    const Type& type = graph_->value(graph_->outputs()[0]).type;
    const Tensor in = memory.allocate(input.dtype(), input.shape());
    const Tensor out = memory.allocate(type.dtype, *type.shape);
    Tensor result = Tensor::allocate(type.dtype, *type.shape);
    RunState state;
    state.times = times;
    const EventPtr arrived = memory.copy_in({{input, in}}, {});
    const EventPtr computed = executable_->submit({in}, {out}, state, {arrived});
    memory.copy_out({{out, result}}, {computed})->wait();
    return result;
  }

 private:
  std::shared_ptr<Device> device_;
  std::shared_ptr<const Graph> graph_;
  std::unique_ptr<Executable> executable_;
};

class EmbeddingTable : public HostWeightsTest {
 protected:
  static constexpr std::int64_t kRows = 1000;
  static constexpr std::int64_t kWidth = 24;
  static constexpr std::int64_t kAsked = 40;

  std::shared_ptr<const Graph> graph() const {
    const std::vector<std::int64_t> zeros(kAsked, 0);
    return NodeTrial("Gather").constant(table_).operand(Tensor::of<std::int64_t>({kAsked}, zeros)).graph();
  }
  Tensor asked(std::int64_t most) {
    Tensor indices = Tensor::allocate(DType::i64, {kAsked});
    for (std::int64_t& index : indices.data<std::int64_t>()) {
      index = static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(most));
      if (random_() % 4 == 0) index -= kRows;
    }
    return indices;
  }
  void expect_rows(const Tensor& result, const Tensor& indices) const {
    const auto y = result.data<float>();
    const auto x = table_.data<float>();
    for (std::int64_t i = 0; i < kAsked; ++i) {
      std::int64_t row = indices.data<std::int64_t>()[static_cast<std::size_t>(i)];
      if (row < 0) row += kRows;
      for (std::int64_t c = 0; c < kWidth; ++c) {
        ASSERT_EQ(y[static_cast<std::size_t>(i * kWidth + c)], x[static_cast<std::size_t>(row * kWidth + c)]);
      }
    }
  }

  Tensor table_ = random_tensor(random_, {kRows, kWidth});  // 96000 bytes
};

TEST_F(EmbeddingTable, that_fits_is_gathered_on_the_gpu) {
  Runner runner(device_with(8192 * kKiB), graph());
  EXPECT_EQ(runner.executable().layers()[0].kernel, "gpu.gather");
  EXPECT_EQ(host_cuda::locked_ranges(), 0u);
}

TEST_F(EmbeddingTable, that_does_not_fit_is_read_through_a_cache) {
  const std::size_t memory = 64 * kKiB;
  const auto device = device_with(memory);
  Runner runner(device, graph());
  const LayerReport layer = runner.executable().layers()[0];
  EXPECT_EQ(layer.kernel, "gpu.gather.cached");
  EXPECT_THAT(layer.choice, HasSubstr("CPU memory"));
  for (int round = 0; round < 40; ++round) {  // few rows that stay, then many that push each other out
    const Tensor indices = asked(round < 20 ? 30 : kRows);
    expect_rows(runner.run(indices), indices);
  }
  EXPECT_LE(host_cuda::allocated_bytes(index_), memory);
}

TEST_F(EmbeddingTable, profiles_tell_how_often_rows_were_cached) {
  Runner runner(device_with(64 * kKiB), graph());
  Tensor indices = Tensor::allocate(DType::i64, {kAsked});
  for (std::int64_t i = 0; i < kAsked; ++i) indices.data<std::int64_t>()[static_cast<std::size_t>(i)] = i / 2;
  LayerTimes times;
  runner.run(indices, &times);  // 20 rows, each asked for twice: half of them hits
  EXPECT_THAT(remarks_, Contains(AllOf(HasSubstr("50.0% of 40 rows"), HasSubstr("operand0"))));
  runner.run(indices, &times);
  EXPECT_THAT(remarks_, Contains(HasSubstr("75.0% of 80 rows")));
}

TEST_F(EmbeddingTable, rows_used_least_recently_make_room) {
  Runner runner(device_with(64 * kKiB), graph());
  LayerTimes times;
  Tensor once = Tensor::allocate(DType::i64, {kAsked});
  const auto fill = [&](std::int64_t begin) {
    for (std::int64_t i = 0; i < kAsked; ++i) once.data<std::int64_t>()[static_cast<std::size_t>(i)] = begin + i;
    return once;
  };
  // The cache holds a few hundred bytes per row of some 16 KiB: 40 rows that come again between others stay.
  for (int round = 0; round < 8; ++round) {
    expect_rows(runner.run(fill(0)), once);
    expect_rows(runner.run(fill(40 + 40 * round)), once);
  }
  runner.run(fill(0), &times);
  // 9 of 17 calls asked for the same rows; all but the first found them.
  EXPECT_THAT(remarks_, Contains(HasSubstr(fmt::format("{:.1f}% of 680 rows", 100.0 * 8 / 17))));
}

TEST_F(EmbeddingTable, more_rows_at_once_than_the_cache_has_places_are_right) {
  const Tensor table = random_tensor(random_, {300, 512});
  Tensor indices = Tensor::allocate(DType::i32, {600});
  for (std::int32_t& index : indices.data<std::int32_t>()) index = static_cast<std::int32_t>(random_() % 300);
  const NodeTrial trial = NodeTrial("Gather").constant(table).operand(indices);
  const auto outcome = trial.run(*device_with(16384 * kKiB));
  EXPECT_EQ(divergence(outcome.results[0], trial.expected()[0].tensor), 0);
  EXPECT_EQ(outcome.kernel, "gpu.gather");
  const auto squeezed = trial.run(*device_with(2560 * kKiB));  // values of two requests, and 150 KiB
  EXPECT_EQ(divergence(squeezed.results[0], trial.expected()[0].tensor), 0);
  EXPECT_EQ(squeezed.kernel, "gpu.gather.cached");
}

TEST_F(EmbeddingTable, an_index_out_of_range_is_named) {
  Runner runner(device_with(64 * kKiB), graph());
  Tensor indices = asked(kRows);
  indices.data<std::int64_t>()[13] = kRows;
  try {
    runner.run(indices);
    FAIL() << "a row beyond the table was found";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::model);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("index 13"), HasSubstr("1000 elements")));
  }
  indices = asked(kRows);
  expect_rows(runner.run(indices), indices);  // usable afterwards
}

TEST_F(EmbeddingTable, memory_is_locked_once_for_all_signatures_and_let_go) {
  {
    const auto device = device_with(256 * kKiB);
    Runner one(device, graph());
    Runner two(device, graph());
    EXPECT_EQ(one.executable().layers()[0].kernel, "gpu.gather.cached");
    EXPECT_EQ(host_cuda::locked_ranges(), 1u);
  }
  EXPECT_EQ(host_cuda::locked_ranges(), 0u);
  EXPECT_EQ(host_cuda::allocated_bytes(index_), 0u);
}

TEST_F(EmbeddingTable, memory_that_cannot_be_locked_is_copied) {
  host_cuda::allow_locking(false);
  Runner runner(device_with(64 * kKiB), graph());
  const Tensor indices = asked(kRows);
  expect_rows(runner.run(indices), indices);
  EXPECT_EQ(runner.executable().layers()[0].kernel, "gpu.gather.cached");
}

class StreamedWeights : public HostWeightsTest {
 protected:
  static constexpr std::int64_t kSize = 160;  // 102400 bytes per matrix
  static constexpr int kLayers = 9;

  std::shared_ptr<const Graph> graph() {
    GraphSketch sketch;
    ValueId x = sketch.input("x", {3, kSize});
    std::vector<ValueId> made;
    for (int layer = 0; layer < kLayers; ++layer) {
      const ValueId w =
          sketch.builder().add_constant(fmt::format("w{}", layer), random_tensor(random_, {kSize, kSize}));
      x = sketch.op("MatMul", {x, w});
      made.push_back(x);
      x = sketch.op("Tanh", {x});
      made.push_back(x);
    }
    for (const ValueId id : made) sketch.builder().value(id).type = Type::tensor(DType::f32, Shape{3, kSize});
    return std::make_shared<const Graph>(sketch.build(x));
  }
};

TEST_F(StreamedWeights, give_the_same_results_in_less_memory) {
  const auto whole = graph();
  Runner roomy(open_cuda_device(host_cuda::host_libraries(), host_cuda::add_host_gpu(), {.generated = false}), whole);
  EXPECT_EQ(roomy.executable().layers()[0].choice, "");
  const std::size_t memory = 640 * kKiB;  // of 900 KiB of weights
  const auto device = device_with(memory);
  Runner tight(device, whole);
  EXPECT_LE(tight.executable().weight_bytes(), memory);
  const auto layers = tight.executable().layers();
  EXPECT_EQ(std::count_if(
                layers.begin(), layers.end(),
                [](const LayerReport& one) { return one.choice.find("come for every request") != std::string::npos; }),
            7);
  LayerTimes times;
  for (int round = 0; round < 6; ++round) {
    const Tensor input = random_tensor(random_, {3, kSize});
    EXPECT_EQ(divergence(tight.run(input, round == 5 ? &times : nullptr), roomy.run(input)), 0);
  }
  EXPECT_THAT(remarks_, Contains(HasSubstr("716800 bytes of weights are copied")));
  EXPECT_LE(host_cuda::allocated_bytes(index_), memory);
  EXPECT_EQ(host_cuda::launched_graphs(index_), 0u);
}

TEST_F(StreamedWeights, a_copy_that_fails_fails_the_request_alone) {
  Runner runner(device_with(640 * kKiB), graph());
  const Tensor input = random_tensor(random_, {3, kSize});
  const Tensor expected = runner.run(input);
  host_cuda::faults_of(index_).fail_copy(3);
  try {
    runner.run(input);
    FAIL() << "a copy did not fail";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::device);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("streaming 102400 bytes of weights"), HasSubstr("MatMul")));
  }
  EXPECT_EQ(divergence(runner.run(input), expected), 0);
}

TEST_F(StreamedWeights, memory_for_not_even_two_layers_is_refused) {
  try {
    Runner runner(device_with(160 * kKiB), graph());
    FAIL() << "900 KiB of weights went into 160";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::device);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("out of memory"), HasSubstr("921600 bytes")));
  }
  EXPECT_EQ(host_cuda::allocated_bytes(index_), 0u);
}

}  // namespace
}  // namespace sparse_run::gpu::cuda
