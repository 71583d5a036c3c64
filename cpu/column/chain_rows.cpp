// Walking a strip backwards through its readers' windows, chunk by chunk.
#include "cpu/column/chain_rows.hpp"

#include <algorithm>
#include <limits>

namespace sparse_run::cpu {

namespace {

const ChainNode& node_of(const Chain& chain, int node) { return chain.nodes[static_cast<std::size_t>(node)]; }

/// body(reader, window) for every read of `value` by a node of the segment.
template <class Body>
void over_readers(const Chain& chain, const Segment& segment, int value, const Body& body) {
  for (const int reader : chain.values[static_cast<std::size_t>(value)].readers) {
    if (reader < segment.begin || reader >= segment.end) continue;
    const ChainNode& node = node_of(chain, reader);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == value) body(reader, node.windows[i]);
    }
  }
}

}  // namespace

bool takes_bands(const Chain& chain, const Segment& segment) {
  for (int node = segment.begin; node < segment.end; ++node) {
    if (!takes_columns(node_of(chain, node))) return false;
  }
  return true;
}

int row_positions(const Chain& chain, const ChainNode& node) {
  return node.output < 0 ? 1 : chain.values[static_cast<std::size_t>(node.output)].shape.width;
}

RowRange columns_read(const Chain& chain, const Segment& segment, std::span<const RowRange> columns, int value) {
  if (segment.bands == 1) return {0, chain.values[static_cast<std::size_t>(value)].shape.width};
  RowRange range{std::numeric_limits<int>::max(), 0};
  for (const int reader : chain.values[static_cast<std::size_t>(value)].readers) {
    if (reader < segment.begin || reader >= segment.end) continue;
    const ChainNode& node = node_of(chain, reader);
    const RowRange& computed = columns[static_cast<std::size_t>(reader - segment.begin)];
    if (computed.count() <= 0) continue;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] != value) continue;
      const RowWindow window = node.columns.empty() ? RowWindow{} : node.columns[i];
      range.begin = std::min(range.begin, window.first(computed.begin));
      range.end = std::max(range.end, window.last(computed.end - 1) + 1);
    }
  }
  const int width = chain.values[static_cast<std::size_t>(value)].shape.width;
  range.end = std::clamp(range.end, 0, width);
  range.begin = std::clamp(range.begin, 0, range.end);
  return range;
}

std::vector<RowRange> band_columns(const Chain& chain, const Segment& segment, int band) {
  const auto count = static_cast<std::size_t>(segment.end - segment.begin);
  std::vector<RowRange> columns(count);
  const int width = row_positions(chain, node_of(chain, segment.end - 1));
  columns[count - 1] = {static_cast<int>(std::int64_t{width} * band / segment.bands),
                        static_cast<int>(std::int64_t{width} * (band + 1) / segment.bands)};
  for (std::size_t i = count - 1; i-- > 0;) {
    const ChainNode& node = node_of(chain, segment.begin + static_cast<int>(i));
    columns[i] = segment.bands == 1 ? RowRange{0, row_positions(chain, node)}
                                    : columns_read(chain, segment, columns, node.output);
  }
  return columns;
}

bool is_segment(const Chain& chain, int begin, int end) {
  for (int node = begin; node + 1 < end; ++node) {
    const int value = node_of(chain, node).output;
    if (value < 0) return false;
    const std::vector<int>& readers = chain.values[static_cast<std::size_t>(value)].readers;
    if (readers.empty() || readers.back() >= end) return false;
  }
  return begin < end;
}

StripWalk StripWalk::of(const Chain& chain, const Segment& segment, int strip) {
  const auto count = static_cast<std::size_t>(segment.end - segment.begin);
  const int rows = segment.rows(chain);
  const int first = segment.strip_begin(chain, strip), last = segment.strip_begin(chain, strip + 1);
  StripWalk walk;
  walk.capacity.assign(count, 0);
  const auto value_of = [&](std::size_t i) -> const ChainValue* {
    const int value = node_of(chain, segment.begin + static_cast<int>(i)).output;
    return value < 0 ? nullptr : &chain.values[static_cast<std::size_t>(value)];
  };
  const ChainValue* result = value_of(count - 1);
  const int above = result == nullptr ? 0 : result->pad_top, below = result == nullptr ? 0 : result->pad_bottom;

  std::vector<int> next(count);  // first row each node has not computed
  next[count - 1] = first == 0 ? -above : first;
  // First row of a node's result that the rows from next on of its readers need.
  const auto low_of = [&](std::size_t i) {
    const ChainValue& value = *value_of(i);
    int low = std::numeric_limits<int>::max();
    over_readers(chain, segment, node_of(chain, segment.begin + static_cast<int>(i)).output,
                 [&](int reader, const RowWindow& window) {
                   const auto at = static_cast<std::size_t>(reader - segment.begin);
                   if (next[at] >= node_of(chain, reader).rows) return;
                   low = std::min(low, std::max(window.first(std::max(next[at], 0)), -value.pad_top));
                 });
    return low;
  };
  for (std::size_t i = count - 1; i-- > 0;) {
    const int low = low_of(i);
    next[i] = low == std::numeric_limits<int>::max() ? value_of(i)->shape.height : low;
  }

  std::vector<int> end(count);
  for (int row = first; row < last; row += segment.chunk) {
    Chunk chunk;
    chunk.nodes.resize(count);
    end[count - 1] = std::min(row + segment.chunk, last);
    if (end[count - 1] == rows) end[count - 1] += below;
    for (std::size_t i = count - 1; i-- > 0;) {
      const ChainValue& value = *value_of(i);
      end[i] = next[i];
      over_readers(chain, segment, node_of(chain, segment.begin + static_cast<int>(i)).output,
                   [&](int reader, const RowWindow& window) {
                     const auto at = static_cast<std::size_t>(reader - segment.begin);
                     const int computed = std::min(end[at], node_of(chain, reader).rows);
                     if (computed <= std::max(next[at], 0)) return;
                     end[i] = std::max(end[i],
                                       std::min(window.last(computed - 1) + 1, value.shape.height + value.pad_bottom));
                   });
    }
    for (std::size_t i = 0; i < count; ++i) {
      Chunk::Rows& node = chunk.nodes[i];
      node.begin = next[i];
      node.end = end[i];
      if (i + 1 == count) break;
      node.low = std::min(low_of(i), end[i]);
      node.begin = std::max(node.begin, node.low);  // rows that strides skip are not computed
      walk.capacity[i] = std::max(walk.capacity[i], end[i] - node.low);
    }
    next = end;
    walk.chunks.push_back(std::move(chunk));
  }
  return walk;
}

std::vector<std::int64_t> positions_computed(const Chain& chain, const Segment& segment) {
  const auto count = static_cast<std::size_t>(segment.end - segment.begin);
  std::vector<std::int64_t> rows(count, 0), columns(count, 0);
  for (int strip = 0; strip < segment.strips; ++strip) {
    const StripWalk walk = StripWalk::of(chain, segment, strip);
    for (const Chunk& chunk : walk.chunks) {
      for (std::size_t i = 0; i < count; ++i) {
        const int height = node_of(chain, segment.begin + static_cast<int>(i)).rows;
        rows[i] += std::max(0, std::min(chunk.nodes[i].end, height) - std::max(chunk.nodes[i].begin, 0));
      }
    }
  }
  for (int band = 0; band < segment.bands; ++band) {
    const std::vector<RowRange> computed = band_columns(chain, segment, band);
    for (std::size_t i = 0; i < count; ++i) columns[i] += computed[i].count();
  }
  for (std::size_t i = 0; i < count; ++i) rows[i] *= columns[i];
  return rows;
}

RowRange rows_read(const Chain& chain, const Segment& segment, const StripWalk& walk, int value) {
  RowRange range{std::numeric_limits<int>::max(), std::numeric_limits<int>::min()};
  const ChainValue& read = chain.values[static_cast<std::size_t>(value)];
  over_readers(chain, segment, value, [&](int reader, const RowWindow& window) {
    const auto at = static_cast<std::size_t>(reader - segment.begin);
    const int rows = node_of(chain, reader).rows;
    for (const Chunk& chunk : walk.chunks) {
      const int begin = std::max(chunk.nodes[at].begin, 0), end = std::min(chunk.nodes[at].end, rows);
      if (begin >= end) continue;
      range.begin = std::min(range.begin, std::max(window.first(begin), -read.pad_top));
      range.end = std::max(range.end, std::min(window.last(end - 1) + 1, read.shape.height + read.pad_bottom));
    }
  });
  if (range.begin > range.end) return {0, 0};
  return range;
}

}  // namespace sparse_run::cpu
