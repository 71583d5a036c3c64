// Reference kernels of RNN, GRU and LSTM: step by step, in double, for every floating point type.
#include "graph/ops/recurrent.hpp"

#include <algorithm>
#include <cmath>

#include "cpu/reference/control.hpp"

namespace sparse_run::reference {

namespace {

std::vector<double> load(const Tensor& tensor) {
  std::vector<double> values(static_cast<std::size_t>(tensor.size()));
  const bool known = visit_float(tensor.dtype(), [&]<class T>() {
    const auto elements = tensor.data<T>();
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<double>(static_cast<Compute<T>>(elements[i]));
  });
  require(known, "a recurrent network of this type passed inference");
  return values;
}

void store(const std::vector<double>& values, Tensor& tensor) {
  visit_float(tensor.dtype(), [&]<class T>() {
    const auto elements = tensor.data<T>();
    for (std::size_t i = 0; i < values.size(); ++i) elements[i] = static_cast<T>(static_cast<Compute<T>>(values[i]));
  });
}

double activate(const RecurrentActivation& activation, double x) {
  const double alpha = activation.alpha;
  const double beta = activation.beta;
  const std::string& name = activation.name;
  if (name == "tanh") return std::tanh(x);
  if (name == "sigmoid") return 1 / (1 + std::exp(-x));
  if (name == "relu") return x > 0 ? x : 0;
  if (name == "affine") return alpha * x + beta;
  if (name == "leakyrelu") return x >= 0 ? x : alpha * x;
  if (name == "thresholdedrelu") return x >= alpha ? x : 0;
  if (name == "scaledtanh") return alpha * std::tanh(beta * x);
  if (name == "hardsigmoid") return std::clamp(alpha * x + beta, 0.0, 1.0);
  if (name == "elu") return x >= 0 ? x : alpha * (std::exp(x) - 1);
  if (name == "softsign") return x / (1 + std::abs(x));
  if (name == "softplus") return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
  throw_error(ErrorKind::unsupported, "activation '{}' of a recurrent network", name);
}

// The operands of one direction, as rows of gates: row g * hidden + h.
struct Direction {
  std::size_t hidden = 0;
  std::size_t features = 0;
  std::span<const double> input_weights;
  std::span<const double> recurrence_weights;
  std::span<const double> input_bias;
  std::span<const double> recurrence_bias;
  std::span<const double> peepholes;  // input, output, forget; empty: none
  const std::vector<RecurrentActivation>* activations = nullptr;
  double clip = 0;

  double from_input(std::size_t row, std::span<const double> x) const {
    double sum = input_bias[row];
    for (std::size_t i = 0; i < features; ++i) sum += input_weights[row * features + i] * x[i];
    return sum;
  }
  double from_state(std::size_t row, std::span<const double> state) const {
    double sum = recurrence_bias[row];
    for (std::size_t i = 0; i < hidden; ++i) sum += recurrence_weights[row * hidden + i] * state[i];
    return sum;
  }
  double activated(std::size_t which, double x) const {
    if (clip > 0) x = std::clamp(x, -clip, clip);
    return activate((*activations)[which], x);
  }
};

void step_rnn(const Direction& net, std::span<const double> x, std::span<double> state) {
  const std::vector<double> previous(state.begin(), state.end());
  for (std::size_t h = 0; h < net.hidden; ++h) {
    state[h] = net.activated(0, net.from_input(h, x) + net.from_state(h, previous));
  }
}

void step_gru(const Direction& net, bool linear_before_reset, std::span<const double> x, std::span<double> state) {
  const std::size_t n = net.hidden;
  const std::vector<double> previous(state.begin(), state.end());
  std::vector<double> update(n);
  std::vector<double> reset(n);
  std::vector<double> kept(n);  // reset state, as the recurrence weights of the hidden gate see it
  for (std::size_t h = 0; h < n; ++h) {
    update[h] = net.activated(0, net.from_input(h, x) + net.from_state(h, previous));
    reset[h] = net.activated(0, net.from_input(n + h, x) + net.from_state(n + h, previous));
    kept[h] = reset[h] * previous[h];
  }
  for (std::size_t h = 0; h < n; ++h) {
    const double recurrence =
        linear_before_reset ? reset[h] * net.from_state(2 * n + h, previous) : net.from_state(2 * n + h, kept);
    const double hidden = net.activated(1, net.from_input(2 * n + h, x) + recurrence);
    state[h] = (1 - update[h]) * hidden + update[h] * previous[h];
  }
}

void step_lstm(const Direction& net, bool input_forget, std::span<const double> x, std::span<double> state,
               std::span<double> cell) {
  const std::size_t n = net.hidden;
  const std::vector<double> previous(state.begin(), state.end());
  const auto peephole = [&](std::size_t which, std::size_t h) {
    return net.peepholes.empty() ? 0.0 : net.peepholes[which * n + h];
  };
  for (std::size_t h = 0; h < n; ++h) {
    const auto gate = [&](std::size_t g) { return net.from_input(g * n + h, x) + net.from_state(g * n + h, previous); };
    const double input = net.activated(0, gate(0) + peephole(0, h) * cell[h]);
    const double forget = input_forget ? 1 - input : net.activated(0, gate(2) + peephole(2, h) * cell[h]);
    const double fresh = net.activated(1, gate(3));
    cell[h] = forget * cell[h] + input * fresh;
    const double output = net.activated(0, gate(1) + peephole(1, h) * cell[h]);
    state[h] = output * net.activated(2, cell[h]);
  }
}

void recurrent(Context& ctx) {
  const RecurrentAttributes attributes = recurrent_attributes(ctx.node());
  const Tensor& input = ctx.input(0);
  const bool batch_first = attributes.batch_first;
  const auto steps = static_cast<std::size_t>(input.shape()[batch_first ? 1 : 0]);
  const auto batch = static_cast<std::size_t>(input.shape()[batch_first ? 0 : 1]);
  const auto features = static_cast<std::size_t>(input.shape()[2]);
  const auto hidden = static_cast<std::size_t>(ctx.input(2).shape()[2]);
  const std::size_t directions = attributes.reversed.size();
  const std::size_t rows = attributes.gates * hidden;

  const auto operand = [&](std::size_t i, std::size_t size) {
    return ctx.has_input(i) ? load(ctx.input(i)) : std::vector<double>(size, 0.0);
  };
  const std::vector<double> x = load(input);
  const std::vector<double> weights = load(ctx.input(1));
  const std::vector<double> recurrence = load(ctx.input(2));
  const std::vector<double> biases = operand(3, directions * 2 * rows);
  const std::vector<double> initial_state = operand(5, directions * batch * hidden);
  const bool has_cell = attributes.gates == 4;
  const std::vector<double> initial_cell = has_cell ? operand(6, directions * batch * hidden) : std::vector<double>{};
  const std::vector<double> peepholes = has_cell ? operand(7, 0) : std::vector<double>{};
  std::vector<std::int64_t> lengths(batch, static_cast<std::int64_t>(steps));
  if (ctx.has_input(4)) lengths = ctx.input(4).to_int64();
  for (const std::int64_t length : lengths) {
    if (length < 0 || length > static_cast<std::int64_t>(steps)) {
      throw_error(ErrorKind::input, "sequence length {} is outside [0, {}]", length, steps);
    }
  }

  std::vector<double> y(steps * directions * batch * hidden, 0.0);
  std::vector<double> last_state(directions * batch * hidden);
  std::vector<double> last_cell(directions * batch * hidden);
  for (std::size_t d = 0; d < directions; ++d) {
    Direction net;
    net.hidden = hidden;
    net.features = features;
    net.input_weights = std::span(weights).subspan(d * rows * features, rows * features);
    net.recurrence_weights = std::span(recurrence).subspan(d * rows * hidden, rows * hidden);
    net.input_bias = std::span(biases).subspan(d * 2 * rows, rows);
    net.recurrence_bias = std::span(biases).subspan(d * 2 * rows + rows, rows);
    if (!peepholes.empty()) net.peepholes = std::span(peepholes).subspan(d * 3 * hidden, 3 * hidden);
    net.activations = &attributes.activations[d];
    net.clip = attributes.clip;
    for (std::size_t b = 0; b < batch; ++b) {
      const std::size_t place = (batch_first ? b * directions + d : d * batch + b) * hidden;
      std::vector<double> state(initial_state.begin() + static_cast<std::ptrdiff_t>(place),
                                initial_state.begin() + static_cast<std::ptrdiff_t>(place + hidden));
      std::vector<double> cell(hidden, 0.0);
      if (has_cell) std::copy_n(initial_cell.begin() + static_cast<std::ptrdiff_t>(place), hidden, cell.begin());
      const auto length = static_cast<std::size_t>(lengths[b]);
      for (std::size_t step = 0; step < length; ++step) {
        const std::size_t t = attributes.reversed[d] ? length - 1 - step : step;
        const auto now = std::span(x).subspan((batch_first ? b * steps + t : t * batch + b) * features, features);
        if (attributes.gates == 1) step_rnn(net, now, state);
        if (attributes.gates == 3) step_gru(net, attributes.linear_before_reset, now, state);
        if (attributes.gates == 4) step_lstm(net, attributes.input_forget, now, state, cell);
        const std::size_t at = batch_first ? (b * steps + t) * directions + d : (t * directions + d) * batch + b;
        std::copy(state.begin(), state.end(), y.begin() + static_cast<std::ptrdiff_t>(at * hidden));
      }
      std::copy(state.begin(), state.end(), last_state.begin() + static_cast<std::ptrdiff_t>(place));
      std::copy(cell.begin(), cell.end(), last_cell.begin() + static_cast<std::ptrdiff_t>(place));
    }
  }
  if (ctx.has_output(0)) store(y, ctx.output(0));
  if (ctx.has_output(1)) store(last_state, ctx.output(1));
  if (ctx.has_output(2)) store(last_cell, ctx.output(2));
}

}  // namespace

void register_recurrent(Table& table) {
  table.add("RNN", recurrent);
  table.add("GRU", recurrent);
  table.add("LSTM", recurrent);
}

}  // namespace sparse_run::reference
