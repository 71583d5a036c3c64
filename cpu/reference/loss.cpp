// Reference kernels: losses of training graphs.
#include <cmath>

#include "cpu/reference/axis_view.hpp"
#include "cpu/reference/subfamilies.hpp"
#include "cpu/reference/wide.hpp"

namespace sparse_run::reference {

namespace {

/// Loss of log-probabilities [N, C, d…] under labels [N, d…]; a label equal to ignore_index counts nothing.
void loss_of(Context& context, std::span<const double> log_probabilities) {
  const AxisView view(context.input(0).shape(), 1);
  const Tensor& label_tensor = context.input(1);
  const std::vector<std::int64_t> labels = label_tensor.to_int64();
  const std::vector<double> weights =
      context.has_input(2) ? load_doubles(context.input(2)) : std::vector<double>(view.extent, 1);
  const auto* ignored = context.node().find<std::int64_t>("ignore_index");
  const std::string reduction = context.node().string_or("reduction", "mean");
  std::vector<double> losses(labels.size(), 0);
  double total = 0;
  double total_weight = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (ignored != nullptr && labels[i] == *ignored) continue;
    if (labels[i] < 0 || labels[i] >= static_cast<std::int64_t>(view.extent)) {
      throw_error(ErrorKind::input, "label {} is outside [0, {})", labels[i], view.extent);
    }
    const auto label = static_cast<std::size_t>(labels[i]);
    losses[i] = -log_probabilities[view.at(i / view.inner, label, i % view.inner)] * weights[label];
    total += losses[i];
    total_weight += weights[label];
  }
  if (reduction == "none") return store_doubles(losses, context.output(0));
  store_doubles(std::vector<double>{reduction == "sum" ? total : total / total_weight}, context.output(0));
}

void negative_log_likelihood(Context& context) { loss_of(context, load_doubles(context.input(0))); }

void softmax_cross_entropy(Context& context) {
  const AxisView view(context.input(0).shape(), 1);
  std::vector<double> values = load_doubles(context.input(0));
  view.for_each_line([&](std::size_t o, std::size_t i) {
    double largest = -std::numeric_limits<double>::infinity();
    for (std::size_t e = 0; e < view.extent; ++e) largest = std::max(largest, values[view.at(o, e, i)]);
    double sum = 0;
    for (std::size_t e = 0; e < view.extent; ++e) sum += std::exp(values[view.at(o, e, i)] - largest);
    for (std::size_t e = 0; e < view.extent; ++e) values[view.at(o, e, i)] -= largest + std::log(sum);
  });
  loss_of(context, values);
  if (context.has_output(1)) store_doubles(values, context.output(1));
}

}  // namespace

void register_loss(Table& table) {
  table.add("NegativeLogLikelihoodLoss", negative_log_likelihood);
  table.add("SoftmaxCrossEntropyLoss", softmax_cross_entropy);
}

}  // namespace sparse_run::reference
