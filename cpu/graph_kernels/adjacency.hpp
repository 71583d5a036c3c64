// Edges of a graph grouped by their target: the compressed rows that aggregation walks, made once per edge list.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>

#include "graph/ir/tensor.hpp"

namespace sparse_run::cpu {

/// Readable places behind the last entry of an array of row numbers: kernels fetch ahead without looking.
inline constexpr std::size_t kRowsAhead = 32;

/// An array of row numbers with kRowsAhead zeros behind it. Immutable once filled.
class RowNumbers {
 public:
  RowNumbers() = default;
  explicit RowNumbers(std::size_t size);
  std::uint32_t* data() noexcept { return data_.get(); }
  const std::uint32_t* data() const noexcept { return data_.get(); }
  std::size_t size() const noexcept { return size_; }

 private:
  std::unique_ptr<std::uint32_t[]> data_;
  std::size_t size_ = 0;
};

/// Edges in the order of their targets; edges of one target stay in the order given.
struct EdgeGroups {
  RowNumbers begin;  ///< rows + 1 positions: the edges of row r are [begin[r], begin[r + 1])
  RowNumbers edge;   ///< number of the edge at each position; empty when targets ascend already
  std::size_t rows = 0;
  std::size_t edges = 0;
  std::array<std::uint64_t, 2> fingerprint{};  ///< of the targets, when an AdjacencyCache took it

  bool in_order() const noexcept { return edge.size() == 0; }
};

/// Most rows and edges that 32-bit numbers count.
inline constexpr std::int64_t kMostRows = 0xfffffff0;

/// Groups edges by `targets` (i32 or i64, any shape, negative ones counted from the end) over `rows` rows with a stable
/// counting sort, in parallel in the arena of the caller. Error(input) for a target out of range, Error(limit) above
/// kMostRows.
EdgeGroups group_edges(const Tensor& targets, std::int64_t rows);

/// `numbers` (i32 or i64, one per edge, negative ones counted from the end of `rows`) in the order of the groups.
/// Error(input) for one out of range.
RowNumbers in_group_order(const EdgeGroups& groups, const Tensor& numbers, std::int64_t rows);

/// Remembers the groups of recent edge lists by their contents, so that the layers of a network, and the next request
/// on the same graph, share them. Short lists are not remembered: grouping them costs less than looking them up.
/// Thread-safe; work is done outside of the lock, so two threads may group the same list at the same time.
class AdjacencyCache {
 public:
  /// Shared: a run keeps its groups while later runs may drop them from the cache.
  using Groups = std::shared_ptr<const EdgeGroups>;
  using Numbers = std::shared_ptr<const RowNumbers>;

  Groups groups(const Tensor& targets, std::int64_t rows);
  /// `groups` as this cache gave them; `numbers` count from [-rows, rows).
  Numbers numbers(const Groups& groups, const Tensor& numbers, std::int64_t rows);

 private:
  static constexpr std::size_t kEntries = 12;
  static constexpr std::size_t kBytes = std::size_t{512} << 20;  ///< beyond, only the kFewest most recent ones stay
  static constexpr std::size_t kFewest = 4;                      ///< what the layers of one network need
  static constexpr std::int64_t kShort = 8192;                   ///< edges
  struct Key {
    std::array<std::uint64_t, 2> targets{}, numbers{};
    std::int64_t target_rows = 0, number_rows = 0, edges = 0;
    bool operator==(const Key&) const = default;
  };
  struct Entry {
    Key key;
    Groups groups;
    Numbers numbers;

    std::size_t bytes() const;
  };

  std::array<std::uint64_t, 2> fingerprint_of(const Tensor& tensor) const;
  /// The entry with this key, which becomes the most recent one; absent handles when there is none.
  Entry find(const Key& key);
  void keep(Entry entry);

  std::uint64_t secret_ = random_secret();  ///< fingerprints of another process are of no use to forge one
  std::mutex mutex_;
  std::list<Entry> entries_;  ///< most recent first

  static std::uint64_t random_secret();
};

/// 128 bits of the contents, in parallel in the arena of the caller. Not cryptographic, but keyed by `secret`.
std::array<std::uint64_t, 2> fingerprint(std::span<const std::byte> bytes, std::uint64_t secret);

}  // namespace sparse_run::cpu
