// A chain: operations over strips of rows, in an order in which they can run, before anything is decided about columns.
#pragma once

#include <memory>
#include <vector>

#include "cpu/column/row_op.hpp"

namespace sparse_run::cpu {

/// A tensor within a chain, per group of images.
struct ChainValue {
  StripShape shape;
  int pad_top = 0, pad_bottom = 0;  ///< rows of zeros that readers reach above and below
  int producer = -1;                ///< node
  std::vector<int> readers;         ///< nodes, ascending
};

struct ChainNode {
  std::unique_ptr<RowOp> op;
  std::vector<int> inputs;         ///< values; none for what enters the chain
  std::vector<RowWindow> windows;  ///< parallel to inputs
  std::vector<RowWindow> columns;  ///< the same along the width; empty: each position reads the one at its place
  int output = -1;                 ///< value; -1 for what leaves the chain
  int rows = 0;                    ///< height of the result
  int layer = 0;                   ///< whose time and arithmetic it is
};

/// Whether a node's result may be cut into bands of positions.
inline bool takes_columns(const ChainNode& node) { return node.output >= 0 && node.op->takes_columns(); }

/// Nodes in topological order. What enters from outside and what leaves are nodes of their own.
struct Chain {
  std::vector<ChainValue> values;
  std::vector<ChainNode> nodes;

  /// Adds a value and returns its number; paddings are widened by add_node.
  int add_value(int channels, int height, int width, int lanes);
  int add_node(ChainNode node);
  /// Widens the paddings of a value so that `window` over it, with `columns` the same along the width and results of
  /// the given size, reads only what is stored.
  void reserve(int value, const RowWindow& window, const RowWindow& columns, int out_height, int out_width);
};

}  // namespace sparse_run::cpu
