// Registers the control operators: bodies, sequences, recurrent networks, random generators.
#include "graph/ops/control.hpp"

namespace sparse_run {

void register_control_ops(OpRegistry& registry) {
  register_flow_ops(registry);
  register_sequence_ops(registry);
  register_recurrent_ops(registry);
  register_random_ops(registry);
}

}  // namespace sparse_run
