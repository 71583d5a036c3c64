// Laying out chains in memory, their tasks, and running them depth-first.
#include "cpu/column/chain_program.hpp"

#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "device/memory_plan.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::size_t kNowhere = ~std::size_t{0};
constexpr std::size_t kMostInputs = 64;  // of a node

std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

std::size_t stored_bytes(const ChainValue& value) {
  return aligned(static_cast<std::size_t>(value.pad_top + value.shape.height + value.pad_bottom) *
                 value.shape.row_bytes());
}

/// What a band stores of a row: its positions, and the padding beside them at an end of the row.
RowRange with_padding(const StripShape& shape, const RowRange& columns) {
  return {columns.begin == 0 ? -shape.pad_left : columns.begin,
          columns.end == shape.width ? shape.width + shape.pad_right : columns.end};
}

/// Zeros at positions [begin, end) of all channels of a row.
void clear_positions(const StripRows& rows, int row, int begin, int end) {
  const StripShape& shape = *rows.shape;
  if (begin >= end) return;
  float* at = rows.row(row) + std::ptrdiff_t{begin} * shape.lanes;
  for (int channel = 0; channel < shape.channels; ++channel, at += shape.channel_stride()) {
    std::fill(at, at + std::ptrdiff_t{end - begin} * shape.lanes, 0.0f);
  }
}

/// The positions beside the rows that convolutions read as padding, where the band ends there.
void clear_sides(const StripRows& rows, int begin, int end, const RowRange& columns) {
  const RowRange stored = with_padding(*rows.shape, columns);
  for (int row = begin; row < end; ++row) {
    clear_positions(rows, row, stored.begin, columns.begin);
    clear_positions(rows, row, columns.end, stored.end);
  }
}

void clear_rows(const StripRows& rows, int begin, int end, const RowRange& columns) {
  const RowRange stored = with_padding(*rows.shape, columns);
  for (int row = begin; row < end; ++row) clear_positions(rows, row, stored.begin, stored.end);
}

/// Moves `count` rows of a band from `from` rows further on to where the buffer begins.
void move_rows(const StripRows& rows, int from, int count, const RowRange& columns) {
  const StripShape& shape = *rows.shape;
  const std::ptrdiff_t distance = from * shape.row_stride();
  if (columns.count() == shape.width) {
    std::memmove(rows.base, rows.base + distance, static_cast<std::size_t>(count) * shape.row_bytes());
    return;
  }
  const RowRange stored = with_padding(shape, columns);
  const auto bytes = static_cast<std::size_t>(stored.count() * shape.lanes) * sizeof(float);
  for (int row = 0; row < count; ++row) {
    float* to = rows.row(rows.first_row + row) + std::ptrdiff_t{stored.begin} * shape.lanes;
    for (int channel = 0; channel < shape.channels; ++channel, to += shape.channel_stride()) {
      std::memcpy(to, to + distance, bytes);
    }
  }
}

}  // namespace

ChainProgram::ChainProgram(Chain chain, std::vector<Segment> segments, int threads)
    : chain_(std::move(chain)), segments_(std::move(segments)), threads_(std::max(threads, 1)) {
  require(!segments_.empty() && !chain_.values.empty(), "a chain without operations");
  lanes_ = chain_.values.front().shape.lanes;
  segment_of_.resize(chain_.nodes.size());
  for (std::size_t s = 0; s < segments_.size(); ++s) {
    const Segment& segment = segments_[s];
    const std::vector<std::int64_t> positions = positions_computed(chain_, segment);
    planned_positions_.insert(planned_positions_.end(), positions.begin(), positions.end());
    require(segment.bands == 1 || takes_bands(chain_, segment), "a segment that has no bands was given some");
    bands_.emplace_back();
    for (int band = 0; band < segment.bands; ++band) bands_.back().push_back(band_columns(chain_, segment, band));
    strips_.emplace_back();
    for (int node = segment.begin; node < segment.end; ++node) {
      require(chain_.nodes[static_cast<std::size_t>(node)].inputs.size() <= kMostInputs,
              "a chain node of many operands");
      segment_of_[static_cast<std::size_t>(node)] = static_cast<int>(s);
    }
    for (int i = 0; i < segment.strips; ++i) {
      Strip strip{StripWalk::of(chain_, segment, i), {}};
      std::size_t at = 0;
      for (int node = segment.begin; node + 1 < segment.end; ++node) {
        const ChainValue& value =
            chain_.values[static_cast<std::size_t>(chain_.nodes[static_cast<std::size_t>(node)].output)];
        strip.buffers.push_back(at);
        at += aligned(static_cast<std::size_t>(strip.walk.capacity[static_cast<std::size_t>(node - segment.begin)]) *
                      value.shape.row_bytes());
      }
      strip_bytes_ = std::max(strip_bytes_, at);
      strips_.back().push_back(std::move(strip));
    }
  }
  place_stops();
  make_tasks();
}

void ChainProgram::place_stops() {
  stop_at_.assign(chain_.values.size(), kNowhere);
  waits_for_segment_.assign(segments_.size(), -1);
  std::vector<BufferRequest> requests;
  std::vector<std::size_t> owners;
  std::vector<int> last_use;
  for (std::size_t v = 0; v < chain_.values.size(); ++v) {
    const ChainValue& value = chain_.values[v];
    const int made = segment_of_[static_cast<std::size_t>(value.producer)];
    if (value.producer + 1 != segments_[static_cast<std::size_t>(made)].end) continue;
    const int used = value.readers.empty() ? made : segment_of_[static_cast<std::size_t>(value.readers.back())];
    // one segment longer than it is read, so that a segment need not wait for all strips of the one before
    requests.push_back({stored_bytes(value), made, used + 1});
    owners.push_back(v);
    last_use.push_back(used);
  }
  const MemoryPlan memory = plan_memory(requests);
  for (std::size_t i = 0; i < owners.size(); ++i) {
    stop_at_[owners[i]] = memory.offsets[i];
    int& waits = waits_for_segment_[static_cast<std::size_t>(requests[i].first)];
    for (std::size_t j = 0; j < owners.size(); ++j) {
      if (requests[j].last >= requests[i].first || requests[i].bytes == 0 || requests[j].bytes == 0) continue;
      const bool shares = memory.offsets[i] < memory.offsets[j] + requests[j].bytes &&
                          memory.offsets[j] < memory.offsets[i] + requests[i].bytes;
      if (shares) waits = std::max(waits, last_use[j]);
    }
  }
  stop_bytes_ = aligned(memory.arena_bytes);
  strip_bytes_ = aligned(strip_bytes_);
}

void ChainProgram::link(int before, int after) {
  tasks_[static_cast<std::size_t>(before)].successors.push_back(after);
  ++tasks_[static_cast<std::size_t>(after)].waits_for;
}

void ChainProgram::make_tasks() {
  std::vector<int> first_task;  // by segment
  for (std::size_t s = 0; s < segments_.size(); ++s) {
    const Segment& segment = segments_[s];
    first_task.push_back(static_cast<int>(tasks_.size()));
    for (int part = 0; part < segment.strips * segment.bands; ++part) {
      const int task = static_cast<int>(tasks_.size());
      const int strip = part / segment.bands, band = part % segment.bands;
      tasks_.push_back({static_cast<int>(s), strip, band, 0, {}});
      std::vector<int> read;
      for (int node = segment.begin; node < segment.end; ++node) {
        for (const int input : chain_.nodes[static_cast<std::size_t>(node)].inputs) {
          if (chain_.values[static_cast<std::size_t>(input)].producer < segment.begin) read.push_back(input);
        }
      }
      std::sort(read.begin(), read.end());
      read.erase(std::unique(read.begin(), read.end()), read.end());
      for (const int input : read) {
        const ChainValue& value = chain_.values[static_cast<std::size_t>(input)];
        const auto source = static_cast<std::size_t>(segment_of_[static_cast<std::size_t>(value.producer)]);
        const RowRange range = rows_read(chain_, segment, strips_[s][static_cast<std::size_t>(strip)].walk, input);
        const RowRange columns =
            with_padding(value.shape, columns_read(chain_, segment, bands_[s][static_cast<std::size_t>(band)], input));
        const int bands = segments_[source].bands;
        for (int i = 0; i < segments_[source].strips; ++i) {
          // the first and the last strip also store the rows of padding
          const int begin = i == 0 ? -value.pad_top : segments_[source].strip_begin(chain_, i);
          const int end = i + 1 == segments_[source].strips ? value.shape.height + value.pad_bottom
                                                            : segments_[source].strip_begin(chain_, i + 1);
          if (begin >= range.end || range.begin >= end) continue;
          for (int j = 0; j < bands; ++j) {
            const RowRange made = with_padding(value.shape, bands_[source][static_cast<std::size_t>(j)].back());
            if (bands == 1 || (made.begin < columns.end && columns.begin < made.end)) {
              link(first_task[source] + i * bands + j, task);
            }
          }
        }
      }
      if (waits_for_segment_[s] >= 0) link(gate_of_[static_cast<std::size_t>(waits_for_segment_[s])], task);
    }
    const int gate = static_cast<int>(tasks_.size());
    tasks_.push_back({static_cast<int>(s), -1, 0, 0, {}});
    for (int part = 0; part < segment.strips * segment.bands; ++part) link(first_task[s] + part, gate);
    if (s > 0) link(gate_of_.back(), gate);
    gate_of_.push_back(gate);
  }
}

std::size_t ChainProgram::weight_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const ChainNode& node : chain_.nodes) bytes += node.op->weight_bytes();
  return bytes;
}

/// One group of images in flight.
class ChainProgram::Execution {
 public:
  Execution(const ChainProgram& program, const ChainRun& run, int first_image)
      : program_(program),
        run_(run),
        io_{run.inputs, run.outputs, first_image, std::min(program.lanes_, run.images - first_image)} {}

  void serially() {
    for (const Task& task : program_.tasks_) perform(task, 0);
  }

  void in_parallel() {
    const std::size_t count = program_.tasks_.size();
    waiting_ = std::make_unique<std::atomic<int>[]>(count);
    busy_ = std::make_unique<std::atomic<bool>[]>(static_cast<std::size_t>(program_.threads_));
    std::vector<int> ready;
    for (std::size_t i = 0; i < count; ++i) {
      waiting_[i].store(program_.tasks_[i].waits_for, std::memory_order_relaxed);
      if (program_.tasks_[i].waits_for == 0) ready.push_back(static_cast<int>(i));
    }
    // this thread takes the task it spawned last, others the one spawned first: they meet in the middle
    for (std::size_t i = ready.size(); i-- > 0;) spawn(ready[i]);
    group_.wait();
  }

 private:
  void spawn(int task) {
    group_.run([this, task] { run_from(task); });
  }

  /// A task, then a successor it made ready, and so on: its operands are still in this core's cache.
  void run_from(int task) {
    while (task >= 0) {
      const Task& current = program_.tasks_[static_cast<std::size_t>(task)];
      if (current.strip >= 0) {
        const int slot = take_scratch();
        perform(current, slot);
        busy_[static_cast<std::size_t>(slot)].store(false, std::memory_order_release);
      }
      int next = -1;
      for (const int successor : current.successors) {
        if (waiting_[static_cast<std::size_t>(successor)].fetch_sub(1, std::memory_order_acq_rel) != 1) continue;
        if (next >= 0)
          spawn(successor);
        else
          next = successor;
      }
      task = next;
    }
  }

  /// There are as many as threads; a task holds one without waiting for anything, so one becomes free.
  int take_scratch() {
    for (int slot = 0;; slot = (slot + 1) % program_.threads_) {
      std::atomic<bool>& busy = busy_[static_cast<std::size_t>(slot)];
      if (!busy.load(std::memory_order_relaxed) && !busy.exchange(true, std::memory_order_acquire)) return slot;
    }
  }

  void perform(const Task& task, int slot) const {
    if (task.strip < 0 || (run_.cancelled != nullptr && run_.cancelled->load(std::memory_order_relaxed))) return;
    const Segment& segment = program_.segments_[static_cast<std::size_t>(task.segment)];
    const Strip& strip = program_.strips_[static_cast<std::size_t>(task.segment)][static_cast<std::size_t>(task.strip)];
    std::byte* const own = run_.scratch + program_.stop_bytes_ + static_cast<std::size_t>(slot) * program_.strip_bytes_;
    const auto count = static_cast<std::size_t>(segment.end - segment.begin);
    const std::vector<Chunk>& chunks = strip.walk.chunks;
    const std::vector<RowRange>& bands =
        program_.bands_[static_cast<std::size_t>(task.segment)][static_cast<std::size_t>(task.band)];
    for (std::size_t c = 0; c < chunks.size(); ++c) {
      // what a buffer held before lies behind what it will hold now
      const auto stored = [&](std::size_t i) {
        const int value = program_.chain_.nodes[static_cast<std::size_t>(segment.begin) + i].output;
        StripRows rows{&program_.chain_.values[static_cast<std::size_t>(value)].shape,
                       reinterpret_cast<float*>(own + strip.buffers[i]), chunks[c].nodes[i].low};
        return rows;
      };
      for (std::size_t i = 0; c > 0 && i + 1 < count; ++i) {
        const int before = chunks[c - 1].nodes[i].low, low = chunks[c].nodes[i].low;
        const int kept = chunks[c].nodes[i].begin - low;
        if (low == before || kept <= 0) continue;
        move_rows(stored(i), low - before, kept, bands[i]);
      }
      for (std::size_t i = 0; i < count; ++i) {
        const ChainNode& node = program_.chain_.nodes[static_cast<std::size_t>(segment.begin) + i];
        const std::int64_t started = run_.layer_ns.empty() ? 0 : now_ns();
        StripRows inputs[kMostInputs];
        for (std::size_t j = 0; j < node.inputs.size(); ++j) {
          const int producer = program_.chain_.values[static_cast<std::size_t>(node.inputs[j])].producer;
          inputs[j] = producer >= segment.begin ? stored(static_cast<std::size_t>(producer - segment.begin))
                                                : stop(node.inputs[j]);
        }
        StripRows output;
        if (node.output >= 0) output = i + 1 == count ? stop(node.output) : stored(i);
        const Chunk::Rows& rows = chunks[c].nodes[i];
        const int begin = std::clamp(rows.begin, 0, node.rows), end = std::clamp(rows.end, 0, node.rows);
        if (begin < end && bands[i].count() > 0) {
          node.op->run({{inputs, node.inputs.size()}, output, begin, end, bands[i].begin, bands[i].end, io_});
          if (!run_.node_positions.empty()) {
            run_.node_positions[static_cast<std::size_t>(segment.begin) + i].fetch_add(
                std::int64_t{end - begin} * bands[i].count(), std::memory_order_relaxed);
          }
        }
        if (node.output >= 0) {
          clear_sides(output, begin, end, bands[i]);
          clear_rows(output, rows.begin, std::min(rows.end, 0), bands[i]);
          clear_rows(output, std::max(rows.begin, node.rows), rows.end, bands[i]);
        }
        if (!run_.layer_ns.empty()) {
          run_.layer_ns[static_cast<std::size_t>(node.layer)].fetch_add(now_ns() - started, std::memory_order_relaxed);
        }
      }
    }
  }

  StripRows stop(int value) const {
    const ChainValue& stored = program_.chain_.values[static_cast<std::size_t>(value)];
    return {&stored.shape, reinterpret_cast<float*>(run_.scratch + program_.stop_at_[static_cast<std::size_t>(value)]),
            -stored.pad_top};
  }

  const ChainProgram& program_;
  const ChainRun& run_;
  ChainIo io_;
  std::unique_ptr<std::atomic<int>[]> waiting_;  ///< by task: predecessors not done
  std::unique_ptr<std::atomic<bool>[]> busy_;    ///< by scratch
  tbb::task_group group_;
};

void ChainProgram::run(const ChainRun& run) const {
  for (int image = 0; image < run.images; image += lanes_) {
    Execution execution(*this, run, image);
    if (threads_ == 1 || tbb::this_task_arena::max_concurrency() == 1) {
      execution.serially();
    } else {
      execution.in_parallel();
    }
  }
}

}  // namespace sparse_run::cpu
