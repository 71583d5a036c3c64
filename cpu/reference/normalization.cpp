// Reference kernels: batch, layer, RMS, group, instance, Lp, mean-variance and local response normalisation.
#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/reference/axis_view.hpp"
#include "cpu/reference/broadcast.hpp"
#include "cpu/reference/subfamilies.hpp"
#include "cpu/reference/wide.hpp"
#include "graph/ops/operand_rules.hpp"

namespace sparse_run::reference {

namespace {

struct Moments {
  double mean = 0;
  double variance = 0;  ///< of the population
};

/// Mean and variance of the values that `belongs` puts into each of `count` groups: belongs[i] is value i's group.
std::vector<Moments> moments_of(std::span<const double> values, std::span<const std::size_t> belongs,
                                std::size_t count) {
  std::vector<Moments> moments(count);
  std::vector<double> sizes(count, 0);
  for (std::size_t i = 0; i < values.size(); ++i) {
    moments[belongs[i]].mean += values[i];
    sizes[belongs[i]] += 1;
  }
  for (std::size_t g = 0; g < count; ++g) moments[g].mean /= sizes[g];
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double distance = values[i] - moments[belongs[i]].mean;
    moments[belongs[i]].variance += distance * distance;
  }
  for (std::size_t g = 0; g < count; ++g) moments[g].variance /= sizes[g];
  return moments;
}

double epsilon_of(const Context& context) { return static_cast<double>(context.node().float_or("epsilon", 1e-5f)); }

/// The channel of every element of a tensor N x C x …; a vector has one channel.
std::vector<std::size_t> channels_of(const Shape& shape) {
  const AxisView view(shape, shape.size() > 1 ? 1 : 0);
  std::vector<std::size_t> channel(static_cast<std::size_t>(element_count(shape)), 0);
  if (shape.size() < 2) return channel;
  for (std::size_t i = 0; i < channel.size(); ++i) channel[i] = i / view.inner % view.extent;
  return channel;
}

void batch_normalization(Context& context) {
  const Tensor& in = context.input(0);
  const bool training = context.opset() >= 14 && context.node().int_or("training_mode", 0) != 0;
  const double epsilon = epsilon_of(context);
  std::vector<double> values = load_doubles(in);
  const std::vector<std::size_t> channel = channels_of(in.shape());
  const std::vector<double> scale = load_doubles(context.input(1));
  const std::vector<double> bias = load_doubles(context.input(2));
  std::vector<double> mean = load_doubles(context.input(3));
  std::vector<double> variance = load_doubles(context.input(4));
  if (training) {
    const auto momentum = static_cast<double>(context.node().float_or("momentum", 0.9f));
    const std::vector<Moments> current = moments_of(values, channel, mean.size());
    std::vector<double> running_mean = mean;
    std::vector<double> running_variance = variance;
    for (std::size_t c = 0; c < current.size(); ++c) {
      running_mean[c] = mean[c] * momentum + current[c].mean * (1 - momentum);
      running_variance[c] = variance[c] * momentum + current[c].variance * (1 - momentum);
      mean[c] = current[c].mean;
      variance[c] = current[c].variance;
    }
    if (context.has_output(1)) store_doubles(running_mean, context.output(1));
    if (context.has_output(2)) store_doubles(running_variance, context.output(2));
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t c = channel[i];
    values[i] = (values[i] - mean[c]) / std::sqrt(variance[c] + epsilon) * scale[c] + bias[c];
  }
  store_doubles(values, context.output(0));
}

/// Statistics per instance and group of channels; scale and bias per channel, or per group (opset 18).
void normalize_groups(Context& context, std::size_t groups, bool affine_per_group) {
  const Tensor& in = context.input(0);
  if (in.size() == 0) return store_doubles({}, context.output(0));
  const double epsilon = epsilon_of(context);
  std::vector<double> values = load_doubles(in);
  const std::vector<std::size_t> channel = channels_of(in.shape());
  const std::size_t per_group = static_cast<std::size_t>(in.dim(1)) / groups;
  const std::size_t per_instance = values.size() / static_cast<std::size_t>(in.dim(0));
  std::vector<std::size_t> belongs(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) belongs[i] = i / per_instance * groups + channel[i] / per_group;
  const std::vector<Moments> moments = moments_of(values, belongs, static_cast<std::size_t>(in.dim(0)) * groups);
  const std::vector<double> scale = load_doubles(context.input(1));
  const std::vector<double> bias = load_doubles(context.input(2));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Moments& group = moments[belongs[i]];
    const double normalized = round_to(in.dtype(), (values[i] - group.mean) / std::sqrt(group.variance + epsilon));
    const std::size_t parameter = affine_per_group ? channel[i] / per_group : channel[i];
    values[i] = normalized * scale[parameter] + bias[parameter];
  }
  store_doubles(values, context.output(0));
}

void group_normalization(Context& context) {
  normalize_groups(context, static_cast<std::size_t>(context.node().get<std::int64_t>("num_groups")),
                   context.opset() < 21);
}

void instance_normalization(Context& context) {
  normalize_groups(context, static_cast<std::size_t>(context.input(0).dim(1)), false);
}

/// Standardises over the axes from 'axis' on, then scales and shifts in the element's own precision.
void layer_normalization(Context& context) {
  const Tensor& in = context.input(0);
  const std::int64_t axis = normalize_axis(context.node().int_or("axis", -1), in.rank());
  const AxisView view(in.shape(), axis, static_cast<std::int64_t>(in.rank()));
  const double epsilon = epsilon_of(context);
  std::vector<double> values = load_doubles(in);
  std::vector<std::size_t> belongs(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) belongs[i] = i / view.extent;
  const std::vector<Moments> moments = moments_of(values, belongs, view.extent == 0 ? 0 : view.outer);
  const std::vector<double> scale = load_doubles(context.input(1));
  const std::vector<double> bias = context.has_input(2) ? load_doubles(context.input(2)) : std::vector<double>{0};
  BroadcastIterator scale_at(context.input(1).shape(), in.shape());
  BroadcastIterator bias_at(context.has_input(2) ? context.input(2).shape() : Shape{}, in.shape());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Moments& row = moments[belongs[i]];
    const double normalized = round_to(in.dtype(), (values[i] - row.mean) / std::sqrt(row.variance + epsilon));
    values[i] = round_to(in.dtype(), normalized * scale[*scale_at]) + bias[*bias_at];
    ++scale_at;
    ++bias_at;
  }
  store_doubles(values, context.output(0));
  const auto store_statistic = [&](std::size_t output, auto statistic) {
    if (!context.has_output(output)) return;
    std::vector<double> rows(view.outer, std::numeric_limits<double>::quiet_NaN());  // of rows without elements
    std::transform(moments.begin(), moments.end(), rows.begin(), statistic);
    store_doubles(rows, context.output(output));
  };
  store_statistic(1, [](const Moments& row) { return row.mean; });
  store_statistic(2, [&](const Moments& row) { return 1 / std::sqrt(row.variance + epsilon); });
}

void rms_normalization(Context& context) {
  const Tensor& in = context.input(0);
  const std::int64_t axis = normalize_axis(context.node().int_or("axis", -1), in.rank());
  const AxisView view(in.shape(), axis, static_cast<std::int64_t>(in.rank()));
  const double epsilon = epsilon_of(context);
  std::vector<double> values = load_doubles(in);
  const std::vector<double> scale = load_doubles(context.input(1));
  BroadcastIterator scale_at(context.input(1).shape(), in.shape());
  view.for_each_line([&](std::size_t o, std::size_t) {
    double squares = 0;
    for (std::size_t e = 0; e < view.extent; ++e) squares += values[view.at(o, e, 0)] * values[view.at(o, e, 0)];
    const double root = std::sqrt(squares / static_cast<double>(view.extent) + epsilon);
    for (std::size_t e = 0; e < view.extent; ++e) {
      double& value = values[view.at(o, e, 0)];
      value = round_to(in.dtype(), value / root) * scale[*scale_at];
      ++scale_at;
    }
  });
  store_doubles(values, context.output(0));
}

void mean_variance_normalization(Context& context) {
  constexpr double kEpsilon = 1e-9;  // fixed by the operator's definition
  const Tensor& in = context.input(0);
  Shape kept = in.shape();
  for (const std::int64_t axis : normalize_axes(context.node().ints_or("axes", {0, 2, 3}), in.rank())) {
    kept[static_cast<std::size_t>(axis)] = 1;
  }
  std::vector<double> values = load_doubles(in);
  std::vector<std::size_t> belongs(values.size());
  BroadcastIterator group(kept, in.shape());
  for (std::size_t& index : belongs) {
    index = *group;
    ++group;
  }
  const std::vector<Moments> moments = moments_of(values, belongs, static_cast<std::size_t>(element_count(kept)));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Moments& m = moments[belongs[i]];
    values[i] = (values[i] - m.mean) / (std::sqrt(m.variance) + kEpsilon);
  }
  store_doubles(values, context.output(0));
}

/// A line of zeros stays a line of zeros.
void lp_normalization(Context& context) {
  const Tensor& in = context.input(0);
  const bool squared = context.node().int_or("p", 2) == 2;
  const AxisView view(in.shape(), normalize_axis(context.node().int_or("axis", -1), in.rank()));
  std::vector<double> values = load_doubles(in);
  view.for_each_line([&](std::size_t o, std::size_t i) {
    double sum = 0;
    for (std::size_t e = 0; e < view.extent; ++e) {
      const double value = values[view.at(o, e, i)];
      sum += squared ? value * value : std::fabs(value);
    }
    const double norm = squared ? std::sqrt(sum) : sum;
    for (std::size_t e = 0; e < view.extent; ++e) {
      double& value = values[view.at(o, e, i)];
      value = norm == 0 ? 0 : value / norm;
    }
  });
  store_doubles(values, context.output(0));
}

/// Divides by a power of the sum of squares over 'size' neighbouring channels.
void lrn(Context& context) {
  const Node& node = context.node();
  const Tensor& in = context.input(0);
  const auto alpha = static_cast<double>(node.float_or("alpha", 1e-4f));
  const auto beta = static_cast<double>(node.float_or("beta", 0.75f));
  const auto bias = static_cast<double>(node.float_or("bias", 1.0f));
  const auto size = static_cast<std::size_t>(node.get<std::int64_t>("size"));
  const std::size_t below = (size - 1) / 2;
  const std::size_t above = size - 1 - below;
  const AxisView view(in.shape(), 1);
  const std::vector<double> values = load_doubles(in);
  std::vector<double> result(values.size());
  view.for_each_line([&](std::size_t o, std::size_t i) {
    for (std::size_t c = 0; c < view.extent; ++c) {
      const std::size_t first = c < below ? 0 : c - below;
      const std::size_t last = above >= view.extent - c ? view.extent - 1 : c + above;
      double squares = 0;
      for (std::size_t e = first; e <= last; ++e) squares += values[view.at(o, e, i)] * values[view.at(o, e, i)];
      result[view.at(o, c, i)] =
          values[view.at(o, c, i)] / std::pow(bias + alpha / static_cast<double>(size) * squares, beta);
    }
  });
  store_doubles(result, context.output(0));
}

}  // namespace

void register_normalization(Table& table) {
  table.add("BatchNormalization", batch_normalization);
  table.add("GroupNormalization", group_normalization);
  table.add("InstanceNormalization", instance_normalization);
  table.add("LayerNormalization", layer_normalization);
  table.add("RMSNormalization", rms_normalization);
  table.add("MeanVarianceNormalization", mean_variance_normalization);
  table.add("LpNormalization", lp_normalization);
  table.add("LRN", lrn);
}

}  // namespace sparse_run::reference
