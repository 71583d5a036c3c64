// Operators that work row by row: which operands they read by row, and the same node for another number of rows.
#pragma once

#include <string>
#include <vector>

#include "graph/ir/graph.hpp"

namespace sparse_run {

/// How a node reads its operands when row i of its results needs row i of some operands and the whole of the others.
struct RowReads {
  bool possible = false;
  std::string obstacle;      ///< why it is not, as the end of a sentence about the node
  std::vector<bool> by_row;  ///< parallel to the node's operands; false also where one is omitted
};

/// `rows`: dimension 0 of every result. All types have to be concrete; otherwise that is the obstacle.
RowReads reads_by_row(const Graph& graph, const Node& node, std::int64_t rows);

/// The operand that holds a shape which counts the rows of the result, when the operator has one.
std::optional<std::size_t> shape_operand(const Node& node);

}  // namespace sparse_run
