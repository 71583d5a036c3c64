// Operators that, with certain attributes, shapes or constants, do nothing.
#include "graph/passes/no_op.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "graph/passes/scalar.hpp"

namespace sparse_run {

namespace {

bool is_one_of(std::string_view op, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), op) != names.end();
}

bool same_concrete(const Type& a, const Type& b) { return a.is_concrete() && b.is_concrete() && a.shape == b.shape; }

/// Equal shapes of a reshaping operator: element counts agree, so one unknown dimension at the same place is equal
/// too, as long as no other dimension is zero.
bool same_reshaped(const Type& a, const Type& b) {
  if (same_concrete(a, b)) return true;
  if (!a.shape || !b.shape || *a.shape != *b.shape) return false;
  return std::count(a.shape->begin(), a.shape->end(), kUnknownDim) == 1 &&
         std::count(a.shape->begin(), a.shape->end(), 0) == 0;
}

bool identity_permutation(const Node& node, const Type& input) {
  const auto* perm = node.find<std::vector<std::int64_t>>("perm");
  if (perm == nullptr) return input.shape && input.shape->size() <= 1;
  for (std::size_t i = 0; i < perm->size(); ++i) {
    if ((*perm)[i] != static_cast<std::int64_t>(i)) return false;
  }
  return true;
}

bool all_integers(const Tensor* tensor, auto&& predicate) {
  if (tensor == nullptr || (tensor->dtype() != DType::i64 && tensor->dtype() != DType::i32)) return false;
  return std::ranges::all_of(tensor->to_int64(), predicate);
}

bool forward_slice(const Node& node, std::span<const Tensor* const> constants) {
  if (node.inputs.size() < 5 || node.inputs[4] == kNoValue) return true;
  return all_integers(constants[4], [](std::int64_t step) { return step > 0; });
}

bool pads_nothing(const Node& node, std::span<const Tensor* const> constants) {
  const auto zero = [](std::int64_t pad) { return pad == 0; };
  if (node.opset < 11) return std::ranges::all_of(node.ints_or("pads"), zero);
  return node.inputs.size() > 1 && all_integers(constants[1], zero);
}

bool inference_dropout(const Node& node, std::span<const Tensor* const> constants) {
  if (node.opset < 12 || node.inputs.size() < 3 || node.inputs[2] == kNoValue) return true;
  const Tensor* training = constants[2];
  return training != nullptr && training->dtype() == DType::boolean && training->size() == 1 &&
         !training->data<bool>()[0];
}

std::optional<std::size_t> arithmetic(const Node& node, std::span<const Type> inputs,
                                      std::span<const Tensor* const> constants, const Type& output) {
  const auto neutral = [&](std::size_t i, double value) {
    return scalar_of(constants[i]) == value && same_concrete(inputs[1 - i], output);
  };
  if (node.op == "Mul" && neutral(0, 1)) return 1;
  if ((node.op == "Mul" || node.op == "Div") && neutral(1, 1)) return 0;
  if (node.op == "Sub" && neutral(1, 0)) return 0;
  return std::nullopt;
}

}  // namespace

std::optional<std::size_t> passed_through(const Node& node, std::span<const Type> inputs,
                                          std::span<const Tensor* const> constants, std::span<const Type> outputs) {
  if (!node.domain.empty() || node.inputs.empty() || node.inputs[0] == kNoValue) return std::nullopt;
  if (node.outputs.empty() || node.outputs[0] == kNoValue) return std::nullopt;
  for (std::size_t i = 1; i < node.outputs.size(); ++i) {
    if (node.outputs[i] != kNoValue) return std::nullopt;
  }
  const std::string_view op = node.op;
  const Type& input = inputs[0];
  const Type& output = outputs[0];
  const auto first_if = [](bool unchanged) { return unchanged ? std::optional<std::size_t>(0) : std::nullopt; };

  if (op == "Identity") return 0;
  if (op == "Dropout") return first_if(inference_dropout(node, constants));
  if (is_one_of(op, {"Cast", "CastLike"})) {
    return first_if(input.dtype != DType::undefined && input.dtype == output.dtype);
  }
  if (is_one_of(op, {"Reshape", "Flatten", "Squeeze", "Unsqueeze"})) return first_if(same_reshaped(input, output));
  if (is_one_of(op, {"Expand", "Tile"})) return first_if(same_concrete(input, output));
  if (op == "Transpose") return first_if(identity_permutation(node, input));
  if (op == "Slice") return first_if(same_concrete(input, output) && forward_slice(node, constants));
  if (op == "Pad") return first_if(pads_nothing(node, constants));
  if (is_one_of(op, {"Concat", "Sum", "Max", "Min", "Mean"})) return first_if(node.inputs.size() == 1);
  if (op == "Split") return first_if(node.outputs.size() == 1 && same_concrete(input, output));
  if (node.inputs.size() == 2 && node.inputs[1] != kNoValue) return arithmetic(node, inputs, constants, output);
  return std::nullopt;
}

}  // namespace sparse_run
