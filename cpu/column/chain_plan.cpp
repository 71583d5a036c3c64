// Bytes moved beyond the private cache against rows computed twice, both counted exactly.
#include "cpu/column/chain_plan.hpp"

#include <algorithm>
#include <limits>
#include <optional>

namespace sparse_run::cpu {

namespace {

constexpr int kLongest = 32;           // nodes of a segment
constexpr double kTaskSeconds = 4e-6;  // of handing out and finishing a task

const ChainNode& node_of(const Chain& chain, int node) { return chain.nodes[static_cast<std::size_t>(node)]; }

/// How many threads' worth of time the strips take beyond an even share.
double imbalance(int strips, int threads) {
  if (threads <= 1) return 1;
  const int rounds = (strips + threads - 1) / threads;
  const double factor = static_cast<double>(rounds) * threads / strips;
  // tasks of the next segment fill most of a gap, unless the strips are too few to begin it early
  return strips < 2 * threads ? factor : 1 + 0.5 * (factor - 1);
}

/// The best strips and chunk for nodes [begin, end), and their time.
std::optional<std::pair<Segment, double>> best_segment(const Chain& chain, int begin, int end,
                                                       const ChainCosts& costs) {
  std::optional<std::pair<Segment, double>> best;
  Segment segment{begin, end, 1, 1};
  const int rows = segment.rows(chain);
  for (int strips = 1;; strips *= 2) {
    segment.strips = std::min(strips, rows);
    const int height = (rows + segment.strips - 1) / segment.strips;
    for (int chunk = 1;; chunk *= 2) {
      segment.chunk = std::min(chunk, height);
      const double seconds = segment_seconds(chain, segment, costs);
      if (!best || seconds < best->second) best = {segment, seconds};
      if (segment.chunk == height || chunk >= 8) break;
    }
    if (segment.strips == rows || strips >= 16 * costs.threads) break;
  }
  return best;
}

}  // namespace

double segment_seconds(const Chain& chain, const Segment& segment, const ChainCosts& costs) {
  const auto count = static_cast<std::size_t>(segment.end - segment.begin);
  double seconds = 0, outer = 0, inner_traffic = 0;
  std::size_t buffers = 0, weights = 0, chunks = 0;
  std::vector<std::int64_t> rows(count, 0);
  std::vector<std::size_t> row_bytes(count, 0);
  for (std::size_t i = 0; i < count; ++i) {
    const ChainNode& node = node_of(chain, segment.begin + static_cast<int>(i));
    if (node.output >= 0) row_bytes[i] = chain.values[static_cast<std::size_t>(node.output)].shape.row_bytes();
    weights += node.op->weight_bytes();
  }
  for (int strip = 0; strip < segment.strips; ++strip) {
    const StripWalk walk = StripWalk::of(chain, segment, strip);
    std::size_t own = 0;
    for (std::size_t i = 0; i < count; ++i) {
      own += static_cast<std::size_t>(walk.capacity[i]) * row_bytes[i];
      const ChainNode& node = node_of(chain, segment.begin + static_cast<int>(i));
      for (const Chunk& chunk : walk.chunks) rows[i] += std::max(0, chunk.nodes[i].end - chunk.nodes[i].begin);
      for (std::size_t j = 0; j < node.inputs.size(); ++j) {
        const ChainValue& value = chain.values[static_cast<std::size_t>(node.inputs[j])];
        if (value.producer >= segment.begin) continue;
        const RowRange range = rows_read(chain, segment, walk, node.inputs[j]);
        outer += static_cast<double>(range.end - range.begin) * static_cast<double>(value.shape.row_bytes());
      }
    }
    buffers = std::max(buffers, own);
    chunks += walk.chunks.size();
  }
  for (std::size_t i = 0; i < count; ++i) {
    const ChainNode& node = node_of(chain, segment.begin + static_cast<int>(i));
    const double rate = node.op->skips_zeros() ? costs.sparse_rate : costs.dense_rate;
    const double bytes = static_cast<double>(rows[i]) * static_cast<double>(row_bytes[i]);
    seconds += static_cast<double>(rows[i]) * node.op->flops_per_row() / rate;
    (i + 1 == count ? outer : inner_traffic) += 2 * bytes;
  }
  const double cache = 0.7 * static_cast<double>(costs.private_cache);
  const auto held = static_cast<double>(buffers);
  if (held > cache) outer += inner_traffic * std::min(1.0, (held - cache) / cache);
  const bool weights_stay = held + static_cast<double>(weights) <= cache;
  outer += static_cast<double>(weights) * static_cast<double>(weights_stay ? std::size_t(segment.strips) : chunks);
  seconds += outer / costs.outer_bandwidth + kTaskSeconds * segment.strips;
  return seconds * imbalance(segment.strips, costs.threads);
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
