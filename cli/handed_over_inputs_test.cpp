// Inputs that a caller is done with are let go while a request runs; others stay as they are.
#include <gtest/gtest.h>

#include <atomic>

#include "base/clock.hpp"
#include "cli/thread_ranks_test.hpp"
#include "graph/passes/sketch.hpp"

namespace sparse_run::cli {
namespace {

/// x → sums along rows → softmax → sums along rows, as three layers that join with nothing.
std::shared_ptr<const Graph> three_layers(bool returns_input) {
  GraphSketch sketch;
  const ValueId x = sketch.input("x", {40, 30});
  const ValueId axis = sketch.constant(Tensor::scalar<std::int64_t>(1));
  const ValueId sums = sketch.op("CumSum", {x, axis});
  sketch.output(sketch.op("CumSum", {sketch.op("Softmax", {sums}, {{"axis", std::int64_t{1}}}), axis}));
  if (returns_input) sketch.output(x);
  return std::make_shared<const Graph>(sketch.build());
}

/// Memory that notes when it is let go.
struct Watched {
  std::vector<float> elements = std::vector<float>(40 * 30, 0.5f);
  std::atomic<std::int64_t> released_ns{0};

  Value value() {
    std::shared_ptr<const void> owner(elements.data(), [this](const void*) { released_ns = now_ns(); });
    return Tensor::view(DType::f32, {40, 30}, elements.data(), std::move(owner));
  }
};

TEST(HandedOverInputs, are_let_go_when_the_last_layer_that_reads_them_is_done) {
  const auto session = one_thread_session(three_layers(false));
  Watched watched;
  for (int request = 0; request < 2; ++request) {  // the second one on the working memory of the first
    watched.released_ns = 0;
    std::vector<LayerTimes> times;
    std::vector<Value> inputs{watched.value()};
    RunOptions options;
    options.times = &times;
    const auto outputs = session->run(std::move(inputs), options);
    ASSERT_EQ(times.size(), 1u);
    ASSERT_EQ(times[0].begin_ns.size(), 3u);
    EXPECT_GE(watched.released_ns, times[0].begin_ns[0]);
    EXPECT_LE(watched.released_ns, times[0].begin_ns[1]);
    EXPECT_NE(watched.released_ns, 0);
    EXPECT_NEAR(outputs[0].tensor.data<float>()[29], 1.0f, 1e-5f);
  }
}

TEST(HandedOverInputs, that_are_results_too_stay_with_the_results) {
  const auto session = one_thread_session(three_layers(true));
  Watched watched;
  {
    const auto outputs = session->run(std::vector<Value>{watched.value()});
    ASSERT_EQ(outputs.size(), 2u);
    EXPECT_EQ(watched.released_ns, 0);
    EXPECT_EQ(std::as_const(outputs[1].tensor).data<float>()[7], 0.5f);
  }
  EXPECT_NE(watched.released_ns, 0);
}

TEST(HandedOverInputs, are_not_those_that_the_caller_keeps) {
  const auto session = one_thread_session(three_layers(false));
  Watched watched;
  const std::vector<Value> inputs{watched.value()};
  session->run(inputs);
  session->run(inputs);
  EXPECT_EQ(watched.released_ns, 0);
}

}  // namespace
}  // namespace sparse_run::cli
