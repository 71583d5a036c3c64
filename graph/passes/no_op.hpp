// Recognises nodes that hand an operand on unchanged.
#pragma once

#include <optional>
#include <span>

#include "graph/ir/node.hpp"
#include "graph/ir/tensor.hpp"
#include "graph/ir/type.hpp"

namespace sparse_run {

/// The index of the operand that equals the node's first output whatever its elements are, provided no other output
/// is wanted; nullopt when the node does something, or when types are too vague to tell. `inputs` and `constants`
/// parallel to node.inputs (nullptr: not known), `outputs` parallel to node.outputs: inferred types.
std::optional<std::size_t> passed_through(const Node& node, std::span<const Type> inputs,
                                          std::span<const Tensor* const> constants, std::span<const Type> outputs);

}  // namespace sparse_run
