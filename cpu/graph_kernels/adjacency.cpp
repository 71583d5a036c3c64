// Parallel counting sort of edges by target, and the memory of recent edge lists.
#include "cpu/graph_kernels/adjacency.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <random>
#include <vector>

#include "cpu/parallel.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::int64_t kEdgesPerChunk = 65536;
constexpr std::int64_t kMostChunks = 16;  // each has counters of its own for all rows

[[noreturn]] void throw_out_of_range(std::int64_t number, std::int64_t rows) {
  throw_error(ErrorKind::input, "index {} is outside [-{}, {})", number, rows, rows);
}

template <class T>
inline std::uint32_t checked_row(T number, std::int64_t rows) {
  const auto wide = static_cast<std::int64_t>(number);
  const std::int64_t row = wide < 0 ? wide + rows : wide;
  if (row < 0 || row >= rows) [[unlikely]]
    throw_out_of_range(wide, rows);
  return static_cast<std::uint32_t>(row);
}

/// Calls body with the elements of an index tensor.
template <class Body>
void visit_index(const Tensor& tensor, const Body& body) {
  if (tensor.dtype() == DType::i32) return body(tensor.data<std::int32_t>());
  if (tensor.dtype() == DType::i64) return body(tensor.data<std::int64_t>());
  throw_error(ErrorKind::model, "indices are {}: i32 or i64 expected", to_string(tensor.dtype()));
}

template <class T>
EdgeGroups group(std::span<const T> targets, std::int64_t rows) {
  const auto edges = static_cast<std::int64_t>(targets.size());
  EdgeGroups groups;
  groups.rows = static_cast<std::size_t>(rows);
  groups.edges = targets.size();
  groups.begin = RowNumbers(groups.rows + 1);
  const std::int64_t wanted = std::min<std::int64_t>({tbb::this_task_arena::max_concurrency(), kMostChunks,
                                                      edges / kEdgesPerChunk, edges / std::max<std::int64_t>(rows, 1)});
  const std::int64_t chunks = std::max<std::int64_t>(1, wanted);
  const std::int64_t chunk = (edges + chunks - 1) / chunks;

  // Where each chunk's edges of each row go: counted, then summed over rows and chunks.
  std::vector<std::uint32_t> place(static_cast<std::size_t>(chunks * rows), 0);
  std::atomic<bool> ascending{true};
  parallel_tasks(chunks, [&](std::int64_t c) {
    std::uint32_t* const count = place.data() + c * rows;
    const std::int64_t end = std::min(edges, (c + 1) * chunk);
    bool in_order = true;
    std::uint32_t last = 0;
    if (c > 0 && c * chunk < edges) last = checked_row(targets[static_cast<std::size_t>(c * chunk - 1)], rows);
    for (std::int64_t e = c * chunk; e < end; ++e) {
      const std::uint32_t row = checked_row(targets[static_cast<std::size_t>(e)], rows);
      ++count[row];
      in_order &= row >= last;
      last = row;
    }
    if (!in_order) ascending.store(false, std::memory_order_relaxed);
  });
  std::uint32_t* const begin = groups.begin.data();
  std::uint32_t total = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    begin[row] = total;
    for (std::int64_t c = 0; c < chunks; ++c) {
      std::uint32_t& at = place[static_cast<std::size_t>(c * rows + row)];
      const std::uint32_t count = at;
      at = total;
      total += count;
    }
  }
  begin[rows] = total;
  if (ascending.load()) return groups;

  groups.edge = RowNumbers(groups.edges);
  std::uint32_t* const edge = groups.edge.data();
  parallel_tasks(chunks, [&](std::int64_t c) {
    std::uint32_t* const next = place.data() + c * rows;
    const std::int64_t end = std::min(edges, (c + 1) * chunk);
    for (std::int64_t e = c * chunk; e < end; ++e) {
      edge[next[checked_row(targets[static_cast<std::size_t>(e)], rows)]++] = static_cast<std::uint32_t>(e);
    }
  });
  return groups;
}

/// The product of two words folded to one: mixes every bit of both.
inline std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

constexpr std::uint64_t kOdd[4] = {0x9e3779b97f4a7c15u, 0xd1b54a32d192ed03u, 0xaef17502108ef2d9u, 0xdb4f0b9175ae2165u};

/// Four chains over the words of a block, so that multiplications overlap.
std::array<std::uint64_t, 2> fingerprint_block(const std::byte* bytes, std::size_t count, std::uint64_t secret) {
  std::uint64_t state[4];
  for (int i = 0; i < 4; ++i) state[i] = secret ^ kOdd[i];
  const auto mix = [&](const std::byte* at) {
    std::uint64_t words[8];
    std::memcpy(words, at, sizeof words);
    for (int i = 0; i < 4; ++i)
      state[i] = fold(words[2 * i] ^ kOdd[i] ^ secret, words[2 * i + 1] ^ state[i]) + kOdd[3 - i];
  };
  std::size_t done = 0;
  for (; done + 64 <= count; done += 64) mix(bytes + done);
  std::byte rest[64] = {};
  if (done < count) std::memcpy(rest, bytes + done, count - done);
  mix(rest);
  return {fold(state[0] ^ count, state[1] ^ kOdd[0]) ^ fold(state[2] ^ kOdd[1], state[3] ^ secret),
          fold(state[0] ^ kOdd[2], state[2] ^ secret) ^ fold(state[1] ^ count, state[3] ^ kOdd[3])};
}

}  // namespace

RowNumbers::RowNumbers(std::size_t size) : size_(size) {
  data_ = std::make_unique_for_overwrite<std::uint32_t[]>(size + kRowsAhead);
  std::fill_n(data_.get() + size, kRowsAhead, 0u);
}

EdgeGroups group_edges(const Tensor& targets, std::int64_t rows) {
  if (rows > kMostRows || targets.size() > kMostRows) {
    throw_error(ErrorKind::limit, "a graph of {} nodes and {} edges: at most {} of either are supported", rows,
                targets.size(), kMostRows);
  }
  EdgeGroups groups;
  visit_index(targets, [&](auto elements) { groups = group(elements, rows); });
  return groups;
}

RowNumbers in_group_order(const EdgeGroups& groups, const Tensor& numbers, std::int64_t rows) {
  require(static_cast<std::size_t>(numbers.size()) == groups.edges, "row numbers do not belong to the grouped edges");
  RowNumbers ordered(groups.edges);
  visit_index(numbers, [&](auto elements) {
    const std::uint32_t* const edge = groups.in_order() ? nullptr : groups.edge.data();
    std::uint32_t* const out = ordered.data();
    parallel_ranges(static_cast<std::int64_t>(groups.edges), kEdgesPerChunk, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        out[i] = checked_row(elements[edge == nullptr ? static_cast<std::size_t>(i) : edge[i]], rows);
      }
    });
  });
  return ordered;
}

std::array<std::uint64_t, 2> fingerprint(std::span<const std::byte> bytes, std::uint64_t secret) {
  constexpr std::size_t kBlock = std::size_t{1} << 19;
  const std::size_t blocks = std::max<std::size_t>(1, (bytes.size() + kBlock - 1) / kBlock);
  std::vector<std::array<std::uint64_t, 2>> parts(blocks);
  parallel_tasks(static_cast<std::int64_t>(blocks), [&](std::int64_t i) {
    const auto part = bytes.subspan(static_cast<std::size_t>(i) * kBlock);
    parts[static_cast<std::size_t>(i)] = fingerprint_block(part.data(), std::min(kBlock, part.size()), secret);
  });
  const auto joined = std::as_bytes(std::span(parts));
  return fingerprint_block(joined.data(), joined.size(), secret ^ bytes.size());
}

std::uint64_t AdjacencyCache::random_secret() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) ^ device();
}

std::array<std::uint64_t, 2> AdjacencyCache::fingerprint_of(const Tensor& tensor) const {
  return fingerprint({static_cast<const std::byte*>(tensor.raw()), tensor.bytes()},
                     secret_ + static_cast<std::uint64_t>(tensor.dtype()));
}

AdjacencyCache::Entry AdjacencyCache::find(const Key& key) {
  const std::lock_guard lock(mutex_);
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->key != key) continue;
    entries_.splice(entries_.begin(), entries_, entry);
    return entries_.front();
  }
  return {};
}

void AdjacencyCache::keep(Entry entry) {
  const std::lock_guard lock(mutex_);
  entries_.push_front(std::move(entry));
  std::size_t total = 0;
  for (const Entry& kept : entries_) total += kept.bytes();
  while (entries_.size() > kEntries || (entries_.size() > kFewest && total > kBytes)) {
    total -= entries_.back().bytes();
    entries_.pop_back();
  }
}

std::size_t AdjacencyCache::Entry::bytes() const {
  std::size_t numbers_held = 0;
  if (groups != nullptr) numbers_held += groups->begin.size() + groups->edge.size();
  if (numbers != nullptr) numbers_held += numbers->size();
  return numbers_held * sizeof(std::uint32_t);
}

AdjacencyCache::Groups AdjacencyCache::groups(const Tensor& targets, std::int64_t rows) {
  if (targets.size() <= kShort) return std::make_shared<const EdgeGroups>(group_edges(targets, rows));
  const Key key{fingerprint_of(targets), {}, rows, 0, targets.size()};
  if (const Entry entry = find(key); entry.groups != nullptr) return entry.groups;
  auto made = group_edges(targets, rows);
  made.fingerprint = key.targets;
  const auto groups = std::make_shared<const EdgeGroups>(std::move(made));
  keep({key, groups, nullptr});
  return groups;
}

AdjacencyCache::Numbers AdjacencyCache::numbers(const Groups& groups, const Tensor& numbers, std::int64_t rows) {
  if (numbers.size() <= kShort) return std::make_shared<const RowNumbers>(in_group_order(*groups, numbers, rows));
  const Key key{groups->fingerprint, fingerprint_of(numbers), static_cast<std::int64_t>(groups->rows), rows,
                numbers.size()};
  if (const Entry entry = find(key); entry.numbers != nullptr) return entry.numbers;
  const auto ordered = std::make_shared<const RowNumbers>(in_group_order(*groups, numbers, rows));
  keep({key, nullptr, ordered});
  return ordered;
}

}  // namespace sparse_run::cpu
