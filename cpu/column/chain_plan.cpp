// Bytes moved beyond the private cache against rows computed twice, both counted exactly.
#include "cpu/column/chain_plan.hpp"

#include <algorithm>
#include <limits>
#include <optional>

namespace sparse_run::cpu {

namespace {

constexpr int kLongest = 32;           // nodes of a segment
constexpr double kTaskSeconds = 4e-6;  // of handing out and finishing a task
constexpr double kCacheShare = 1.1;    // of the private cache that a strip may fill: not all rows are read at once
constexpr double kUnequalTasks = 0.2;  // of a task's time that threads lose to tasks of unequal length
constexpr double kComputedAgain = 2;   // times that what is computed twice costs: operands are read twice as well
constexpr double kRestart = 4;         // positions of a channel that a band reads in vain, until the hardware follows
constexpr int kNarrowestBand = 6;      // positions: fewer leave kernels too little to share a weight among

const ChainNode& node_of(const Chain& chain, int node) { return chain.nodes[static_cast<std::size_t>(node)]; }

/// How many threads' worth of time the tasks take beyond an even share.
double imbalance(int tasks, int threads) {
  if (threads <= 1) return 1;
  const int rounds = (tasks + threads - 1) / threads;
  const double factor = static_cast<double>(rounds) * threads / tasks;
  const double unequal = 1 + kUnequalTasks * threads / tasks;
  // tasks of the next segment fill most of a gap, unless the tasks are too few to begin it early
  return unequal * (tasks < 2 * threads ? factor : 1 + 0.5 * (factor - 1));
}

/// The best strips, chunk and bands for nodes [begin, end), and their time.
std::optional<std::pair<Segment, double>> best_segment(const Chain& chain, int begin, int end,
                                                       const ChainCosts& costs) {
  std::optional<std::pair<Segment, double>> best;
  Segment segment{begin, end, 1, 1, 1};
  const int rows = segment.rows(chain);
  const int width = row_positions(chain, node_of(chain, end - 1));
  const bool banded = end - begin > 1 && takes_bands(chain, segment);
  for (int strips = 1;; strips *= 2) {
    segment.strips = std::min(strips, rows);
    const int height = (rows + segment.strips - 1) / segment.strips;
    for (int chunk = 1;; chunk *= 2) {
      segment.chunk = std::min(chunk, height);
      for (segment.bands = 1; segment.bands == 1 || (banded && segment.bands * kNarrowestBand <= width);
           ++segment.bands) {
        const double seconds = segment_seconds(chain, segment, costs);
        if (!best || seconds < best->second) best = {segment, seconds};
      }
      if (segment.chunk == height || chunk >= 8) break;
    }
    if (segment.strips == rows || strips >= 16 * costs.threads) break;
  }
  return best;
}

/// Rows of a value from outside that are read from a chunk on, up to the last one it reads: what is to stay in the
/// cache for a value to be moved there once.
int rows_alive(const Chain& chain, const Segment& segment, const Chunk& chunk, int value) {
  int first = std::numeric_limits<int>::max(), last = 0;
  for (const int reader : chain.values[static_cast<std::size_t>(value)].readers) {
    if (reader < segment.begin || reader >= segment.end) continue;
    const ChainNode& node = node_of(chain, reader);
    const Chunk::Rows& rows = chunk.nodes[static_cast<std::size_t>(reader - segment.begin)];
    if (rows.begin >= rows.end) continue;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] != value) continue;
      first = std::min(first, node.windows[i].first(rows.begin));
      last = std::max(last, node.windows[i].last(rows.end - 1) + 1);
    }
  }
  return std::max(0, last - first);
}

}  // namespace

double segment_seconds(const Chain& chain, const Segment& segment, const ChainCosts& costs) {
  const auto count = static_cast<std::size_t>(segment.end - segment.begin);
  double seconds = 0, outer = 0, inner_traffic = 0;
  double held = 0;
  std::size_t weights = 0, chunks = 0;
  std::vector<std::int64_t> rows(count, 0);
  std::vector<double> row_bytes(count, 0), share(count, 0);  // of a row, and how much of it all bands compute together
  std::vector<int> outside;
  for (std::size_t i = 0; i < count; ++i) {
    const ChainNode& node = node_of(chain, segment.begin + static_cast<int>(i));
    if (node.output >= 0) {
      row_bytes[i] = static_cast<double>(chain.values[static_cast<std::size_t>(node.output)].shape.row_bytes());
    }
    weights += node.op->weight_bytes();
    for (const int input : node.inputs) {
      if (chain.values[static_cast<std::size_t>(input)].producer < segment.begin) outside.push_back(input);
    }
  }
  std::sort(outside.begin(), outside.end());
  outside.erase(std::unique(outside.begin(), outside.end()), outside.end());
  // shares of rows: what a band computes of each node's result and reads of each value from outside
  std::vector<double> widest(count, 0), read_share(outside.size(), 0), widest_read(outside.size(), 0);
  const double restart = segment.bands == 1 ? 0 : kRestart;
  for (int band = 0; band < segment.bands; ++band) {
    const std::vector<RowRange> columns = band_columns(chain, segment, band);
    for (std::size_t i = 0; i < count; ++i) {
      const ChainNode& node = node_of(chain, segment.begin + static_cast<int>(i));
      const double part = static_cast<double>(columns[i].count()) / row_positions(chain, node);
      share[i] += part;
      widest[i] = std::max(widest[i], part);
    }
    for (std::size_t v = 0; v < outside.size(); ++v) {
      const double part = (columns_read(chain, segment, columns, outside[v]).count() + restart) /
                          chain.values[static_cast<std::size_t>(outside[v])].shape.width;
      read_share[v] += part;
      widest_read[v] = std::max(widest_read[v], part);
    }
  }
  for (int strip = 0; strip < segment.strips; ++strip) {
    const StripWalk walk = StripWalk::of(chain, segment, strip);
    double own = segment.chunk * row_bytes[count - 1] * widest[count - 1];
    for (std::size_t i = 0; i < count; ++i) {
      own += walk.capacity[i] * row_bytes[i] * widest[i];
      for (const Chunk& chunk : walk.chunks) rows[i] += std::max(0, chunk.nodes[i].end - chunk.nodes[i].begin);
    }
    for (std::size_t v = 0; v < outside.size(); ++v) {
      const ChainValue& value = chain.values[static_cast<std::size_t>(outside[v])];
      const auto bytes = static_cast<double>(value.shape.row_bytes());
      const double read = rows_read(chain, segment, walk, outside[v]).count() * bytes * read_share[v];
      outer += read;
      int readers = 0, alive = 0;
      for (const int reader : value.readers) readers += reader >= segment.begin && reader < segment.end ? 1 : 0;
      inner_traffic += (readers - 1) * read;
      for (const Chunk& chunk : walk.chunks) alive = std::max(alive, rows_alive(chain, segment, chunk, outside[v]));
      own += alive * bytes * widest_read[v];
    }
    held = std::max(held, own);
    chunks += walk.chunks.size();
  }
  for (std::size_t i = 0; i < count; ++i) {
    const ChainNode& node = node_of(chain, segment.begin + static_cast<int>(i));
    const double rate = node.op->skips_zeros() ? costs.sparse_rate : costs.dense_rate;
    const double computed = static_cast<double>(rows[i]) * share[i];
    const double again = std::max(0.0, computed - node.rows);
    seconds += (computed + (kComputedAgain - 1) * again) * node.op->flops_per_row() / rate;
    (i + 1 == count ? outer : inner_traffic) += 2 * computed * row_bytes[i];
  }
  const double cache = kCacheShare * static_cast<double>(costs.private_cache);
  if (held > cache) outer += inner_traffic * std::min(1.0, (held - cache) / cache);
  const bool weights_stay = held + static_cast<double>(weights) <= cache;
  outer += static_cast<double>(weights) * segment.bands *
           static_cast<double>(weights_stay ? std::size_t(segment.strips) : chunks);
  const int tasks = segment.strips * segment.bands;
  seconds += outer / costs.outer_bandwidth + kTaskSeconds * tasks;
  return seconds * imbalance(tasks, costs.threads);
}

std::vector<Segment> plan_segments(const Chain& chain, const ChainCosts& costs, ColumnMode mode) {
  const auto count = static_cast<int>(chain.nodes.size());
  std::vector<double> seconds(static_cast<std::size_t>(count) + 1, std::numeric_limits<double>::infinity());
  std::vector<Segment> last(static_cast<std::size_t>(count) + 1);
  seconds[0] = 0;
  for (int end = 1; end <= count; ++end) {
    const int longest = mode == ColumnMode::layers ? 1 : kLongest;
    for (int begin = end - 1; begin >= std::max(0, end - longest); --begin) {
      if (!is_segment(chain, begin, end)) continue;
      const auto best = best_segment(chain, begin, end, costs);
      const double total = seconds[static_cast<std::size_t>(begin)] + best->second;
      if (total < seconds[static_cast<std::size_t>(end)]) {
        seconds[static_cast<std::size_t>(end)] = total;
        last[static_cast<std::size_t>(end)] = best->first;
      }
    }
  }
  std::vector<Segment> segments;
  for (int end = count; end > 0; end = segments.back().begin) segments.push_back(last[static_cast<std::size_t>(end)]);
  std::reverse(segments.begin(), segments.end());
  return segments;
}

}  // namespace sparse_run::cpu
