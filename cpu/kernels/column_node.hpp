// How one node of a graph computes on strips of rows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cpu/column/chain.hpp"
#include "cpu/step.hpp"

namespace sparse_run::cpu {

/// What a node does within a chain; its operation is made once the chain's values have their final paddings.
struct ColumnNode {
  enum class Kind { convolution, pool, global_average, map, binary, concat };
  Kind kind = Kind::map;
  std::vector<ValueId> operands;   ///< tensors of the chain, in the operation's order
  std::vector<RowWindow> rows;     ///< parallel to operands
  std::vector<RowWindow> columns;  ///< the same along the width
};

/// Describes the node, or says why it cannot run in columns. All tensors are f32 of shape [images, channels, height,
/// width].
std::optional<std::string> describe_column_node(const NodeView& view, ColumnNode& node);

/// Makes the operation. `input` is how the first operand is stored. `kernel` receives its name.
std::unique_ptr<RowOp> make_row_op(const NodeView& view, const ColumnNode& node, const StripShape& input,
                                   std::size_t output, Isa isa, std::string& kernel);

}  // namespace sparse_run::cpu
