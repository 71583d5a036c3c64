// The control family's reference kernels, one registration function per concept.
#pragma once

#include "cpu/reference/reference.hpp"

namespace sparse_run::reference {

void register_flow(Table& table);       ///< If, Loop, Scan
void register_sequence(Table& table);   ///< Sequence*, SplitToSequence, ConcatFromSequence, Optional*
void register_recurrent(Table& table);  ///< RNN, GRU, LSTM
void register_random(Table& table);     ///< RandomNormal*, RandomUniform*, Bernoulli, Multinomial

/// Joins equally shaped tensors along a new axis. Error(input) when types or shapes differ; `parts` is not empty.
Tensor stack(std::span<const Tensor> parts, std::int64_t axis);

}  // namespace sparse_run::reference
