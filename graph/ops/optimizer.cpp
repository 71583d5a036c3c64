// Schemas and type inference: optimisers of training graphs (domain ai.onnx.preview.training).
#include "graph/ops/operand_rules.hpp"
#include "graph/ops/subfamilies.hpp"

namespace sparse_run {

namespace {

/// Operands: learning rate, update count, then the tensors, their gradients and their State accumulators, each group
/// in the same order. Results: the new tensors, then the new accumulators.
template <std::size_t State>
void infer_optimizer(InferContext& context) {
  constexpr std::size_t kGroups = 2 + State;
  const std::size_t operands = context.input_count() - 2;
  if (operands % kGroups != 0) {
    throw_error(ErrorKind::model, "{} operands after learning rate and update count, expected a multiple of {}",
                operands, kGroups);
  }
  const std::size_t tensors = operands / kGroups;
  if (context.node().outputs.size() != tensors * (1 + State)) {
    throw_error(ErrorKind::model, "{} outputs named, {} optimised tensors give {}", context.node().outputs.size(),
                tensors, tensors * (1 + State));
  }
  for (std::size_t i = 0; i < 2; ++i) {
    expect_dtype(context, i, i == 0 ? kFloat : kIndex);
    expect_broadcast_to(context, i, Shape{1});
  }
  for (std::size_t t = 0; t < tensors; ++t) {
    Type type = context.input(2 + t);
    for (std::size_t group = 0; group < kGroups; ++group) {
      expect_dtype(context, 2 + group * tensors + t, kFloat);
      type = merge(type, context.input(2 + group * tensors + t));
    }
    for (std::size_t result = 0; result < 1 + State; ++result) context.set_output(result * tensors + t, type);
  }
}

void infer_momentum(InferContext& context) {
  const std::string& mode = context.node().get<std::string>("mode");
  if (mode != "standard" && mode != "nesterov") {
    throw_error(ErrorKind::model, "attribute 'mode' is '{}', expected standard or nesterov", mode);
  }
  infer_optimizer<1>(context);
}

OpSchema optimizer(std::string_view name, int least, InferFunction infer) {
  return {.domain = "ai.onnx.preview.training",
          .name = name,
          .min_inputs = least,
          .max_outputs = kUnlimited,
          .infer = infer};
}

}  // namespace

void register_optimizer_ops(OpRegistry& registry) {
  registry.add(optimizer("Adagrad", 5, infer_optimizer<1>));
  registry.add(optimizer("Adam", 6, infer_optimizer<2>));
  registry.add(optimizer("Momentum", 5, infer_momentum));
}

}  // namespace sparse_run
