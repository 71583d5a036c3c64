// Assembling chains.
#include "cpu/column/chain.hpp"

#include <algorithm>

namespace sparse_run::cpu {

int Chain::add_value(int channels, int height, int width, int lanes) {
  ChainValue value;
  value.shape.channels = channels;
  value.shape.height = height;
  value.shape.width = width;
  value.shape.lanes = lanes;
  values.push_back(std::move(value));
  return static_cast<int>(values.size()) - 1;
}

int Chain::add_node(ChainNode node) {
  const int id = static_cast<int>(nodes.size());
  for (const int input : node.inputs) {
    std::vector<int>& readers = values[static_cast<std::size_t>(input)].readers;
    if (readers.empty() || readers.back() != id) readers.push_back(id);
  }
  if (node.output >= 0) values[static_cast<std::size_t>(node.output)].producer = id;
  nodes.push_back(std::move(node));
  return id;
}

void Chain::reserve(int value, const RowWindow& window, const RowWindow& columns, int out_height, int out_width) {
  ChainValue& read = values[static_cast<std::size_t>(value)];
  read.pad_top = std::max(read.pad_top, window.pad);
  read.pad_bottom = std::max(read.pad_bottom, window.last(out_height - 1) - (read.shape.height - 1));
  read.shape.pad_left = std::max(read.shape.pad_left, columns.pad);
  read.shape.pad_right = std::max(read.shape.pad_right, columns.last(out_width - 1) - (read.shape.width - 1));
}

}  // namespace sparse_run::cpu
