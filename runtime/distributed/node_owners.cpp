// Cutting the nodes of a graph: ranges, and METIS over the graph with both directions of every edge.
#include "runtime/distributed/node_owners.hpp"

#include <algorithm>
#include <limits>

#include "base/error.hpp"

#ifdef SPARSE_RUN_WITH_METIS
#include <metis.h>
#endif

namespace sparse_run {

namespace {

#ifdef SPARSE_RUN_WITH_METIS
constexpr std::size_t kMostMetisEdges = std::numeric_limits<idx_t>::max() / 2;
#else
constexpr std::size_t kMostMetisEdges = 0;
#endif
// Beyond, METIS takes longer than most runs and several times the memory of the edges.
constexpr std::size_t kManyEdges = std::size_t{1} << 26;

}  // namespace

std::vector<std::uint32_t> cut_into_ranges(std::int64_t nodes, const EdgeList& edges, int parts) {
  std::vector<std::uint32_t> weight(static_cast<std::size_t>(nodes), 1);
  for (const std::uint32_t target : edges.targets) ++weight[target];
  const std::uint64_t all = static_cast<std::uint64_t>(nodes) + edges.targets.size();
  std::vector<std::uint32_t> owner(weight.size());
  std::uint64_t before = 0;
  std::uint32_t part = 0;
  for (std::size_t node = 0; node < owner.size(); ++node) {
    owner[node] = part;
    before += weight[node];
    while (part + 1 < static_cast<std::uint32_t>(parts) &&
           before * static_cast<std::uint64_t>(parts) >= all * (part + 1)) {
      ++part;
    }
  }
  return owner;
}

#ifdef SPARSE_RUN_WITH_METIS

bool has_metis() noexcept { return true; }

std::vector<std::uint32_t> cut_with_metis(std::int64_t nodes, const EdgeList& edges, int parts) {
  std::vector<std::uint32_t> owner(static_cast<std::size_t>(nodes), 0);
  if (parts == 1 || nodes == 0) return owner;
  if (edges.targets.size() > kMostMetisEdges || nodes > std::numeric_limits<idx_t>::max())
    throw_error(ErrorKind::limit, "METIS counts at most {} edges, the graph has {}", kMostMetisEdges,
                edges.targets.size());
  // Neighbours of every node in both directions, each once, without the node itself.
  std::vector<idx_t> begin(owner.size() + 1, 0);
  std::vector<idx_t> weight(owner.size(), 1);
  for (std::size_t e = 0; e < edges.targets.size(); ++e) {
    const std::uint32_t a = edges.sources[e], b = edges.targets[e];
    ++weight[b];
    if (a == b) continue;
    ++begin[a + 1];
    ++begin[b + 1];
  }
  for (std::size_t node = 0; node < owner.size(); ++node) begin[node + 1] += begin[node];
  std::vector<idx_t> neighbours(static_cast<std::size_t>(begin.back()));
  std::vector<idx_t> next(begin.begin(), begin.end() - 1);
  for (std::size_t e = 0; e < edges.targets.size(); ++e) {
    const std::uint32_t a = edges.sources[e], b = edges.targets[e];
    if (a == b) continue;
    neighbours[static_cast<std::size_t>(next[a]++)] = static_cast<idx_t>(b);
    neighbours[static_cast<std::size_t>(next[b]++)] = static_cast<idx_t>(a);
  }
  idx_t kept = 0;
  for (std::size_t node = 0; node < owner.size(); ++node) {
    const auto first = neighbours.begin() + begin[node];
    const auto last = neighbours.begin() + begin[node + 1];
    std::sort(first, last);
    const auto end = std::unique(first, last);
    begin[node] = kept;
    kept = static_cast<idx_t>(std::copy(first, end, neighbours.begin() + kept) - neighbours.begin());
  }
  begin.back() = kept;

  idx_t options[METIS_NOPTIONS];
  METIS_SetDefaultOptions(options);
  options[METIS_OPTION_SEED] = 1;
  idx_t count = static_cast<idx_t>(nodes), constraints = 1, wanted = parts, cut = 0;
  std::vector<idx_t> part(owner.size(), 0);
  const int status = METIS_PartGraphKway(&count, &constraints, begin.data(), neighbours.data(), weight.data(), nullptr,
                                         nullptr, &wanted, nullptr, nullptr, options, &cut, part.data());
  if (status == METIS_ERROR_MEMORY) throw_error(ErrorKind::limit, "METIS has too little memory for {} nodes", nodes);
  if (status != METIS_OK) throw_error(ErrorKind::internal, "METIS failed with status {}", status);
  std::transform(part.begin(), part.end(), owner.begin(), [](idx_t p) { return static_cast<std::uint32_t>(p); });
  return owner;
}

#else

bool has_metis() noexcept { return false; }

std::vector<std::uint32_t> cut_with_metis(std::int64_t, const EdgeList&, int) {
  throw_error(ErrorKind::internal, "this build has no METIS");
}

#endif

std::pair<std::vector<std::uint32_t>, std::string> cut_nodes(NodeCut cut, std::int64_t nodes, const EdgeList& edges,
                                                             int parts) {
  const std::size_t most = std::min(kMostMetisEdges, kManyEdges);
  if (cut == NodeCut::best && has_metis() && edges.targets.size() <= most)
    return {cut_with_metis(nodes, edges, parts), "METIS"};
  return {cut_into_ranges(nodes, edges, parts), "ranges"};
}

}  // namespace sparse_run
