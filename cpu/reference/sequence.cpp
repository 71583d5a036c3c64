// Reference kernels of sequences and optionals.
#include "cpu/reference/control.hpp"
#include "cpu/reference/elements.hpp"
#include "graph/ops/geometry.hpp"

namespace sparse_run::reference {

namespace {

const std::vector<Value>& elements_of(const Context& ctx, std::size_t i) {
  const Value& value = ctx.input_value(i);
  if (value.kind != ValueKind::sequence) throw_error(ErrorKind::model, "input {} must be a sequence", i);
  return value.elements;
}

// A position in [-count, count), or [-count, count] where the end counts too; made non-negative.
std::size_t position_in(std::int64_t position, std::size_t count, bool end_counts) {
  const auto size = static_cast<std::int64_t>(count);
  if (position < -size || position >= size + (end_counts ? 1 : 0)) {
    throw_error(ErrorKind::input, "position {} is outside a sequence of {}", position, size);
  }
  return static_cast<std::size_t>(position < 0 ? position + size : position);
}

void construct(Context& ctx) {
  std::vector<Value> elements;
  for (std::size_t i = 0; i < ctx.input_count(); ++i) elements.push_back(retained(ctx.input_value(i)));
  ctx.set_output(0, Value::sequence(std::move(elements)));
}

void empty(Context& ctx) { ctx.set_output(0, Value::sequence({})); }

void insert(Context& ctx) {
  std::vector<Value> elements = elements_of(ctx, 0);
  const std::size_t at =
      ctx.has_input(2) ? position_in(integer_scalar(ctx.input(2)), elements.size(), true) : elements.size();
  elements.insert(elements.begin() + static_cast<std::ptrdiff_t>(at), retained(ctx.input_value(1)));
  ctx.set_output(0, Value::sequence(std::move(elements)));
}

void erase(Context& ctx) {
  std::vector<Value> elements = elements_of(ctx, 0);
  const std::size_t at =
      position_in(ctx.has_input(1) ? integer_scalar(ctx.input(1)) : std::int64_t{-1}, elements.size(), false);
  elements.erase(elements.begin() + static_cast<std::ptrdiff_t>(at));
  ctx.set_output(0, Value::sequence(std::move(elements)));
}

void at(Context& ctx) {
  const std::vector<Value>& elements = elements_of(ctx, 0);
  ctx.set_output(0, elements[position_in(integer_scalar(ctx.input(1)), elements.size(), false)]);
}

void length(Context& ctx) {
  ctx.output(0).data<std::int64_t>()[0] = static_cast<std::int64_t>(elements_of(ctx, 0).size());
}

void map(Context& ctx) {
  const std::vector<Value>& first = elements_of(ctx, 0);
  std::vector<std::vector<Value>> results(ctx.node().outputs.size());
  for (std::size_t e = 0; e < first.size(); ++e) {
    std::vector<Value> inputs{first[e]};
    for (std::size_t i = 1; i < ctx.input_count(); ++i) {
      const Value& operand = ctx.input_value(i);
      if (operand.kind != ValueKind::sequence) {
        inputs.push_back(operand);
        continue;
      }
      if (operand.elements.size() != first.size()) {
        throw_error(ErrorKind::input, "input {} has {} elements, input 0 has {}", i, operand.elements.size(),
                    first.size());
      }
      inputs.push_back(operand.elements[e]);
    }
    std::vector<Value> outputs = ctx.run_body("body", inputs);
    for (std::size_t i = 0; i < results.size(); ++i) results[i].push_back(retained(outputs[i]));
  }
  for (std::size_t i = 0; i < results.size(); ++i) ctx.set_output(i, Value::sequence(std::move(results[i])));
}

void split_to_sequence(Context& ctx) {
  const Tensor& input = ctx.input(0);
  const auto axis = static_cast<std::size_t>(normalize_axis(ctx.node().int_or("axis", 0), input.rank()));
  const std::int64_t dim = input.shape()[axis];
  std::vector<std::int64_t> sizes;
  bool keep_axis = true;
  if (!ctx.has_input(1)) {
    sizes.assign(static_cast<std::size_t>(dim), 1);
    keep_axis = ctx.node().int_or("keepdims", 1) != 0;
  } else if (ctx.input(1).rank() == 0) {
    const std::int64_t size = integer_scalar(ctx.input(1));
    if (size < 1) throw_error(ErrorKind::input, "split size {} is not positive", size);
    for (std::int64_t start = 0; start < dim; start += size) {
      sizes.push_back(std::min(size, dim - start));
      if (size >= dim - start) break;
    }
  } else {
    const auto given = ctx.input(1).to_int64();
    sizes = given.empty() && dim == 0 ? given : split_sizes(dim, given.size(), given, false);
  }
  const std::int64_t outer = extent(input.shape(), 0, axis);
  const std::int64_t run = extent(input.shape(), axis + 1, input.rank());
  std::vector<Value> parts;
  std::int64_t start = 0;
  for (const std::int64_t size : sizes) {
    Shape shape = input.shape();
    shape[axis] = size;
    if (!keep_axis) shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
    Tensor part = Tensor::allocate(input.dtype(), std::move(shape));
    const ElementMover mover(input, part);
    for (std::int64_t o = 0; o < outer; ++o) mover.move((o * dim + start) * run, o * size * run, size * run);
    parts.emplace_back(std::move(part));
    start += size;
  }
  ctx.set_output(0, Value::sequence(std::move(parts)));
}

void concat_from_sequence(Context& ctx) {
  const std::vector<Value>& elements = elements_of(ctx, 0);
  if (elements.empty()) throw_error(ErrorKind::input, "an empty sequence cannot be joined");
  std::vector<Tensor> parts;
  for (const Value& element : elements) {
    if (!element.is_tensor()) throw_error(ErrorKind::model, "the sequence must hold tensors");
    parts.push_back(element.tensor);
  }
  const std::int64_t given = ctx.node().get<std::int64_t>("axis");
  if (ctx.node().int_or("new_axis", 0) != 0) return ctx.set_output(0, stack(parts, given));
  Shape shape = parts[0].shape();
  const auto axis = static_cast<std::size_t>(normalize_axis(given, shape.size()));
  shape[axis] = 0;
  for (const Tensor& part : parts) {
    Shape expected = shape;
    if (part.rank() == expected.size()) expected[axis] = part.shape()[axis];
    if (part.shape() != expected || part.dtype() != parts[0].dtype()) {
      throw_error(ErrorKind::input, "tensors of shapes {} and {} cannot be joined along axis {}",
                  to_string(parts[0].shape()), to_string(part.shape()), axis);
    }
  }
  for (const Tensor& part : parts) shape[axis] = add_dims(shape[axis], part.shape()[axis], "the joined axis");
  Tensor& output = ctx.allocate(0, parts[0].dtype(), shape);
  const std::int64_t outer = extent(shape, 0, axis);
  const std::int64_t row = extent(shape, axis, shape.size());
  std::int64_t offset = 0;
  for (const Tensor& part : parts) {
    const ElementMover mover(part, output);
    const std::int64_t run = extent(part.shape(), axis, part.rank());
    for (std::int64_t o = 0; o < outer; ++o) mover.move(o * run, o * row + offset, run);
    offset += run;
  }
}

void optional(Context& ctx) {
  ctx.set_output(0, ctx.has_input(0) ? Value::some(retained(ctx.input_value(0))) : Value::none());
}

void has_element(Context& ctx) {
  bool present = false;
  if (ctx.has_input(0)) {
    const Value& value = ctx.input_value(0);
    present = value.kind != ValueKind::optional || !value.elements.empty();
  }
  ctx.output(0).data<bool>()[0] = present;
}

void get_element(Context& ctx) {
  const Value& value = ctx.input_value(0);
  if (value.kind != ValueKind::optional) return ctx.set_output(0, value);
  if (value.elements.empty()) throw_error(ErrorKind::input, "the optional is empty");
  ctx.set_output(0, value.elements.front());
}

}  // namespace

void register_sequence(Table& table) {
  table.add("SequenceConstruct", construct);
  table.add("SequenceEmpty", empty);
  table.add("SequenceInsert", insert);
  table.add("SequenceErase", erase);
  table.add("SequenceAt", at);
  table.add("SequenceLength", length);
  table.add("SequenceMap", map);
  table.add("SplitToSequence", split_to_sequence);
  table.add("ConcatFromSequence", concat_from_sequence);
  table.add("Optional", optional);
  table.add("OptionalHasElement", has_element);
  table.add("OptionalGetElement", get_element);
}

}  // namespace sparse_run::reference
