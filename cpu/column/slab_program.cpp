// Placing the values of slab programs, finding what parts wait for, and running them.
#include "cpu/column/slab_program.hpp"

#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <algorithm>
#include <thread>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "device/memory_plan.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sparse_run::cpu {

namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kFloatsOfLine = kLine / sizeof(float);
constexpr std::size_t kMostInputs = 8;  // of a node
constexpr int kSpins = 4096;            // looks at a counter before the processor is offered to others
constexpr int kCopyAhead = 12;          // channels whose rows are fetched ahead of copying them
constexpr int kMemoryKept = 2;          // nodes for which memory is kept longer, so that shares need not march in step

std::size_t aligned(std::size_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }

/// An odd number of cache lines, so that channels spread over all sets of a cache.
std::ptrdiff_t padded_stride(std::ptrdiff_t floats) {
  const std::size_t lines = (static_cast<std::size_t>(floats) + kFloatsOfLine - 1) / kFloatsOfLine;
  return static_cast<std::ptrdiff_t>((lines | 1) * kFloatsOfLine);
}

bool meet(const RowRange& a, const RowRange& b) { return a.begin < b.end && b.begin < a.end; }

RowRange both(const RowRange& a, const RowRange& b) {
  if (a.count() <= 0) return b;
  if (b.count() <= 0) return a;
  return {std::min(a.begin, b.begin), std::max(a.end, b.end)};
}

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

}  // namespace

SlabProgram::SlabProgram(std::vector<SlabValue> values, std::vector<SlabNode> nodes, int shares)
    : values_(std::move(values)), nodes_(std::move(nodes)), shares_(std::max(shares, 1)) {
  require(!nodes_.empty(), "a slab program without nodes");
  for (const SlabNode& node : nodes_) {
    require(node.inputs.size() <= kMostInputs && node.inputs.size() == node.windows.size(),
            "a slab node of other operands than it has windows");
  }
  place_values();
  plan_copies();
  plan_waits();
}

std::size_t SlabProgram::weight_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const SlabNode& node : nodes_) bytes += node.op->weight_bytes();
  return bytes;
}

int SlabProgram::rows_copied(int node) const {
  int rows = 0;
  for (const Part& part : parts_[static_cast<std::size_t>(node)]) {
    for (const Copy& copy : part.copies) rows += copy.rows.count();
  }
  return rows;
}

RowRange SlabProgram::own_rows(int value, int share) const {
  const std::int64_t height = values_[static_cast<std::size_t>(value)].height;
  return {static_cast<int>(height * share / shares_), static_cast<int>(height * (share + 1) / shares_)};
}

RowRange SlabProgram::rows_read(const SlabNode& node, std::size_t i, int share) const {
  const int height = values_[static_cast<std::size_t>(node.inputs[i])].height;
  if (node.by_channels) return {0, height};
  const RowRange rows = own_rows(node.output, share);
  if (rows.count() <= 0) return {0, 0};
  const int begin = std::clamp(node.windows[i].first(rows.begin), 0, height);
  const int end = std::clamp(node.windows[i].last(rows.end - 1) + 1, 0, height);
  return begin < end ? RowRange{begin, end} : RowRange{0, 0};
}

void SlabProgram::place_values() {
  places_.resize(values_.size());
  std::vector<bool> made(values_.size()), apart(values_.size(), true);
  for (std::size_t v = 0; v < values_.size(); ++v) {
    places_[v].stored.resize(static_cast<std::size_t>(shares_));
    if (values_[v].input >= 0 || values_[v].output >= 0) apart[v] = false;
  }
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    const SlabNode& node = nodes_[n];
    const auto result = static_cast<std::size_t>(node.output);
    require(!made[result] && values_[result].input < 0, "a slab value is written twice");
    made[result] = true;
    if (node.by_channels) apart[result] = false;
    places_[result].first = places_[result].last = static_cast<int>(n);
    for (int share = 0; share < shares_; ++share) {
      RowRange& stored = places_[result].stored[static_cast<std::size_t>(share)];
      stored = own_rows(node.output, share);
    }
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const auto value = static_cast<std::size_t>(node.inputs[i]);
      require(made[value] || values_[value].input >= 0, "a slab value is read before it is written");
      if (node.by_channels) apart[value] = false;
      places_[value].last = static_cast<int>(n);
      for (int share = 0; share < shares_; ++share) {
        RowRange& stored = places_[value].stored[static_cast<std::size_t>(share)];
        stored = both(stored, rows_read(node, i, share));
      }
    }
  }
  std::vector<BufferRequest> requests;
  std::vector<std::size_t> owners;
  for (std::size_t v = 0; v < values_.size(); ++v) {
    const SlabValue& value = values_[v];
    Place& place = places_[v];
    const std::ptrdiff_t plane = std::ptrdiff_t{value.height} * value.width;
    if (value.input >= 0 || value.output >= 0) {
      place.stride = plane;
      continue;
    }
    place.slabs = apart[v];
    std::size_t bytes = 0;
    if (place.slabs) {
      int most = 0;
      for (const RowRange& stored : place.stored) most = std::max(most, stored.count());
      place.stride = padded_stride(std::ptrdiff_t{most} * value.width);
      for (int share = 0; share < shares_; ++share) {
        place.slab.push_back(bytes);
        bytes += aligned(static_cast<std::size_t>(place.stride * value.channels) * sizeof(float));
      }
    } else {
      place.stride = padded_stride(plane);
      bytes = aligned(static_cast<std::size_t>(place.stride * value.channels) * sizeof(float));
    }
    requests.push_back({bytes, place.first, place.last + kMemoryKept});
    owners.push_back(v);
  }
  const MemoryPlan memory = plan_memory(requests);
  for (std::size_t i = 0; i < owners.size(); ++i) places_[owners[i]].offset = memory.offsets[i];
  scratch_bytes_ = memory.arena_bytes;

  parts_.assign(nodes_.size(), std::vector<Part>(static_cast<std::size_t>(shares_)));
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    for (int share = 0; share < shares_; ++share) {
      Part& part = parts_[n][static_cast<std::size_t>(share)];
      part.waits_for.assign(static_cast<std::size_t>(shares_), 0);
      part.rows = nodes_[n].by_channels ? RowRange{0, values_[static_cast<std::size_t>(nodes_[n].output)].height}
                                        : own_rows(nodes_[n].output, share);
    }
  }
  // memory that a value takes over from an earlier one
  for (std::size_t i = 0; i < owners.size(); ++i) {
    for (std::size_t j = 0; j < owners.size(); ++j) {
      if (requests[j].last >= requests[i].first || requests[i].bytes == 0 || requests[j].bytes == 0) continue;
      const bool shares_memory = memory.offsets[i] < memory.offsets[j] + requests[j].bytes &&
                                 memory.offsets[j] < memory.offsets[i] + requests[i].bytes;
      if (!shares_memory) continue;
      for (Part& part : parts_[static_cast<std::size_t>(places_[owners[i]].first)]) {
        for (int& waits : part.waits_for) waits = std::max(waits, places_[owners[j]].last + 1);
      }
    }
  }
}

void SlabProgram::plan_copies() {
  std::vector<std::vector<bool>> copied(values_.size(), std::vector<bool>(static_cast<std::size_t>(shares_)));
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    for (std::size_t i = 0; i < nodes_[n].inputs.size(); ++i) {
      const int value = nodes_[n].inputs[i];
      const Place& place = places_[static_cast<std::size_t>(value)];
      if (!place.slabs) continue;
      for (int share = 0; share < shares_; ++share) {
        const RowRange own = own_rows(value, share), read = rows_read(nodes_[n], i, share);
        if (copied[static_cast<std::size_t>(value)][static_cast<std::size_t>(share)]) continue;
        if (read.count() <= 0 || (own.begin <= read.begin && read.end <= own.end)) continue;
        // all that any reader needs, at once
        copied[static_cast<std::size_t>(value)][static_cast<std::size_t>(share)] = true;
        const RowRange& stored = place.stored[static_cast<std::size_t>(share)];
        for (int from = 0; from < shares_; ++from) {
          const RowRange rows = own_rows(value, from);
          if (from == share || !meet(rows, stored)) continue;
          parts_[n][static_cast<std::size_t>(share)].copies.push_back(
              {value, from, {std::max(rows.begin, stored.begin), std::min(rows.end, stored.end)}});
        }
      }
    }
  }
}

void SlabProgram::plan_waits() {
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    const SlabNode& node = nodes_[n];
    for (int share = 0; share < shares_; ++share) {
      Part& part = parts_[n][static_cast<std::size_t>(share)];
      for (const Copy& copy : part.copies) {
        int& waits = part.waits_for[static_cast<std::size_t>(copy.from)];
        waits = std::max(waits, places_[static_cast<std::size_t>(copy.value)].first + 1);
      }
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        const int value = node.inputs[i];
        const Place& place = places_[static_cast<std::size_t>(value)];
        if (place.slabs || values_[static_cast<std::size_t>(value)].input >= 0) continue;
        const bool whole = nodes_[static_cast<std::size_t>(place.first)].by_channels;
        const RowRange read = rows_read(node, i, share);
        for (int from = 0; from < shares_; ++from) {
          if (!whole && !meet(own_rows(value, from), read)) continue;
          int& waits = part.waits_for[static_cast<std::size_t>(from)];
          waits = std::max(waits, place.first + 1);
        }
      }
    }
  }
}

/// One image in flight.
class SlabProgram::Execution {
 public:
  Execution(const SlabProgram& program, const SlabRun& run, int image)
      : program_(program),
        run_(run),
        image_(image),
        shares_(std::make_unique<Share[]>(static_cast<std::size_t>(program.shares_))) {}

  /// Every node one share after the other.
  void serially() {
    for (int node = 0; node < count(); ++node) {
      for (int share = 0; share < program_.shares_; ++share) perform(node, share);
    }
  }

  void in_parallel() {
    tbb::task_group others;
    for (int share = 1; share < program_.shares_; ++share) others.run([this, share] { finish(share); });
    finish(0);
    others.wait();
  }

 private:
  struct alignas(2 * kLine) Share {
    std::atomic<int> done{0};  ///< nodes
    std::atomic<bool> taken{false};
  };

  int count() const { return static_cast<int>(program_.nodes_.size()); }
  Share& share_at(int share) { return shares_[static_cast<std::size_t>(share)]; }

  bool may_run(int node, int share) {
    const Part& part = program_.parts_[static_cast<std::size_t>(node)][static_cast<std::size_t>(share)];
    for (int other = 0; other < program_.shares_; ++other) {
      const int waits = part.waits_for[static_cast<std::size_t>(other)];
      if (other != share && share_at(other).done.load(std::memory_order_acquire) < waits) return false;
    }
    return true;
  }

  /// Runs a share as far as it gets, at most `most` nodes, unless another thread does; false when nothing was run.
  bool advance(int share, int most) {
    Share& own = share_at(share);
    if (own.taken.load(std::memory_order_relaxed)) return false;
    const int next = own.done.load(std::memory_order_acquire);
    if (next == count() || !may_run(next, share)) return false;
    if (own.taken.exchange(true, std::memory_order_acquire)) return false;
    int node = own.done.load(std::memory_order_relaxed);
    const int first = node;
    while (node < count() && node - first < most && may_run(node, share)) {
      perform(node, share);
      own.done.store(++node, std::memory_order_release);
    }
    own.taken.store(false, std::memory_order_release);
    return node > first;
  }

  /// Returns once all nodes of the share are done. The share furthest behind can always be run, so some thread
  /// advances.
  void finish(int share) {
    int idle = 0;
    while (share_at(share).done.load(std::memory_order_acquire) < count()) {
      bool ran = advance(share, count());
      for (int other = 0; !ran && idle > 0 && other < program_.shares_; ++other) {
        if (other != share && share_at(other).done.load(std::memory_order_relaxed) < count()) ran = advance(other, 1);
      }
      if (ran) {
        idle = 0;
        continue;
      }
      if (++idle < kSpins) {
        relax();
      } else {
        std::this_thread::yield();
      }
    }
  }

  SlabRows rows_of(int value, int share) const {
    const Place& place = program_.places_[static_cast<std::size_t>(value)];
    const SlabValue& shape = program_.values_[static_cast<std::size_t>(value)];
    const std::size_t plane = static_cast<std::size_t>(shape.height) * static_cast<std::size_t>(shape.width);
    const std::size_t tensor = static_cast<std::size_t>(image_) * static_cast<std::size_t>(shape.channels) * plane;
    if (shape.input >= 0) {
      // operations do not write to their operands
      return {const_cast<float*>(run_.inputs[static_cast<std::size_t>(shape.input)]) + tensor, 0, place.stride};
    }
    if (shape.output >= 0) return {run_.outputs[static_cast<std::size_t>(shape.output)] + tensor, 0, place.stride};
    std::byte* at = run_.scratch + place.offset;
    if (!place.slabs) return {reinterpret_cast<float*>(at), 0, place.stride};
    return {reinterpret_cast<float*>(at + place.slab[static_cast<std::size_t>(share)]),
            place.stored[static_cast<std::size_t>(share)].begin, place.stride};
  }

  void copy(const Copy& copy, int share) const {
    const SlabValue& value = program_.values_[static_cast<std::size_t>(copy.value)];
    const SlabRows from = rows_of(copy.value, copy.from), to = rows_of(copy.value, share);
    const float* x = from.row(copy.rows.begin, value.width);
    float* y = to.row(copy.rows.begin, value.width);
    const std::size_t floats = static_cast<std::size_t>(copy.rows.count()) * static_cast<std::size_t>(value.width);
    for (int channel = 0; channel < value.channels; ++channel, x += from.channel_stride, y += to.channel_stride) {
      if (channel + kCopyAhead < value.channels) {
        const float* ahead = x + kCopyAhead * from.channel_stride;
        for (std::size_t i = 0; i < floats; i += kFloatsOfLine) __builtin_prefetch(ahead + i);
        __builtin_prefetch(ahead + floats - 1);
      }
      std::copy(x, x + floats, y);
    }
  }

  void perform(int node, int share) const {
    if (run_.cancelled != nullptr && run_.cancelled->load(std::memory_order_relaxed)) return;
    const SlabNode& made = program_.nodes_[static_cast<std::size_t>(node)];
    const Part& part = program_.parts_[static_cast<std::size_t>(node)][static_cast<std::size_t>(share)];
    const std::int64_t started = run_.layer_ns.empty() ? 0 : now_ns();
    for (const Copy& own : part.copies) copy(own, share);
    if (part.rows.count() > 0) {
      SlabRows inputs[kMostInputs];
      for (std::size_t i = 0; i < made.inputs.size(); ++i) inputs[i] = rows_of(made.inputs[i], share);
      made.op->run({{inputs, made.inputs.size()}, rows_of(made.output, share), part.rows.begin, part.rows.end, share});
    }
    if (!run_.layer_ns.empty()) {
      run_.layer_ns[static_cast<std::size_t>(made.layer)].fetch_add(now_ns() - started, std::memory_order_relaxed);
    }
  }

  const SlabProgram& program_;
  const SlabRun& run_;
  int image_;
  std::unique_ptr<Share[]> shares_;
};

void SlabProgram::run(const SlabRun& run) const {
  for (int image = 0; image < run.images; ++image) {
    Execution execution(*this, run, image);
    if (shares_ == 1 || tbb::this_task_arena::max_concurrency() == 1) {
      execution.serially();
    } else {
      execution.in_parallel();
    }
  }
}

}  // namespace sparse_run::cpu
