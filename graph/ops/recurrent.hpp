// What the attributes of RNN, GRU and LSTM say, read and checked once for inference and kernels.
#pragma once

#include <string>
#include <vector>

#include "graph/ir/node.hpp"

namespace sparse_run {

/// An activation of a recurrent network, with its parameters filled in.
struct RecurrentActivation {
  std::string name;  ///< in lower case
  float alpha = 0;
  float beta = 0;
};

struct RecurrentAttributes {
  std::size_t gates = 1;       ///< 1 RNN, 3 GRU, 4 LSTM
  std::vector<bool> reversed;  ///< one entry per direction
  bool batch_first = false;    ///< layout 1
  bool linear_before_reset = false;
  bool input_forget = false;
  float clip = 0;  ///< 0: none
  /// Per direction one (RNN), two (GRU) or three (LSTM).
  std::vector<std::vector<RecurrentActivation>> activations;
};

/// Error(model) for values that are not defined, Error(unsupported) for an unknown activation.
RecurrentAttributes recurrent_attributes(const Node& node);

}  // namespace sparse_run
