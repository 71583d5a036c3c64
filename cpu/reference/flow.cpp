// Reference kernels of operators with bodies: If, Loop, Scan.
#include "cpu/reference/control.hpp"
#include "cpu/reference/elements.hpp"
#include "graph/ops/control.hpp"
#include "graph/ops/geometry.hpp"

namespace sparse_run::reference {

namespace {

/// No loop of a real network comes near; what does is a loop that never ends.
constexpr std::int64_t kMostIterations = 100'000'000;

bool boolean_scalar(const Value& value) {
  if (!value.is_tensor() || value.tensor.dtype() != DType::boolean || value.tensor.size() != 1) {
    throw_error(ErrorKind::model, "a condition must be one boolean");
  }
  return value.tensor.data<bool>()[0];
}

const Tensor& scanned_tensor(const Value& value) {
  if (!value.is_tensor() || value.absent()) throw_error(ErrorKind::model, "a scan output must be a tensor");
  return value.tensor;
}

// A body may take an optional where a round before it made what the optional holds.
Value as_declared(const Graph& body, std::size_t input, const Value& value) {
  const bool wrapped = body.value(body.inputs()[input]).type.kind == ValueKind::optional;
  return wrapped && value.kind != ValueKind::optional ? Value::some(value) : value;
}

void if_then_else(Context& ctx) {
  const bool condition = boolean_scalar(ctx.input_value(0));
  const std::vector<Value> results = ctx.run_body(condition ? "then_branch" : "else_branch", {});
  for (std::size_t i = 0; i < ctx.node().outputs.size(); ++i) ctx.set_output(i, retained(results[i]));
}

void loop(Context& ctx) {
  const Graph& body = *ctx.node().get<GraphPtr>("body");
  const std::size_t states = ctx.input_count() > 2 ? ctx.input_count() - 2 : 0;
  const std::int64_t trips = ctx.has_input(0) ? integer_scalar(ctx.input(0)) : INT64_MAX;
  bool condition = ctx.has_input(1) ? boolean_scalar(ctx.input_value(1)) : true;

  std::vector<Value> carried;
  for (std::size_t i = 0; i < states; ++i) carried.push_back(ctx.input_value(2 + i));
  const std::size_t scans = ctx.node().outputs.size() - std::min(ctx.node().outputs.size(), states);
  std::vector<std::vector<Tensor>> scanned(scans);
  for (std::int64_t trip = 0; trip < trips && condition; ++trip) {
    if (trip >= kMostIterations) throw_error(ErrorKind::limit, "the loop exceeds {} iterations", kMostIterations);
    std::vector<Value> inputs;
    inputs.emplace_back(Tensor::of<std::int64_t>(loop_scalar_shape(body, 0), {trip}));
    inputs.emplace_back(Tensor::of<bool>(loop_scalar_shape(body, 1), {condition}));
    for (std::size_t i = 0; i < states; ++i) inputs.push_back(as_declared(body, 2 + i, carried[i]));
    std::vector<Value> outputs = ctx.run_body("body", inputs);
    // The specification lets a loop without a condition operand ignore this output; implementations obey it, and so
    // does this one.
    condition = boolean_scalar(outputs[0]);
    for (std::size_t i = 0; i < states; ++i) carried[i] = std::move(outputs[1 + i]);
    for (std::size_t i = 0; i < scans; ++i)
      scanned[i].push_back(retained(scanned_tensor(outputs[1 + states + i])).tensor);
  }
  for (std::size_t i = 0; i < std::min(states, ctx.node().outputs.size()); ++i) ctx.set_output(i, retained(carried[i]));
  for (std::size_t i = 0; i < scans; ++i) {
    if (scanned[i].empty()) {
      ctx.output(states + i);
    } else {
      ctx.set_output(states + i, stack(scanned[i], 0));
    }
  }
}

// Element `index` along `axis`, the axis removed.
Tensor take(const Tensor& tensor, std::size_t axis, std::int64_t index) {
  Shape shape = tensor.shape();
  shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
  Tensor result = Tensor::allocate(tensor.dtype(), std::move(shape));
  const ElementMover mover(tensor, result);
  const std::int64_t outer = extent(tensor.shape(), 0, axis);
  const std::int64_t dim = tensor.shape()[axis];
  const std::int64_t run = extent(tensor.shape(), axis + 1, tensor.rank());
  for (std::int64_t o = 0; o < outer; ++o) mover.move((o * dim + index) * run, o * run, run);
  return result;
}

struct ScanResult {
  std::vector<Value> states;
  std::vector<std::vector<Tensor>> outputs;  // per scanned output, in the order of its positions
};

ScanResult scan_once(Context& ctx, const ScanLayout& layout, std::vector<Value> states,
                     const std::vector<Tensor>& inputs, std::int64_t rounds) {
  ScanResult result;
  result.outputs.resize(layout.outputs);
  for (std::int64_t round = 0; round < rounds; ++round) {
    std::vector<Value> operands = states;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const auto axis = static_cast<std::size_t>(normalize_axis(layout.input_axes[i], inputs[i].rank()));
      operands.emplace_back(take(inputs[i], axis, layout.input_reversed[i] ? rounds - 1 - round : round));
    }
    std::vector<Value> values = ctx.run_body("body", operands);
    for (std::size_t i = 0; i < layout.states; ++i) states[i] = values[i];
    for (std::size_t i = 0; i < layout.outputs; ++i) {
      result.outputs[i].push_back(retained(scanned_tensor(values[layout.states + i])).tensor);
    }
  }
  for (std::size_t i = 0; i < layout.outputs; ++i) {
    if (layout.output_reversed[i]) std::reverse(result.outputs[i].begin(), result.outputs[i].end());
  }
  result.states = std::move(states);
  return result;
}

void scan_whole(Context& ctx, const ScanLayout& layout) {
  std::vector<Value> states;
  for (std::size_t i = 0; i < layout.states; ++i) states.push_back(ctx.input_value(i));
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < layout.scans; ++i) inputs.push_back(ctx.input(layout.states + i));
  const std::int64_t rounds = inputs[0].dim(layout.input_axes[0]);
  ScanResult result = scan_once(ctx, layout, std::move(states), inputs, rounds);
  for (std::size_t i = 0; i < ctx.node().outputs.size(); ++i) {
    if (i < layout.states) {
      ctx.set_output(i, retained(result.states[i]));
    } else if (rounds == 0) {
      ctx.output(i);
    } else {
      ctx.set_output(i, stack(result.outputs[i - layout.states], layout.output_axes[i - layout.states]));
    }
  }
}

// Opset 8: every batch entry is scanned on its own, over its own length; what lies beyond it is zero.
void scan_batched(Context& ctx, const ScanLayout& layout) {
  const Tensor& first = ctx.input(layout.offset + layout.states);
  const std::int64_t batch = first.shape()[0];
  const std::int64_t longest = first.shape()[1];
  std::vector<std::int64_t> lengths(static_cast<std::size_t>(batch), longest);
  if (ctx.has_input(0)) lengths = ctx.input(0).to_int64();
  if (static_cast<std::int64_t>(lengths.size()) != batch) {
    throw_error(ErrorKind::model, "{} sequence lengths for a batch of {}", lengths.size(), batch);
  }
  std::vector<std::vector<Tensor>> collected(ctx.node().outputs.size());
  for (std::int64_t b = 0; b < batch; ++b) {
    const std::int64_t length = lengths[static_cast<std::size_t>(b)];
    if (length < 0 || length > longest) {
      throw_error(ErrorKind::input, "sequence length {} is outside [0, {}]", length, longest);
    }
    std::vector<Value> states;
    for (std::size_t i = 0; i < layout.states; ++i) states.emplace_back(take(ctx.input(layout.offset + i), 0, b));
    std::vector<Tensor> inputs;
    for (std::size_t i = 0; i < layout.scans; ++i) {
      const Tensor entry = take(ctx.input(layout.offset + layout.states + i), 0, b);
      Shape shape = entry.shape();
      shape[0] = length;
      Tensor used = Tensor::allocate(entry.dtype(), shape);
      ElementMover(entry, used).move(0, 0, used.size());
      inputs.push_back(std::move(used));
    }
    ScanResult result = scan_once(ctx, layout, std::move(states), inputs, length);
    for (std::size_t i = 0; i < collected.size(); ++i) {
      if (i < layout.states) {
        collected[i].push_back(scanned_tensor(result.states[i]));
        continue;
      }
      std::vector<Tensor>& parts = result.outputs[i - layout.states];
      if (parts.empty()) {
        // Nothing tells the shape of what an empty sequence does not produce: take it from the neighbours later.
        collected[i].emplace_back();
        continue;
      }
      Tensor zero = Tensor::allocate(parts[0].dtype(), parts[0].shape());
      set_zero(zero);
      parts.resize(static_cast<std::size_t>(longest), zero);
      collected[i].push_back(stack(parts, 0));
    }
  }
  for (std::size_t i = 0; i < collected.size(); ++i) {
    const auto known =
        std::find_if(collected[i].begin(), collected[i].end(), [](const Tensor& part) { return !part.empty_handle(); });
    if (known == collected[i].end()) {
      set_zero(ctx.output(i));
      continue;
    }
    Tensor zero = Tensor::allocate(known->dtype(), known->shape());
    set_zero(zero);
    for (Tensor& part : collected[i]) {
      if (part.empty_handle()) part = zero;
    }
    ctx.set_output(i, stack(collected[i], 0));
  }
}

void scan(Context& ctx) {
  const ScanLayout layout = scan_layout(ctx.node());
  layout.batched ? scan_batched(ctx, layout) : scan_whole(ctx, layout);
}

}  // namespace

Tensor stack(std::span<const Tensor> parts, std::int64_t axis) {
  const Shape& element = parts.front().shape();
  const auto at = static_cast<std::size_t>(normalize_axis(axis, element.size() + 1));
  Shape shape = element;
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(at), static_cast<std::int64_t>(parts.size()));
  Tensor result = Tensor::allocate(parts.front().dtype(), std::move(shape));
  const std::int64_t outer = extent(element, 0, at);
  const std::int64_t run = extent(element, at, element.size());
  const auto count = static_cast<std::int64_t>(parts.size());
  for (std::int64_t i = 0; i < count; ++i) {
    const Tensor& part = parts[static_cast<std::size_t>(i)];
    if (part.shape() != element || part.dtype() != result.dtype()) {
      throw_error(ErrorKind::input, "tensors to be stacked differ: {}[{}] and {}[{}]", to_string(result.dtype()),
                  to_string(element), to_string(part.dtype()), to_string(part.shape()));
    }
    const ElementMover mover(part, result);
    for (std::int64_t o = 0; o < outer; ++o) mover.move(o * run, (o * count + i) * run, run);
  }
  return result;
}

void register_flow(Table& table) {
  table.add("If", if_then_else);
  table.add("Loop", loop);
  table.add("Scan", scan);
}

}  // namespace sparse_run::reference
