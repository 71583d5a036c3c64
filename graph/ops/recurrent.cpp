// Schemas and inference of RNN, GRU and LSTM.
#include "graph/ops/recurrent.hpp"

#include <cctype>

#include "graph/ops/control.hpp"
#include "graph/ops/operand_rules.hpp"

namespace sparse_run {

namespace {

// Which parameters an activation has, and their values unless the model says otherwise.
struct ActivationDefaults {
  std::string_view name;
  bool has_alpha;
  float alpha;
  bool has_beta;
  float beta;
};

constexpr ActivationDefaults kActivations[] = {
    {"relu", false, 0, false, 0},
    {"tanh", false, 0, false, 0},
    {"sigmoid", false, 0, false, 0},
    {"softsign", false, 0, false, 0},
    {"softplus", false, 0, false, 0},
    {"affine", true, 1, true, 0},
    {"leakyrelu", true, 0.01f, false, 0},
    {"elu", true, 1, false, 0},
    {"thresholdedrelu", true, 1, false, 0},
    {"scaledtanh", true, 1, true, 1},
    {"hardsigmoid", true, 0.2f, true, 0.5f},
};

const ActivationDefaults& defaults_of(const std::string& name) {
  for (const ActivationDefaults& entry : kActivations) {
    if (entry.name == name) return entry;
  }
  throw_error(ErrorKind::unsupported, "activation '{}' of a recurrent network", name);
}

std::string lower(std::string text) {
  for (char& letter : text) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return text;
}

std::int64_t gate_rows(const RecurrentAttributes& attributes, std::int64_t hidden) {
  if (hidden == kUnknownDim) return kUnknownDim;
  return static_cast<std::int64_t>(attributes.gates) * hidden;
}

void expect_shape(const InferContext& ctx, std::size_t i, const Shape& expected, std::string_view what) {
  if (!ctx.has_input(i)) return;
  const Shape* shape = expect_rank(ctx, i, expected.size());
  if (shape == nullptr) return;
  for (std::size_t d = 0; d < expected.size(); ++d) expect_same_dim((*shape)[d], expected[d], what);
}

void infer_recurrent(InferContext& ctx) {
  const RecurrentAttributes attributes = recurrent_attributes(ctx.node());
  expect_float(ctx, 0);
  for (const std::size_t i : {1u, 2u, 3u, 5u, 6u, 7u}) {
    if (ctx.has_input(i)) expect_same_dtype(ctx, 0, i);
  }
  if (ctx.has_input(4)) expect_dtype(ctx, 4, {DType::i32});
  std::int64_t time = kUnknownDim;
  std::int64_t batch = kUnknownDim;
  std::int64_t features = kUnknownDim;
  if (const Shape* input = expect_rank(ctx, 0, 3)) {
    time = (*input)[attributes.batch_first ? 1 : 0];
    batch = (*input)[attributes.batch_first ? 0 : 1];
    features = (*input)[2];
  }
  std::int64_t hidden = kUnknownDim;
  if (const auto* given = ctx.node().find<std::int64_t>("hidden_size")) {
    if (*given < 1 || *given > (std::int64_t{1} << 32)) throw_error(ErrorKind::model, "hidden_size is {}", *given);
    hidden = *given;
  }
  if (const Shape* recurrence = expect_rank(ctx, 2, 3))
    hidden = expect_same_dim(hidden, (*recurrence)[2], "hidden size");
  const auto directions = static_cast<std::int64_t>(attributes.reversed.size());
  const std::int64_t rows = gate_rows(attributes, hidden);
  const std::int64_t biases = rows == kUnknownDim ? kUnknownDim : 2 * rows;
  expect_shape(ctx, 1, {directions, rows, features}, "input weights (W)");
  expect_shape(ctx, 2, {directions, rows, hidden}, "recurrence weights (R)");
  expect_shape(ctx, 3, {directions, biases}, "biases (B)");
  expect_shape(ctx, 4, {batch}, "sequence lengths and batch");
  const Shape state = attributes.batch_first ? Shape{batch, directions, hidden} : Shape{directions, batch, hidden};
  expect_shape(ctx, 5, state, "initial state");
  if (attributes.gates == 4) {
    expect_shape(ctx, 6, state, "initial cell state");
    expect_shape(ctx, 7, {directions, hidden == kUnknownDim ? kUnknownDim : 3 * hidden}, "peephole weights (P)");
  }
  const DType dtype = ctx.dtype(0);
  ctx.set_tensor(
      0, dtype,
      attributes.batch_first ? Shape{batch, time, directions, hidden} : Shape{time, directions, batch, hidden});
  ctx.set_tensor(1, dtype, state);
  ctx.set_tensor(2, dtype, state);
}

}  // namespace

RecurrentAttributes recurrent_attributes(const Node& node) {
  RecurrentAttributes result;
  result.gates = node.op == "RNN" ? 1 : node.op == "GRU" ? 3 : 4;
  const std::string direction = node.string_or("direction", "forward");
  if (direction == "forward") {
    result.reversed = {false};
  } else if (direction == "reverse") {
    result.reversed = {true};
  } else if (direction == "bidirectional") {
    result.reversed = {false, true};
  } else {
    throw_error(ErrorKind::model, "direction '{}' is not defined", direction);
  }
  const std::int64_t layout = node.opset >= 14 ? node.int_or("layout", 0) : 0;
  if (layout != 0 && layout != 1) throw_error(ErrorKind::model, "layout {} is not defined", layout);
  result.batch_first = layout == 1;
  result.linear_before_reset = node.int_or("linear_before_reset", 0) != 0;
  result.input_forget = node.int_or("input_forget", 0) != 0;
  result.clip = node.float_or("clip", 0.0f);
  if (!(result.clip >= 0)) throw_error(ErrorKind::model, "clip is {}", result.clip);

  static const std::vector<std::string> kDefaults[] = {{"tanh"}, {"sigmoid", "tanh"}, {"sigmoid", "tanh", "tanh"}};
  const std::vector<std::string>& defaults = kDefaults[result.gates == 1 ? 0 : result.gates == 3 ? 1 : 2];
  std::vector<std::string> names = node.strings_or("activations");
  if (names.empty()) {
    for (std::size_t d = 0; d < result.reversed.size(); ++d)
      names.insert(names.end(), defaults.begin(), defaults.end());
  }
  if (names.size() != defaults.size() * result.reversed.size()) {
    throw_error(ErrorKind::model, "{} activations are named, {} are needed", names.size(),
                defaults.size() * result.reversed.size());
  }
  // The lists of parameters hold entries, in order, for those activations only that have the parameter.
  const std::vector<float> alphas = node.floats_or("activation_alpha");
  const std::vector<float> betas = node.floats_or("activation_beta");
  std::size_t next_alpha = 0;
  std::size_t next_beta = 0;
  result.activations.resize(result.reversed.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    RecurrentActivation activation{lower(names[i]), 0, 0};
    const ActivationDefaults& known = defaults_of(activation.name);
    activation.alpha = known.has_alpha && next_alpha < alphas.size() ? alphas[next_alpha++] : known.alpha;
    activation.beta = known.has_beta && next_beta < betas.size() ? betas[next_beta++] : known.beta;
    result.activations[i / defaults.size()].push_back(std::move(activation));
  }
  return result;
}

void register_recurrent_ops(OpRegistry& registry) {
  for (const std::string_view name : {"RNN", "GRU", "LSTM"}) {
    registry.add({.name = name,
                  .since = name == "GRU" ? 3 : 1,
                  .min_inputs = 3,
                  .max_inputs = name == "LSTM" ? 8 : 6,
                  .min_outputs = 0,
                  .max_outputs = name == "LSTM" ? 3 : 2,
                  .infer = infer_recurrent});
  }
}

}  // namespace sparse_run
