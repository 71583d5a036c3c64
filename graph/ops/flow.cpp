// Schemas and inference of operators with bodies: If, Loop, Scan.
#include <algorithm>

#include "graph/ops/control.hpp"
#include "graph/ops/operand_rules.hpp"

namespace sparse_run {

namespace {

bool same_type(const Type& a, const Type& b) {
  if (a.kind != b.kind || a.dtype != b.dtype || a.shape != b.shape) return false;
  if (!a.element || !b.element) return !a.element && !b.element;
  return same_type(*a.element, *b.element);
}

// The same kind and element type with nothing said of the shape.
Type without_shape(const Type& type) {
  Type result = type;
  result.shape.reset();
  if (type.element) result.element = std::make_shared<const Type>(without_shape(*type.element));
  return result;
}

void expect_tensor(const InferContext& ctx, std::size_t i) {
  const Type& type = ctx.input(i);
  if (type.kind != ValueKind::tensor) {
    throw_error(ErrorKind::model, "input {} must be a tensor, it is {}", i, to_string(type));
  }
}

void expect_condition(const InferContext& ctx, std::size_t i) {
  expect_tensor(ctx, i);
  expect_dtype(ctx, i, {DType::boolean});
  const Shape* shape = ctx.shape(i);
  if (shape != nullptr && is_concrete(*shape) && element_count(*shape) != 1) {
    throw_error(ErrorKind::model, "the condition must be one boolean, its shape is {}", to_string(*shape));
  }
}

void infer_if(InferContext& ctx) {
  expect_condition(ctx, 0);
  const auto check = [&](std::string_view branch) {
    const Graph& body = *ctx.node().get<GraphPtr>(branch);
    if (!body.inputs().empty()) throw_error(ErrorKind::model, "{} takes inputs", branch);
    if (body.outputs().size() < ctx.node().outputs.size()) {
      throw_error(ErrorKind::model, "{} has {} outputs, the node {}", branch, body.outputs().size(),
                  ctx.node().outputs.size());
    }
  };
  check("then_branch");
  check("else_branch");
  std::vector<Type> types;
  if (const Tensor* condition = ctx.constant(0)) {
    types = ctx.infer_body(condition->data<bool>()[0] ? "then_branch" : "else_branch", {});
  } else {
    // A branch that contradicts what is known of the values cannot be the one that is taken in a successful run, and
    // exporters rely on that. So the other one alone says what the outputs are.
    std::optional<std::vector<Type>> taken;
    try {
      taken = ctx.infer_body("then_branch", {});
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::model) throw;
      types = ctx.infer_body("else_branch", {});
    }
    if (taken) {
      try {
        types = ctx.infer_body("else_branch", {});
        for (std::size_t i = 0; i < std::min(types.size(), taken->size()); ++i) {
          types[i] = generalize((*taken)[i], types[i]);
        }
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::model) throw;
        types = std::move(*taken);
      }
    }
  }
  for (std::size_t i = 0; i < std::min(types.size(), ctx.node().outputs.size()); ++i) ctx.set_output(i, types[i]);
}

// How deep bodies are nested within bodies whose inference is under way on this thread.
thread_local int nesting = 0;

struct NestingGuard {
  NestingGuard() { ++nesting; }
  ~NestingGuard() { --nesting; }
  NestingGuard(const NestingGuard&) = delete;
  NestingGuard& operator=(const NestingGuard&) = delete;
};

// Types of a body's outputs when the values in `carried` go round: inputs are before + carried + after, outputs
// [first, first + carried.size()) become the next round's. On return `carried` holds for every round, the last
// included. Types are generalised until nothing changes; after a few rounds, or deep inside other bodies where rounds
// would multiply, shapes are given up at once.
std::vector<Type> infer_rounds(InferContext& ctx, const std::vector<Type>& before, std::vector<Type>& carried,
                               const std::vector<Type>& after, std::size_t first) {
  constexpr int kRounds = 4;
  constexpr int kDeep = 4;
  const NestingGuard guard;
  const int rounds = nesting > kDeep ? 0 : kRounds;
  const auto run = [&](const std::vector<Type>& states) {
    std::vector<Type> inputs = before;
    inputs.insert(inputs.end(), states.begin(), states.end());
    inputs.insert(inputs.end(), after.begin(), after.end());
    return ctx.infer_body("body", inputs);
  };
  for (int round = 0; round < rounds; ++round) {
    std::vector<Type> outputs = run(carried);
    bool stable = true;
    for (std::size_t i = 0; i < carried.size(); ++i) {
      Type next = generalize(carried[i], outputs[first + i]);
      if (same_type(next, carried[i])) continue;
      stable = false;
      carried[i] = std::move(next);
    }
    if (stable) return outputs;
  }
  std::vector<Type> general;
  for (const Type& type : carried) general.push_back(without_shape(type));
  std::vector<Type> outputs = run(general);
  for (std::size_t i = 0; i < carried.size(); ++i) carried[i] = generalize(carried[i], outputs[first + i]);
  return outputs;
}

// One scanned output: the body's output with a new axis. Nothing is in a tensor of no rounds, so that its other
// dimensions, if unknown, may as well be 0.
Type stacked(const Type& element, std::int64_t axis, std::int64_t rounds) {
  if (element.kind != ValueKind::tensor) throw_error(ErrorKind::model, "a scan output must be a tensor");
  Type result = element;
  if (rounds == 0) {
    if (element.dtype == DType::undefined) {
      throw_error(ErrorKind::unsupported, "the element type of a scan output of no iterations cannot be told");
    }
    if (!result.shape) result.shape = Shape{};
    for (std::int64_t& dim : *result.shape) dim = std::max<std::int64_t>(dim, 0);
  }
  if (result.shape) {
    const std::int64_t at = normalize_axis(axis, result.shape->size() + 1);
    result.shape->insert(result.shape->begin() + at, rounds);
  }
  return result;
}

void infer_loop(InferContext& ctx) {
  const Node& node = ctx.node();
  const Graph& body = *node.get<GraphPtr>("body");
  const std::size_t states = node.inputs.size() > 2 ? node.inputs.size() - 2 : 0;
  if (body.inputs().size() != 2 + states) {
    throw_error(ErrorKind::model, "the body takes {} inputs, {} are carried besides iteration number and condition",
                body.inputs().size(), states);
  }
  if (body.outputs().size() < 1 + states || body.outputs().size() - 1 < node.outputs.size()) {
    throw_error(ErrorKind::model, "the body has {} outputs for {} carried values and {} outputs of the node",
                body.outputs().size(), states, node.outputs.size());
  }
  if (ctx.has_input(0)) {
    expect_tensor(ctx, 0);
    expect_dtype(ctx, 0, {DType::i64, DType::i32});
  }
  if (ctx.has_input(1)) expect_condition(ctx, 1);
  const auto trips = ctx.integers(0);
  if (trips && trips->size() != 1) throw_error(ErrorKind::model, "the trip count must be one number");
  const Tensor* condition = ctx.constant(1);
  const bool never = (trips && trips->front() <= 0) || (condition != nullptr && !condition->data<bool>()[0]);

  const std::vector<Type> before{Type::tensor(DType::i64, loop_scalar_shape(body, 0)),
                                 Type::tensor(DType::boolean, loop_scalar_shape(body, 1))};
  std::vector<Type> carried;
  for (std::size_t i = 0; i < states; ++i) carried.push_back(ctx.input(2 + i));
  const std::vector<Type> initial = carried;
  const std::vector<Type> outputs = infer_rounds(ctx, before, carried, {}, 1);
  for (std::size_t i = 0; i < states; ++i) ctx.set_output(i, never ? initial[i] : carried[i]);
  for (std::size_t i = states; i < node.outputs.size(); ++i) {
    ctx.set_output(i, stacked(outputs[1 + i], 0, never ? 0 : kUnknownDim));
  }
}

void infer_scan(InferContext& ctx) {
  const ScanLayout layout = scan_layout(ctx.node());
  const std::size_t lead = layout.batched ? 1 : 0;
  std::int64_t batch = kUnknownDim;
  const auto without_batch = [&](Type type) {
    if (layout.batched && type.shape) {
      if (type.shape->empty()) throw_error(ErrorKind::model, "an operand has no batch axis");
      batch = expect_same_dim(batch, type.shape->front(), "batch size");
      type.shape->erase(type.shape->begin());
    }
    return type;
  };
  std::vector<Type> carried;
  for (std::size_t i = 0; i < layout.states; ++i) carried.push_back(without_batch(ctx.input(layout.offset + i)));
  std::int64_t rounds = kUnknownDim;
  std::vector<Type> scanned;
  for (std::size_t i = 0; i < layout.scans; ++i) {
    Type type = without_batch(ctx.input(layout.offset + layout.states + i));
    if (type.kind != ValueKind::tensor) throw_error(ErrorKind::model, "a scanned input must be a tensor");
    if (type.shape) {
      const std::int64_t axis = normalize_axis(layout.input_axes[i], type.shape->size());
      rounds = expect_same_dim(rounds, (*type.shape)[static_cast<std::size_t>(axis)], "lengths of scanned inputs");
      type.shape->erase(type.shape->begin() + axis);
    }
    scanned.push_back(std::move(type));
  }
  if (layout.batched && ctx.has_input(0)) expect_dtype(ctx, 0, {DType::i64});
  const std::vector<Type> initial = carried;
  const std::vector<Type> outputs = infer_rounds(ctx, {}, carried, scanned, 0);
  const auto with_batch = [&](Type type) {
    if (layout.batched && type.shape) type.shape->insert(type.shape->begin(), batch);
    return type;
  };
  for (std::size_t i = 0; i < std::min(layout.states, ctx.node().outputs.size()); ++i) {
    ctx.set_output(i, with_batch(rounds == 0 ? initial[i] : carried[i]));
  }
  for (std::size_t i = 0; i < layout.outputs && layout.states + i < ctx.node().outputs.size(); ++i) {
    const bool empty = rounds == 0 || (lead == 1 && batch == 0);
    Type type = stacked(outputs[layout.states + i], layout.output_axes[i], empty ? 0 : rounds);
    if (empty && rounds != 0 && rounds != kUnknownDim) (*type.shape)[0] = rounds;
    ctx.set_output(layout.states + i, with_batch(std::move(type)));
  }
}

std::vector<bool> directions(const Node& node, std::string_view attribute, std::size_t count) {
  const auto given = node.ints_or(attribute);
  if (!given.empty() && given.size() != count) {
    throw_error(ErrorKind::model, "{} has {} entries, {} are needed", attribute, given.size(), count);
  }
  std::vector<bool> reversed(count, false);
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (given[i] != 0 && given[i] != 1) throw_error(ErrorKind::model, "{} contains {}", attribute, given[i]);
    reversed[i] = given[i] == 1;
  }
  return reversed;
}

std::vector<std::int64_t> axes(const Node& node, std::string_view attribute, std::size_t count) {
  auto given = node.ints_or(attribute);
  if (given.empty()) given.assign(count, 0);
  if (given.size() != count) {
    throw_error(ErrorKind::model, "{} has {} entries, {} are needed", attribute, given.size(), count);
  }
  return given;
}

}  // namespace

Shape loop_scalar_shape(const Graph& body, std::size_t input) {
  const Type& declared = body.value(body.inputs()[input]).type;
  return declared.shape && declared.shape->size() == 1 ? Shape{1} : Shape{};
}

ScanLayout scan_layout(const Node& node) {
  const Graph& body = *node.get<GraphPtr>("body");
  ScanLayout layout;
  layout.batched = node.opset < 9;
  layout.offset = layout.batched ? 1 : 0;
  const std::int64_t scans = node.get<std::int64_t>("num_scan_inputs");
  const std::size_t given = node.inputs.size() - std::min(node.inputs.size(), layout.offset);
  if (scans < 1 || scans > static_cast<std::int64_t>(given)) {
    throw_error(ErrorKind::model, "num_scan_inputs is {}, the node has {} inputs", scans, given);
  }
  layout.scans = static_cast<std::size_t>(scans);
  layout.states = given - layout.scans;
  if (body.inputs().size() != given) {
    throw_error(ErrorKind::model, "the body takes {} inputs, {} are given", body.inputs().size(), given);
  }
  if (body.outputs().size() < layout.states || body.outputs().size() < node.outputs.size()) {
    throw_error(ErrorKind::model, "the body has {} outputs for {} states and {} outputs of the node",
                body.outputs().size(), layout.states, node.outputs.size());
  }
  layout.outputs = body.outputs().size() - layout.states;
  if (layout.batched) {
    layout.input_axes.assign(layout.scans, 0);
    layout.input_reversed = directions(node, "directions", layout.scans);
    layout.output_axes.assign(layout.outputs, 0);
    layout.output_reversed.assign(layout.outputs, false);
  } else {
    layout.input_axes = axes(node, "scan_input_axes", layout.scans);
    layout.input_reversed = directions(node, "scan_input_directions", layout.scans);
    layout.output_axes = axes(node, "scan_output_axes", layout.outputs);
    layout.output_reversed = directions(node, "scan_output_directions", layout.outputs);
  }
  return layout;
}

void register_flow_ops(OpRegistry& registry) {
  registry.add({.name = "If",
                .min_inputs = 1,
                .max_inputs = 1,
                .max_outputs = kUnlimited,
                .infer = infer_if,
                .data_dependent = true});
  registry.add({.name = "Loop",
                .min_inputs = 0,
                .min_outputs = 0,
                .max_outputs = kUnlimited,
                .infer = infer_loop,
                .data_dependent = true});
  registry.add({.name = "Scan",
                .since = 8,
                .min_inputs = 1,
                .max_outputs = kUnlimited,
                .infer = infer_scan,
                .data_dependent = true});
}

}  // namespace sparse_run
