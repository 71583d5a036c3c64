// Reference kernels: optimisers of training graphs (domain ai.onnx.preview.training).
#include <cmath>

#include "cpu/reference/subfamilies.hpp"
#include "cpu/reference/wide.hpp"

namespace sparse_run::reference {

namespace {

double attribute(const Context& context, std::string_view name, float fallback) {
  return static_cast<double>(context.node().float_or(name, fallback));
}

/// Calls update(element, gradient, accumulators) for every element of every tensor; it changes the first and the last.
template <std::size_t State, class Update>
void for_each_parameter(Context& context, Update&& update) {
  const std::size_t tensors = (context.input_count() - 2) / (2 + State);
  for (std::size_t t = 0; t < tensors; ++t) {
    const auto operand = [&](std::size_t group) { return load_doubles(context.input(2 + group * tensors + t)); };
    std::vector<double> values = operand(0);
    const std::vector<double> gradients = operand(1);
    std::vector<double> state[State];
    for (std::size_t s = 0; s < State; ++s) state[s] = operand(2 + s);
    for (std::size_t i = 0; i < values.size(); ++i) {
      double current[State];
      for (std::size_t s = 0; s < State; ++s) current[s] = state[s][i];
      update(values[i], gradients[i], current);
      for (std::size_t s = 0; s < State; ++s) state[s][i] = current[s];
    }
    store_doubles(values, context.output(t));
    for (std::size_t s = 0; s < State; ++s) store_doubles(state[s], context.output((1 + s) * tensors + t));
  }
}

double scalar(const Context& context, std::size_t i) {
  const std::vector<double> values = load_doubles(context.input(i));
  if (values.size() != 1) throw_error(ErrorKind::model, "input {} must be a scalar", i);
  return values[0];
}

void adagrad(Context& context) {
  const double norm = attribute(context, "norm_coefficient", 0.0f);
  const double epsilon = attribute(context, "epsilon", 1e-6f);
  const double rate = scalar(context, 0) / (1 + scalar(context, 1) * attribute(context, "decay_factor", 0.0f));
  for_each_parameter<1>(context, [&](double& value, double gradient, double(&squares)[1]) {
    const double regularized = norm * value + gradient;
    squares[0] += regularized * regularized;
    value -= rate * regularized / (std::sqrt(squares[0]) + epsilon);
  });
}

void adam(Context& context) {
  const double norm = attribute(context, "norm_coefficient", 0.0f);
  const double norm_after = attribute(context, "norm_coefficient_post", 0.0f);
  const double epsilon = attribute(context, "epsilon", 1e-6f);
  const double alpha = attribute(context, "alpha", 0.9f);
  const double beta = attribute(context, "beta", 0.999f);
  const double count = scalar(context, 1);
  double rate = scalar(context, 0);
  if (count > 0) rate *= std::sqrt(1 - std::pow(beta, count)) / (1 - std::pow(alpha, count));
  for_each_parameter<2>(context, [&](double& value, double gradient, double(&moments)[2]) {
    const double regularized = norm * value + gradient;
    moments[0] = alpha * moments[0] + (1 - alpha) * regularized;
    moments[1] = beta * moments[1] + (1 - beta) * regularized * regularized;
    value -= rate * moments[0] / (std::sqrt(moments[1]) + epsilon);
    value *= 1 - norm_after;
  });
}

void momentum(Context& context) {
  const auto required = [&](std::string_view name) { return static_cast<double>(context.node().get<float>(name)); };
  const double norm = required("norm_coefficient");
  const double alpha = required("alpha");
  const double rate = scalar(context, 0);
  const double beta = scalar(context, 1) > 0 ? required("beta") : 1;
  const bool nesterov = context.node().get<std::string>("mode") == "nesterov";
  for_each_parameter<1>(context, [&](double& value, double gradient, double(&velocity)[1]) {
    const double regularized = norm * value + gradient;
    velocity[0] = alpha * velocity[0] + beta * regularized;
    value -= rate * (nesterov ? regularized + alpha * velocity[0] : velocity[0]);
  });
}

}  // namespace

void register_optimizer(Table& table) {
  constexpr std::string_view kDomain = "ai.onnx.preview.training";
  table.add("Adagrad", adagrad, kDomain);
  table.add("Adam", adam, kDomain);
  table.add("Momentum", momentum, kDomain);
}

}  // namespace sparse_run::reference
