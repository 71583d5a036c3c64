// Packing convolution weights for strips, and running rows of strips.
#include "cpu/column/strip_convolution.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

#include "base/error.hpp"
#include "cpu/column/row_pairs.hpp"

namespace sparse_run::cpu {

namespace {

/// Room of a tile's operand in the innermost cache, next to results and weights.
constexpr std::size_t kDenseTileBytes = 32 * 1024;
constexpr std::size_t kSparseTileBytes = 40 * 1024;
constexpr std::size_t kLookahead = 4;  // channels, as the kernel fetches ahead

// In loads per multiplication of a vector, as measured on an AVX-512 server core: an entry's weight and half its place
// are loaded once for all positions; a tile takes up the sums of a row and puts them down again, mostly in the second
// cache. Fewer positions do not hide the latency of sums.
constexpr double kLoadsPerEntry = 1.5;
constexpr double kLoadsPerVisit = 5;
constexpr int kFewestVectors = 3;

/// Bytes of one channel that a tile of `vectors` output positions reads.
std::size_t channel_bytes(const Window& window, int vectors, int lanes) {
  const int columns = (vectors - 1) * window.stride_width + (window.kernel_width - 1) * window.dilation_width + 1;
  return static_cast<std::size_t>(window.kernel_height * std::min(columns, vectors * window.kernel_width) * lanes) *
         sizeof(float);
}

/// Position of a tap from the first tap, over rows of `row_positions`.
std::int64_t tap_position(const Window& window, std::int64_t row_positions, int tap) {
  return std::int64_t{tap / window.kernel_width} * window.dilation_height * row_positions +
         std::int64_t{tap % window.kernel_width} * window.dilation_width;
}

std::int64_t row_positions(const StripShape& shape) { return std::int64_t{shape.channels} * shape.pitch(); }

/// `vectors` neighbouring ones of a call's positions at a time, as even as possible: body(first position, positions).
template <class Body>
void over_positions(const RowCall& call, int vectors, const Body& body) {
  const int width = call.column_end - call.column_begin;
  const int parts = (width + vectors - 1) / vectors;
  int position = call.column_begin;
  for (int part = 0; part < parts; ++part) {
    const int count = width / parts + (part < width % parts ? 1 : 0);
    body(position, count);
    position += count;
  }
}

/// Where the window of a row's first position begins, in channel 0.
const float* window_start(const StripRows& x, const Window& window, int row) {
  return x.row(row * window.stride_height - window.pad_top) - std::ptrdiff_t{window.pad_left} * x.shape->lanes;
}

template <class Call>
void set_epilogue(Call& call, const StripConvolutionSpec& spec, const RowCall& rows, int row, int group, int position) {
  const std::ptrdiff_t lanes = rows.output.shape->lanes;
  call.y_channel = rows.output.shape->channel_stride();
  call.y = rows.output.row(row) + group * spec.out_channels * call.y_channel + position * lanes;
  call.bias = spec.bias.empty() ? nullptr : spec.bias.data() + group * spec.out_channels;
  call.residual = nullptr;
  call.residual_channel = 0;
  if (spec.residual) {
    call.residual_channel = rows.inputs[1].shape->channel_stride();
    call.residual = rows.inputs[1].row(row) + group * spec.out_channels * call.residual_channel + position * lanes;
  }
  call.activation = spec.activation;
}

}  // namespace

bool SparseStripConvolution::fits(const Window& window, const StripShape& input) noexcept {
  return tap_position(window, row_positions(input), window.taps() - 1) <= 0xffff;
}

SparseStripConvolution::SparseStripConvolution(StripConvolutionSpec spec, std::span<const Csr> weights,
                                               const StripShape& input, Isa isa)
    : spec_(std::move(spec)), kernels_(&strip_kernels(isa)) {
  const Window& window = spec_.window;
  require(fits(window, input) && weights.size() == static_cast<std::size_t>(spec_.groups),
          "a sparse strip convolution was given an operand it cannot address");
  for (const Csr& matrix : weights) nnz_ += matrix.nnz();
  const double weights_all = static_cast<double>(spec_.groups) * spec_.out_channels * spec_.in_channels * window.taps();
  vectors_ = best_vectors(input, static_cast<double>(nnz_) / weights_all);
  channel_tile_ = channel_tile(vectors_, input);
  for (const Csr& matrix : weights) {
    require(matrix.rows == static_cast<std::size_t>(spec_.out_channels) &&
                matrix.columns == static_cast<std::size_t>(spec_.in_channels * window.taps()),
            "a sparse strip convolution was given weights of another size");
    Group group;
    std::vector<std::size_t> next(matrix.row_begin.begin(), matrix.row_begin.end() - 1);
    for (int begin = 0; begin < spec_.in_channels; begin += channel_tile_) {
      const int end = std::min(spec_.in_channels, begin + channel_tile_);
      add_tile(group, matrix, input, begin, end, begin == 0 || end == spec_.in_channels, next);
    }
    groups_.push_back(std::move(group));
  }
}

int SparseStripConvolution::channel_tile(int vectors, const StripShape& input) const noexcept {
  const std::int64_t reach = 0xffff - tap_position(spec_.window, row_positions(input), spec_.window.taps() - 1);
  const auto longest = std::max<std::int64_t>(
      1, std::min(static_cast<std::int64_t>(kSparseTileBytes / channel_bytes(spec_.window, vectors, kernels_->width)),
                  reach / input.pitch() + 1));
  const std::int64_t tiles = (spec_.in_channels + longest - 1) / longest;
  return static_cast<int>((spec_.in_channels + tiles - 1) / tiles);
}

int SparseStripConvolution::best_vectors(const StripShape& input, double entries_per_k) const noexcept {
  const int width = spec_.window.out_width, most = std::min(width, kernels_->most_vectors);
  const double entries = std::max(1e-9, entries_per_k * spec_.in_channels * spec_.window.taps());  // of a row
  int best = most;
  double least = std::numeric_limits<double>::infinity();
  for (int vectors = most; vectors >= std::min(most, kFewestVectors); --vectors) {
    const int parts = (width + vectors - 1) / vectors;
    const int channels = channel_tile((width + parts - 1) / parts, input);
    const double tiles = (spec_.in_channels + channels - 1) / channels;
    const double cost = (kLoadsPerEntry * parts + width) / width + kLoadsPerVisit * tiles / entries;
    if (cost >= least) continue;
    least = cost;
    best = (width + parts - 1) / parts;
  }
  return best;
}

StripAhead SparseStripConvolution::ahead(const StripShape& input, const float* at, int channels,
                                         int vectors) const noexcept {
  const Window& window = spec_.window;
  const int columns = (vectors - 1) * window.stride_width + (window.kernel_width - 1) * window.dilation_width + 1;
  StripAhead next;
  next.at = reinterpret_cast<const char*>(at);
  next.rows = static_cast<std::uint32_t>(window.kernel_height);
  next.channels = static_cast<std::uint32_t>(channels);
  next.bytes = static_cast<std::uint32_t>(columns * input.lanes) * 4;
  next.row_stride = window.dilation_height * input.row_stride() * 4;
  next.channel_stride = input.channel_stride() * 4;
  return next;
}

void SparseStripConvolution::add_tile(Group& group, const Csr& weights, const StripShape& input, int begin, int end,
                                      bool every_channel, std::vector<std::size_t>& next) const {
  const auto taps = static_cast<std::size_t>(spec_.window.taps());
  const std::size_t k_end = static_cast<std::size_t>(end) * taps;
  std::vector<std::size_t> end_of(weights.rows);
  std::vector<std::uint32_t> rows;  // with something to do, and their columns from the tile's first
  std::vector<std::uint32_t> columns(weights.column.size());
  std::vector<std::span<const std::uint32_t>> columns_of;
  for (std::size_t row = 0; row < weights.rows; ++row) {
    std::size_t last = next[row];
    for (; last < weights.row_begin[row + 1] && weights.column[last] < k_end; ++last) {
      columns[last] = weights.column[last] - static_cast<std::uint32_t>(static_cast<std::size_t>(begin) * taps);
    }
    end_of[row] = last;
    if (!every_channel && last == next[row]) continue;
    rows.push_back(static_cast<std::uint32_t>(row));
    columns_of.emplace_back(columns.data() + next[row], last - next[row]);
  }
  if (rows.empty()) return;
  std::vector<RowPair> pairs = pair_rows(columns_of, static_cast<std::size_t>(end - begin) * taps);
  const auto run_of = [&](const RowPair& pair) {
    const auto first = static_cast<std::uint32_t>(columns_of[pair.first].size());
    if (pair.alone()) return StripRun{0, 0, first, 0};  // the second of the pair computes nothing of use
    const auto second = static_cast<std::uint32_t>(columns_of[pair.second].size());
    const auto shared = static_cast<std::uint32_t>(pair.shared.size());
    return StripRun{shared, second - shared, first - second, 0};
  };
  std::stable_sort(pairs.begin(), pairs.end(), [&](const RowPair& a, const RowPair& b) {
    const StripRun x = run_of(a), y = run_of(b);
    // within a run channels ascend: the hardware fetches ahead what it can foresee
    return std::tie(x.shared, x.both, x.more, b.first) > std::tie(y.shared, y.both, y.more, a.first);
  });
  const auto place = [&](std::uint32_t k) {
    return static_cast<std::uint16_t>(static_cast<std::int64_t>(k / taps) * input.pitch() +
                                      tap_position(spec_.window, row_positions(input), static_cast<int>(k % taps)));
  };

  Tile tile{begin, end - begin, 0, group.steps.size(), group.channels.size(), group.runs.size(), 0};
  for (const RowPair& pair : pairs) {
    const std::size_t members[2] = {pair.first, pair.second};
    const std::size_t first_step = group.steps.size();
    const StripRun run = run_of(pair);
    group.steps.resize(first_step + run.shared + run.both + run.more);
    for (std::size_t p = 0; p < (pair.alone() ? 1u : 2u); ++p) {
      const float* weight = weights.value.data() + next[rows[members[p]]];
      std::size_t shared = first_step, own = first_step + run.shared;
      for (const std::uint32_t k : columns_of[members[p]]) {
        const bool both = std::binary_search(pair.shared.begin(), pair.shared.end(), k);
        StripStep& step = group.steps[both ? shared++ : own++];
        step.at[p] = place(k);
        step.weight[p] = *weight++;
      }
    }
    const bool repeated = group.runs.size() > tile.first_run && group.runs.back().shared == run.shared &&
                          group.runs.back().both == run.both && group.runs.back().more == run.more;
    if (!repeated) group.runs.push_back(run);
    ++group.runs.back().pairs;
    for (const std::size_t member : members) group.channels.push_back(rows[member]);
  }
  group.channels.insert(group.channels.end(), kLookahead, group.channels.back());
  next = std::move(end_of);
  tile.runs = group.runs.size() - tile.first_run;
  tile.pairs = static_cast<std::uint32_t>(pairs.size());
  group.tiles.push_back(tile);
}

std::size_t SparseStripConvolution::weight_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const Group& group : groups_) {
    bytes += group.steps.size() * sizeof(StripStep) + group.channels.size() * sizeof(std::uint32_t) +
             group.runs.size() * sizeof(StripRun);
  }
  return bytes;
}

double SparseStripConvolution::flops_per_row() const noexcept {
  return 2.0 * static_cast<double>(nnz_) * spec_.window.out_width * kernels_->width;
}

void SparseStripConvolution::run(const RowCall& rows) const noexcept {
  const StripRows& x = rows.inputs[0];
  StripSparseCall call;
  call.x_vector = std::ptrdiff_t{spec_.window.stride_width} * x.shape->lanes;
  const auto operand = [&](const float* start, int group, const Tile& tile) {
    return start + std::ptrdiff_t{group * spec_.in_channels + tile.channel_begin} * x.shape->channel_stride();
  };
  for (int row = rows.begin; row < rows.end; ++row) {
    const float* start = window_start(x, spec_.window, row);
    over_positions(rows, vectors_, [&](int position, int count) {
      call.vectors = count;
      const float* here = start + position * call.x_vector;
      // where the next block of positions begins, in this row or the next
      const float* after = nullptr;
      if (position + count < rows.column_end) {
        after = here + count * call.x_vector;
      } else if (row + 1 < rows.end) {
        after = window_start(x, spec_.window, row + 1) + rows.column_begin * call.x_vector;
      }
      for (int g = 0; g < spec_.groups; ++g) {
        const Group& group = groups_[static_cast<std::size_t>(g)];
        set_epilogue(call, spec_, rows, row, g, position);
        for (std::size_t i = 0; i < group.tiles.size(); ++i) {
          const Tile& tile = group.tiles[i];
          call.steps = group.steps.data() + tile.first_step;
          call.channels = group.channels.data() + tile.first_channel;
          call.runs = group.runs.data() + tile.first_run;
          call.run_count = tile.runs;
          call.pairs = tile.pairs;
          call.x = operand(here, g, tile);
          call.first = i == 0;
          call.last = i + 1 == group.tiles.size();
          call.next = {};
          const int next_group = call.last ? (g + 1) % spec_.groups : g;
          const Group& next_weights = groups_[static_cast<std::size_t>(next_group)];
          const float* next_start = call.last && next_group == 0 ? after : here;
          if (next_start != nullptr && !next_weights.tiles.empty()) {
            const Tile& next = next_weights.tiles[call.last ? 0 : i + 1];
            call.next = ahead(*x.shape, operand(next_start, next_group, next), next.channels, count);
          }
          kernels_->sparse(call);
        }
      }
    });
  }
}

DenseStripConvolution::DenseStripConvolution(StripConvolutionSpec spec, std::span<const float> weights,
                                             const StripShape& input, Isa isa)
    : spec_(std::move(spec)), kernels_(&strip_kernels(isa)) {
  const Window& window = spec_.window;
  const int taps = window.taps();
  k_ = static_cast<std::size_t>(spec_.in_channels * taps);
  const auto rows = static_cast<std::size_t>(spec_.out_channels);
  require(weights.size() == static_cast<std::size_t>(spec_.groups) * rows * k_,
          "a dense strip convolution was given weights of another size");
  vectors_ = std::min(window.out_width, 6);
  const std::size_t longest =
      std::max<std::size_t>(1, kDenseTileBytes / channel_bytes(window, vectors_, kernels_->width));
  const std::size_t channels = static_cast<std::size_t>(spec_.in_channels);
  const std::size_t tiles = (channels + longest - 1) / longest;
  k_tile_ = (channels + tiles - 1) / tiles * static_cast<std::size_t>(taps);
  for (std::size_t k = 0; k < k_; ++k) {
    const std::int64_t at = static_cast<std::int64_t>(k) / taps * input.pitch() +
                            tap_position(window, row_positions(input), static_cast<int>(k) % taps);
    at_.push_back(static_cast<std::uint32_t>(at * kernels_->width));
  }
  const std::size_t blocks = (rows + kStripDenseRows - 1) / kStripDenseRows;
  group_floats_ = blocks * kStripDenseRows * k_;
  weights_.assign(static_cast<std::size_t>(spec_.groups) * group_floats_, 0.0f);
  float* out = weights_.data();
  for (int g = 0; g < spec_.groups; ++g) {
    const float* from = weights.data() + static_cast<std::size_t>(g) * rows * k_;
    for (std::size_t k_begin = 0; k_begin < k_; k_begin += k_tile_) {
      const std::size_t k_end = std::min(k_, k_begin + k_tile_);
      for (std::size_t block = 0; block < blocks; ++block) {
        for (std::size_t k = k_begin; k < k_end; ++k, out += kStripDenseRows) {
          for (std::size_t r = 0; r < kStripDenseRows && block * kStripDenseRows + r < rows; ++r) {
            out[r] = from[(block * kStripDenseRows + r) * k_ + k];
          }
        }
      }
    }
  }
}

double DenseStripConvolution::flops_per_row() const noexcept {
  return 2.0 * spec_.groups * spec_.out_channels * static_cast<double>(k_) * spec_.window.out_width * kernels_->width;
}

void DenseStripConvolution::run(const RowCall& rows) const noexcept {
  const StripRows& x = rows.inputs[0];
  StripDenseCall call;
  call.x_vector = std::ptrdiff_t{spec_.window.stride_width} * x.shape->lanes;
  call.channels = static_cast<std::size_t>(spec_.out_channels);
  const std::size_t block_rows = group_floats_ / k_;
  for (int row = rows.begin; row < rows.end; ++row) {
    const float* start = window_start(x, spec_.window, row);
    over_positions(rows, vectors_, [&](int position, int count) {
      call.vectors = count;
      for (int g = 0; g < spec_.groups; ++g) {
        set_epilogue(call, spec_, rows, row, g, position);
        call.x = start + position * call.x_vector + std::ptrdiff_t{g * spec_.in_channels} * x.shape->channel_stride();
        for (std::size_t k = 0; k < k_; k += k_tile_) {
          call.k = std::min(k_tile_, k_ - k);
          call.at = at_.data() + k;
          call.weights = weights_.data() + static_cast<std::size_t>(g) * group_floats_ + k * block_rows;
          call.first = k == 0;
          call.last = k + call.k == k_;
          kernels_->dense(call);
        }
      }
    });
  }
}

DepthwiseStripConvolution::DepthwiseStripConvolution(StripConvolutionSpec spec, std::span<const float> weights, Isa isa)
    : spec_(std::move(spec)), kernels_(&strip_kernels(isa)), weights_(weights.begin(), weights.end()) {
  require(fits(spec_.window) && weights.size() == static_cast<std::size_t>(spec_.groups * spec_.window.taps()),
          "a depthwise strip convolution was given weights of another size");
}

double DepthwiseStripConvolution::flops_per_row() const noexcept {
  return 2.0 * static_cast<double>(weights_.size()) * spec_.window.out_width * kernels_->width;
}

void DepthwiseStripConvolution::run(const RowCall& rows) const noexcept {
  const StripRows& x = rows.inputs[0];
  const Window& window = spec_.window;
  const std::ptrdiff_t lanes = x.shape->lanes;
  for (int row = rows.begin; row < rows.end; ++row) {
    const float* taps[kMostRows];
    const float* start = window_start(x, window, row) + std::ptrdiff_t{rows.column_begin} * window.stride_width * lanes;
    for (int kh = 0; kh < window.kernel_height; ++kh) {
      taps[kh] = start + std::ptrdiff_t{kh} * window.dilation_height * x.shape->row_stride();
    }
    StripDepthwiseCall call;
    set_epilogue(call, spec_, rows, row, 0, rows.column_begin);
    call.x = taps;
    call.kernel_height = window.kernel_height;
    call.kernel_width = window.kernel_width;
    call.x_vector = window.stride_width * lanes;
    call.x_tap = window.dilation_width * lanes;
    call.x_channel = x.shape->channel_stride();
    call.weights = weights_.data();
    call.channels = spec_.groups;
    call.width = rows.column_end - rows.column_begin;
    kernels_->depthwise(call);
  }
}

}  // namespace sparse_run::cpu
