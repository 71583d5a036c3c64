// Renumbering nodes, edges and rows for every rank.
#include "runtime/distributed/graph_layout.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace sparse_run {

namespace {

using Numbers = std::vector<std::uint32_t>;

Tensor tensor_of(const Numbers& numbers) {
  Tensor tensor = Tensor::allocate(DType::i32, {static_cast<std::int64_t>(numbers.size())});
  std::transform(numbers.begin(), numbers.end(), tensor.data<std::int32_t>().begin(),
                 [](std::uint32_t number) { return static_cast<std::int32_t>(number); });
  return tensor;
}

[[noreturn]] void refuse() { throw_error(ErrorKind::comm, "rank 0's division of the graph is damaged"); }

/// An i32 vector whose elements are in [0, rows).
Tensor read_numbers(WireReader& reader, std::int64_t rows) {
  Tensor tensor = reader.value().tensor;
  if (tensor.dtype() != DType::i32 || tensor.rank() != 1) refuse();
  for (const std::int32_t number : std::as_const(tensor).data<std::int32_t>()) {
    if (number < 0 || number >= rows) refuse();
  }
  return tensor;
}

class Maker {
 public:
  Maker(const GraphSplit& split, std::span<const std::uint32_t> owner, int ranks, std::span<const Numbers> targets,
        std::span<const Numbers> sources)
      : split_(split), owner_(owner), ranks_(static_cast<std::size_t>(ranks)), targets_(targets), sources_(sources) {}

  GraphLayout make() {
    layout_.ranks.resize(ranks_);
    place_nodes();
    place_edges();
    for (std::size_t rank = 0; rank < ranks_; ++rank) {
      RankLayout& own = layout_.ranks[rank];
      for (std::size_t set = 0; set < split_.sets.size(); ++set) number_targets(own, rank, set);
      for (std::size_t gather = 0; gather < split_.gathers.size(); ++gather) number_inner(own, rank, gather);
      own.halos.resize(split_.halos.size());
      for (RankLayout::Halo& halo : own.halos) halo.sent.resize(ranks_);
    }
    row_of_.assign(owner_.size(), 0);
    for (std::size_t halo = 0; halo < split_.halos.size(); ++halo) {
      for (std::size_t rank = 0; rank < ranks_; ++rank) lay_out_halo(halo, rank);
    }
    return std::move(layout_);
  }

 private:
  void place_nodes() {
    is_border_.assign(owner_.size(), 0);
    for (std::size_t i = 0; i < split_.gathers.size(); ++i) {
      const Numbers& targets = targets_[split_.gathers[i].set];
      for (std::size_t e = 0; e < targets.size(); ++e) {
        if (owner_[sources_[i][e]] != owner_[targets[e]]) is_border_[targets[e]] = 1;
      }
    }
    layout_.nodes.resize(ranks_);
    place_.resize(owner_.size());
    for (const std::size_t block : {kInner, kBorder}) {
      for (std::uint32_t node = 0; node < owner_.size(); ++node) {
        if (is_border_[node] != block) continue;
        Numbers& own = layout_.nodes[owner_[node]];
        place_[node] = static_cast<std::uint32_t>(own.size());
        own.push_back(node);
      }
      for (std::size_t rank = 0; rank < ranks_; ++rank) {
        const auto count = static_cast<std::int64_t>(layout_.nodes[rank].size());
        layout_.ranks[rank].nodes[block] = block == kInner ? count : count - layout_.ranks[rank].nodes[kInner];
      }
    }
  }

  void place_edges() {
    layout_.edges.resize(split_.sets.size());
    for (std::size_t set = 0; set < split_.sets.size(); ++set) {
      layout_.edges[set].resize(ranks_);
      for (const std::size_t block : {kInner, kBorder}) {
        for (std::uint32_t e = 0; e < targets_[set].size(); ++e) {
          const std::uint32_t target = targets_[set][e];
          if (is_border_[target] == block) layout_.edges[set][owner_[target]].push_back(e);
        }
      }
    }
  }

  /// The edges of a rank's block of a set.
  std::span<const std::uint32_t> edges_of(std::size_t rank, std::size_t set, std::size_t block) const {
    const Numbers& all = layout_.edges[set][rank];
    const auto border = std::partition_point(all.begin(), all.end(),
                                             [&](std::uint32_t e) { return is_border_[targets_[set][e]] == kInner; });
    return block == kInner ? std::span(all.begin(), border) : std::span(border, all.end());
  }

  void number_targets(RankLayout& own, std::size_t rank, std::size_t set) const {
    own.sets.emplace_back();
    for (const std::size_t block : {kInner, kBorder}) {
      Numbers numbers;
      const auto before = block == kInner ? 0 : static_cast<std::uint32_t>(own.nodes[kInner]);
      for (const std::uint32_t e : edges_of(rank, set, block)) numbers.push_back(place_[targets_[set][e]] - before);
      own.sets.back().targets[block] = tensor_of(numbers);
    }
  }

  void number_inner(RankLayout& own, std::size_t rank, std::size_t gather) const {
    Numbers numbers;
    for (const std::uint32_t e : edges_of(rank, split_.gathers[gather].set, kInner))
      numbers.push_back(place_[sources_[gather][e]]);
    own.gathers.push_back({tensor_of(numbers)});
  }

  /// Rows that a rank's border edges read: found, ordered by owner (its own first) and place, numbered.
  void lay_out_halo(std::size_t index, std::size_t rank) {
    RankLayout::Halo& halo = layout_.ranks[rank].halos[index];
    Numbers rows;
    for (const std::size_t gather : split_.halos[index]) {
      for (const std::uint32_t e : edges_of(rank, split_.gathers[gather].set, kBorder)) {
        const std::uint32_t source = sources_[gather][e];
        if (row_of_[source] != 0) continue;
        row_of_[source] = 1;
        rows.push_back(source);
      }
    }
    const auto order = [&](std::uint32_t node) {
      const std::uint32_t of = owner_[node];
      return std::pair(of == rank ? 0 : of + 1, place_[node]);
    };
    std::sort(rows.begin(), rows.end(), [&](std::uint32_t a, std::uint32_t b) { return order(a) < order(b); });
    Numbers own;
    halo.received.assign(ranks_, 0);
    for (std::uint32_t row = 0; row < rows.size(); ++row) {
      const std::uint32_t node = rows[row];
      row_of_[node] = row;
      if (owner_[node] == rank) {
        own.push_back(place_[node]);
      } else {
        ++halo.received[owner_[node]];
        layout_.ranks[owner_[node]].halos[index].sent[rank].push_back(place_[node]);
      }
    }
    halo.own = tensor_of(own);
    for (const std::size_t gather : split_.halos[index]) {
      Numbers numbers;
      for (const std::uint32_t e : edges_of(rank, split_.gathers[gather].set, kBorder))
        numbers.push_back(row_of_[sources_[gather][e]]);
      halo.border.push_back(tensor_of(numbers));
    }
    for (const std::uint32_t node : rows) row_of_[node] = 0;
  }

  const GraphSplit& split_;
  std::span<const std::uint32_t> owner_;
  std::size_t ranks_;
  std::span<const Numbers> targets_, sources_;
  GraphLayout layout_;
  std::vector<std::uint8_t> is_border_;  // by node
  Numbers place_;                        // by node: its number on its rank
  Numbers row_of_;                       // by node, while a halo is laid out
};

}  // namespace

std::int64_t RankLayout::Halo::received_rows() const {
  return std::accumulate(received.begin(), received.end(), std::int64_t{0});
}

void RankLayout::write(WireWriter& writer) const {
  for (const std::int64_t count : nodes) writer.put(count);
  for (const Set& set : sets) {
    for (const Tensor& targets : set.targets) writer.put(Value(targets));
  }
  for (const Gather& gather : gathers) writer.put(Value(gather.inner));
  for (const Halo& halo : halos) {
    writer.put(Value(halo.own));
    for (const std::int64_t count : halo.received) writer.put(count);
    for (const auto& rows : halo.sent) writer.put(Value(tensor_of(rows)));
    for (const Tensor& rows : halo.border) writer.put(Value(rows));
  }
}

RankLayout RankLayout::read(WireReader& reader, const GraphSplit& split, int ranks) {
  RankLayout layout;
  for (std::int64_t& count : layout.nodes) {
    count = reader.get<std::int64_t>();
    if (count < 0 || count > split.nodes) refuse();
  }
  for (std::size_t i = 0; i < split.sets.size(); ++i) {
    layout.sets.emplace_back();
    for (const std::size_t block : {kInner, kBorder})
      layout.sets.back().targets[block] = read_numbers(reader, layout.nodes[block]);
  }
  for (const GatheredBy& gather : split.gathers) {
    layout.gathers.push_back({read_numbers(reader, layout.own())});
    if (layout.gathers.back().inner.size() != layout.sets[gather.set].targets[kInner].size()) refuse();
  }
  for (const auto& gathers : split.halos) {
    RankLayout::Halo halo;
    halo.own = read_numbers(reader, layout.own());
    halo.received.resize(static_cast<std::size_t>(ranks));
    for (std::int64_t& count : halo.received) {
      count = reader.get<std::int64_t>();
      if (count < 0 || count > split.nodes) refuse();
    }
    for (int rank = 0; rank < ranks; ++rank) {
      const Tensor rows = read_numbers(reader, layout.own());
      const auto numbers = rows.data<std::int32_t>();
      halo.sent.emplace_back(numbers.begin(), numbers.end());
    }
    for (const std::size_t gather : gathers) {
      halo.border.push_back(read_numbers(reader, halo.own.size() + halo.received_rows()));
      if (halo.border.back().size() != layout.sets[split.gathers[gather].set].targets[kBorder].size()) refuse();
    }
    layout.halos.push_back(std::move(halo));
  }
  return layout;
}

std::vector<std::uint32_t> checked_rows(const Tensor& numbers, std::int64_t rows) {
  std::vector<std::uint32_t> checked;
  checked.reserve(static_cast<std::size_t>(numbers.size()));
  for (const std::int64_t number : numbers.to_int64()) {
    const std::int64_t row = number < 0 ? number + rows : number;
    if (row < 0 || row >= rows) throw_error(ErrorKind::input, "index {} is outside [-{}, {})", number, rows, rows);
    checked.push_back(static_cast<std::uint32_t>(row));
  }
  return checked;
}

GraphLayout lay_out_graph(const GraphSplit& split, std::span<const std::uint32_t> owner, int ranks,
                          std::span<const std::vector<std::uint32_t>> targets,
                          std::span<const std::vector<std::uint32_t>> sources) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  for (const EdgeSet& set : split.sets) {
    if (set.edges > kMost || split.nodes > kMost)
      throw_error(ErrorKind::limit, "--parallel graph: a graph of {} nodes and {} edges: at most {} of either",
                  split.nodes, set.edges, kMost);
  }
  return Maker(split, owner, ranks, targets, sources).make();
}

}  // namespace sparse_run
