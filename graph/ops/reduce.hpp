// Which axes a reduction works on, for inference and kernels alike.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/ir/node.hpp"

namespace sparse_run {

/// True when the Reduce* node takes its axes as operand 1 (ReduceSum from opset 13, the others from 18) and not as an
/// attribute.
bool axes_are_operand(const Node& node);

/// The axes in [0, rank), ascending, that a Reduce* node reduces: the operand's value or the attribute; when neither
/// names one, all of them, or none with noop_with_empty_axes. Error(model) for an axis outside or named twice.
std::vector<std::int64_t> reduced_axes(const Node& node, std::optional<std::vector<std::int64_t>> operand,
                                       std::size_t rank);

/// First axis of what Softmax, LogSoftmax and Hardmax normalise together: before opset 13 that is everything from
/// 'axis' on (which may equal the rank), after it 'axis' alone.
std::int64_t softmax_axis(const Node& node, std::size_t rank);

}  // namespace sparse_run
