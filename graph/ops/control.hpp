// The control family's parts, one registration function per concept.
#pragma once

#include "graph/ops/schema.hpp"

namespace sparse_run {

void register_flow_ops(OpRegistry& registry);       ///< If, Loop, Scan
void register_sequence_ops(OpRegistry& registry);   ///< Sequence*, SplitToSequence, ConcatFromSequence, Optional*
void register_recurrent_ops(OpRegistry& registry);  ///< RNN, GRU, LSTM
void register_random_ops(OpRegistry& registry);     ///< RandomNormal*, RandomUniform*, Bernoulli, Multinomial

/// How a Scan node divides its operands and outputs between states and scanned tensors.
struct ScanLayout {
  std::size_t offset = 0;  ///< operands before the states: 1 at opset 8 (sequence_lens), else 0
  std::size_t states = 0;
  std::size_t scans = 0;    ///< scanned operands
  std::size_t outputs = 0;  ///< scanned outputs
  bool batched = false;     ///< opset 8: axis 0 of every operand is the batch, axis 1 of scanned ones the sequence

  std::vector<std::int64_t> input_axes;  ///< per scanned operand, may be negative
  std::vector<bool> input_reversed;
  std::vector<std::int64_t> output_axes;  ///< per scanned output, may be negative
  std::vector<bool> output_reversed;
};

/// Reads and checks a Scan node's attributes against its operands and body; Error(model) when they disagree.
ScanLayout scan_layout(const Node& node);

/// The shape in which a body takes a scalar that Loop supplies (iteration number, condition): {1} where the body's
/// input is declared as a list, else {}.
Shape loop_scalar_shape(const Graph& body, std::size_t input);

}  // namespace sparse_run
