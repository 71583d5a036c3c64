// Drawing networks.
#include "tests/device/random_network.hpp"

#include "graph/passes/sketch.hpp"

namespace sparse_run {

namespace {

constexpr std::int64_t kChannels = 8;

Tensor random_weights(std::mt19937_64& random, Shape shape, double zeros) {
  std::uniform_real_distribution<float> value(-0.3f, 0.3f);
  std::bernoulli_distribution is_zero(zeros);
  Tensor weights = Tensor::allocate(DType::f32, std::move(shape));
  for (float& weight : weights.data<float>()) weight = is_zero(random) ? 0.0f : value(random);
  return weights;
}

}  // namespace

std::shared_ptr<const Graph> random_network(std::mt19937_64& random, int layers, std::int64_t batch) {
  GraphSketch sketch;
  const Shape image{batch, kChannels, 13, 11};
  std::vector<ValueId> known{sketch.input("left", image), sketch.input("right", image)};
  const auto any = [&] { return known[std::uniform_int_distribution<std::size_t>(0, known.size() - 1)(random)]; };
  const auto convolution = [&](ValueId operand, std::int64_t channels) {
    const double zeros = std::bernoulli_distribution(0.4)(random) ? 0.9 : 0.0;
    const std::int64_t size = std::bernoulli_distribution(0.5)(random) ? 3 : 1;
    const ValueId weights = sketch.constant(random_weights(random, {kChannels, channels, size, size}, zeros));
    return sketch.op("Conv", {operand, weights},
                     {{"pads", std::vector<std::int64_t>(4, size / 2)}, {"kernel_shape", std::vector{size, size}}});
  };
  for (int i = 0; i < layers; ++i) {
    switch (std::uniform_int_distribution<int>(0, 5)(random)) {
      case 0:
        known.push_back(sketch.op("Relu", {any()}));
        break;
      case 1:
        known.push_back(sketch.op("Sigmoid", {any()}));
        break;
      case 2:
        known.push_back(sketch.op("Add", {any(), any()}));
        break;
      case 3:
        known.push_back(sketch.op("Mul", {sketch.op("Tanh", {any()}), any()}));
        break;
      case 4:
        known.push_back(convolution(sketch.op("Concat", {any(), any()}, {{"axis", std::int64_t{1}}}), 2 * kChannels));
        break;
      default:
        known.push_back(convolution(any(), kChannels));
        break;
    }
  }
  ValueId sum = known.back();
  for (std::size_t i = 2; i + 1 < known.size(); i += 3) sum = sketch.op("Add", {sum, known[i]});
  sketch.output(sum);
  sketch.output(known[known.size() / 2]);
  sketch.output(sketch.op("ReduceMean", {sum}, {{"axes", std::vector<std::int64_t>{1}}}));
  return std::make_shared<const Graph>(sketch.build());
}

}  // namespace sparse_run
