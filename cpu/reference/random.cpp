// Reference kernels of random generators.
#include <bit>
#include <cmath>
#include <functional>

#include "cpu/reference/control.hpp"

namespace sparse_run::reference {

namespace {

// The node's own generator when it names a seed, else the session's.
std::mt19937_64 generator(Context& ctx) {
  if (const auto* seed = ctx.node().find<float>("seed")) {
    return std::mt19937_64(std::bit_cast<std::uint32_t>(*seed));
  }
  return std::mt19937_64(ctx.random()());
}

void fill(Tensor& output, const std::function<double()>& draw) {
  const bool known = visit_float(output.dtype(), [&]<class T>() {
    for (T& element : output.data<T>()) element = static_cast<T>(static_cast<Compute<T>>(draw()));
  });
  if (!known) throw_error(ErrorKind::unsupported, "random numbers of type {}", to_string(output.dtype()));
}

void random_normal(Context& ctx) {
  std::mt19937_64 random = generator(ctx);
  const double scale = ctx.node().float_or("scale", 1.0f);
  const double mean = ctx.node().float_or("mean", 0.0f);
  std::normal_distribution<double> distribution;
  fill(ctx.output(0), [&] { return mean + scale * distribution(random); });
}

void random_uniform(Context& ctx) {
  std::mt19937_64 random = generator(ctx);
  const double low = ctx.node().float_or("low", 0.0f);
  const double high = ctx.node().float_or("high", 1.0f);
  std::uniform_real_distribution<double> distribution;
  fill(ctx.output(0), [&] { return low + (high - low) * distribution(random); });
}

std::vector<double> numbers(const Tensor& tensor) {
  std::vector<double> values;
  visit_float(tensor.dtype(), [&]<class T>() {
    for (const T element : tensor.data<T>()) values.push_back(static_cast<double>(static_cast<Compute<T>>(element)));
  });
  return values;
}

void bernoulli(Context& ctx) {
  std::mt19937_64 random = generator(ctx);
  std::uniform_real_distribution<double> distribution;
  const std::vector<double> probability = numbers(ctx.input(0));
  Tensor& output = ctx.output(0);
  const bool known = visit_arithmetic(output.dtype(), [&]<class T>() {
    const auto out = output.data<T>();
    for (std::size_t i = 0; i < out.size(); ++i) {
      const bool hit = distribution(random) < probability[i];
      out[i] = static_cast<T>(static_cast<Compute<T>>(hit));
    }
  });
  require(known, "random numbers of this type passed inference");
}

void multinomial(Context& ctx) {
  std::mt19937_64 random = generator(ctx);
  const std::vector<double> logits = numbers(ctx.input(0));
  const auto batch = static_cast<std::size_t>(ctx.input(0).shape()[0]);
  const auto classes = static_cast<std::size_t>(ctx.input(0).shape()[1]);
  Tensor& output = ctx.output(0);
  const auto samples = static_cast<std::size_t>(output.shape()[1]);
  if (classes == 0 && batch * samples != 0) throw_error(ErrorKind::input, "there are no classes to draw from");
  const auto set = [&](std::size_t at, std::size_t drawn) {
    visit_types<std::int32_t, std::int64_t>(output.dtype(),
                                            [&]<class T>() { output.data<T>()[at] = static_cast<T>(drawn); });
  };
  for (std::size_t b = 0; b < batch; ++b) {
    const auto row = std::span(logits).subspan(b * classes, classes);
    const double most = classes == 0 ? 0 : *std::max_element(row.begin(), row.end());
    std::vector<double> weights;
    for (const double logit : row) weights.push_back(std::exp(logit - most));
    std::discrete_distribution<std::size_t> distribution(weights.begin(), weights.end());
    for (std::size_t s = 0; s < samples; ++s) set(b * samples + s, distribution(random));
  }
}

}  // namespace

void register_random(Table& table) {
  table.add("RandomNormal", random_normal);
  table.add("RandomNormalLike", random_normal);
  table.add("RandomUniform", random_uniform);
  table.add("RandomUniformLike", random_uniform);
  table.add("Bernoulli", bernoulli);
  table.add("Multinomial", multinomial);
}

}  // namespace sparse_run::reference
