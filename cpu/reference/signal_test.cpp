// Fourier transforms, windows and mel filters against hand-computed values.
#include <cmath>

#include "cpu/reference/one_node_test.hpp"

namespace sparse_run::reference {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

Tensor ramp(std::int64_t n) {
  Tensor tensor = Tensor::allocate(DType::f64, {1, n, 1});
  for (std::int64_t i = 0; i < n; ++i)
    tensor.data<double>()[static_cast<std::size_t>(i)] = static_cast<double>(i * i % 7);
  return tensor;
}

TEST(Dft, of_four_samples) {
  const auto y = run_one("DFT", 17, {}, {Tensor::of<double>({1, 4, 1}, {1, 2, 3, 4})});
  const auto near = [](double value) { return DoubleNear(value, 1e-12); };
  EXPECT_THAT(elements<double>(y[0]),
              ElementsAre(near(10), near(0), near(-2), near(2), near(-2), near(0), near(-2), near(-2)));
}

TEST(Dft, inverse_undoes_any_length) {
  for (const std::int64_t n : {1, 2, 3, 5, 6, 12, 30, 37, 64, 100}) {
    const Tensor x = ramp(n);
    const auto there = run_one("DFT", 20, {}, {x});
    const auto back = run_one("DFT", 20, {{"inverse", std::int64_t{1}}}, {there[0]});
    const auto values = elements<double>(back[0]);
    for (std::int64_t i = 0; i < n; ++i) {
      EXPECT_NEAR(values[static_cast<std::size_t>(2 * i)], x.data<double>()[static_cast<std::size_t>(i)], 1e-9) << n;
      EXPECT_NEAR(values[static_cast<std::size_t>(2 * i + 1)], 0, 1e-9) << n;
    }
  }
}

TEST(Dft, onesided_inverse_gives_the_real_signal_back) {
  const Tensor x = ramp(10);
  const auto there = run_one("DFT", 20, {{"onesided", std::int64_t{1}}}, {x});
  EXPECT_EQ(there[0].tensor.shape(), Shape({1, 6, 2}));
  const auto back = run_one("DFT", 20, {{"onesided", std::int64_t{1}}, {"inverse", std::int64_t{1}}}, {there[0]});
  EXPECT_THAT(elements<double>(back[0]), Pointwise(DoubleNear(1e-9), elements<double>(Value(x))));
}

TEST(Dft, length_pads_or_cuts) {
  const auto y = run_one("DFT", 20, {}, {Tensor::of<double>({1, 1, 1}, {3}), Tensor::scalar<std::int64_t>(2)});
  EXPECT_THAT(elements<double>(y[0]), ElementsAre(3, 0, 3, 0));
}

TEST(Dft, axis_of_the_complex_parts_is_refused) {
  EXPECT_EQ(kind_thrown([] { run_one("DFT", 17, {{"axis", std::int64_t{2}}}, {ramp(4)}); }), ErrorKind::model);
}

TEST(Stft, frames_step_over_the_signal) {
  const auto y = run_one(
      "STFT", 17, {},
      {Tensor::of<float>({1, 4, 1}, {1, 2, 3, 4}), Tensor::scalar<std::int64_t>(2), Tensor::of<float>({2}, {1, 10})});
  EXPECT_EQ(y[0].tensor.shape(), Shape({1, 2, 2, 2}));
  EXPECT_THAT(elements<float>(y[0]),
              ElementsAre(21, 0, -19, testing::FloatNear(0, 1e-5F), 43, 0, -37, testing::FloatNear(0, 1e-5F)));
}

TEST(Stft, a_real_signal_may_lack_the_last_dimension) {
  const auto y = run_one(
      "STFT", 17, {},
      {Tensor::of<float>({1, 4}, {1, 2, 3, 4}), Tensor::scalar<std::int64_t>(2), Tensor::of<float>({2}, {1, 10})});
  EXPECT_EQ(y[0].tensor.shape(), Shape({1, 2, 2, 2}));
  EXPECT_EQ(elements<float>(y[0])[0], 21);
  EXPECT_EQ(elements<float>(y[0])[4], 43);
  EXPECT_EQ(kind_thrown([] {
              run_one("STFT", 17, {},
                      {Tensor::of<float>({4}, {1, 2, 3, 4}), Tensor::scalar<std::int64_t>(2),
                       Tensor::of<float>({2}, {1, 10})});
            }),
            ErrorKind::model);
}

TEST(Windows, periodic_and_symmetric) {
  const auto near = [](float value) { return testing::FloatNear(value, 1e-6F); };
  const auto window = [](std::string op, std::int64_t periodic) {
    return elements<float>(run_one(std::move(op), 17, {{"periodic", periodic}}, {Tensor::scalar<std::int64_t>(4)})[0]);
  };
  EXPECT_THAT(window("HannWindow", 1), ElementsAre(near(0), near(0.5F), near(1), near(0.5F)));
  EXPECT_THAT(window("HannWindow", 0), ElementsAre(near(0), near(0.75F), near(0.75F), near(0)));
  EXPECT_THAT(window("BlackmanWindow", 1), ElementsAre(near(0), near(0.34F), near(1), near(0.34F)));
  EXPECT_THAT(window("HammingWindow", 1), ElementsAre(near(4.0F / 46), near(25.0F / 46), near(1), near(25.0F / 46)));
}

TEST(MelWeightMatrix, triangles_stay_within_the_spectrum) {
  const auto y = run_one("MelWeightMatrix", 17, {},
                         {Tensor::scalar<std::int64_t>(8), Tensor::scalar<std::int64_t>(16),
                          Tensor::scalar<std::int64_t>(8192), Tensor::scalar(0.0F), Tensor::scalar(8192.0F)});
  EXPECT_EQ(y[0].tensor.shape(), Shape({9, 8}));
  EXPECT_EQ(elements<float>(y[0])[0], 1);
}

}  // namespace
}  // namespace sparse_run::reference
