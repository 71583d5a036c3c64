// Column kernels run on the rows of one share, or on its channels.
#include "cpu/kernels/slab_convolution.hpp"

#include <algorithm>

#include "cpu/column/dense.hpp"
#include "cpu/kernels/sparse_variant.hpp"
#include "graph/ops/window.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::string_view kSparse = "cpu.conv.sparse_column.f32";
constexpr std::string_view kDense = "cpu.conv.column.f32";

std::string_view plain_name(std::string_view kernel) { return kernel.substr(0, kernel.find('@')); }
std::string_view variant_of(std::string_view kernel) {
  const std::size_t at = kernel.find('@');
  return at == std::string_view::npos ? std::string_view() : kernel.substr(at + 1);
}

/// Each output position reads the one at its place: lanes are positions of the operand as they lie.
bool reads_in_place(const Window& w) {
  return w.taps() == 1 && w.stride_height == 1 && w.stride_width == 1 && w.pad_top == 0 && w.pad_left == 0 &&
         w.out_height == w.height && w.out_width == w.width;
}

/// What every kind of convolution on slabs shares.
class SlabConvolution : public SlabOp {
 public:
  SlabConvolution(const NodeView& view, const Convolution& conv, double nonzeros) : conv_(conv) {
    if (conv.bias) {
      const auto bias = view.constant(2)->data<float>();
      bias_.assign(bias.begin(), bias.end());
    }
    conv_.images = 1;
    flops_ = 2 * nonzeros * static_cast<double>(conv.window.lanes());
  }
  double flops() const noexcept override { return flops_; }

 protected:
  std::size_t channels_of_group() const { return static_cast<std::size_t>(conv_.out_channels); }
  std::size_t width() const { return static_cast<std::size_t>(conv_.window.out_width); }

  /// The operand of one group as the call's rows lie; `window` is filled in and must live as long.
  ColumnInput input(const SlabCall& call, std::int64_t group, Window& window) const {
    const SlabRows& rows = call.inputs[0];
    const std::ptrdiff_t from = group * conv_.in_channels * rows.channel_stride;
    window = conv_.window;
    window.channel_stride = rows.channel_stride;
    window.first_row = rows.first_row;
    if (reads_in_place(window)) {
      return ColumnInput::rows(rows.row(call.begin, window.width) + from, rows.channel_stride);
    }
    return {rows.at + from, &window, 0};
  }
  /// The lane that call.begin is for the kernel that reads input().
  std::size_t first_lane(const SlabCall& call) const {
    return reads_in_place(conv_.window) ? 0 : static_cast<std::size_t>(call.begin) * width();
  }
  std::size_t lanes(const SlabCall& call) const { return static_cast<std::size_t>(call.end - call.begin) * width(); }

  /// Where a channel's result begins.
  float* result(const SlabCall& call, std::size_t channel) const {
    return call.output.row(call.begin, conv_.window.out_width) +
           static_cast<std::ptrdiff_t>(channel) * call.output.channel_stride;
  }
  Epilogue epilogue(const SlabCall& call, std::size_t channel) const {
    Epilogue made;
    made.bias = bias_.empty() ? nullptr : bias_.data() + channel;
    if (conv_.residual) {
      const SlabRows& residual = call.inputs[1];
      made.residual = residual.row(call.begin, conv_.window.out_width) +
                      static_cast<std::ptrdiff_t>(channel) * residual.channel_stride;
      made.residual_stride = static_cast<std::size_t>(residual.channel_stride);
    }
    made.activation = conv_.activation;
    return made;
  }

  Convolution conv_;
  std::vector<float> bias_;
  double flops_ = 0;
};

class SparseSlabConvolution final : public SlabConvolution {
 public:
  SparseSlabConvolution(const NodeView& view, const Convolution& conv, const SparseVariant& variant, int shares,
                        bool by_channels)
      : SlabConvolution(view, conv, static_cast<double>(view.weight(1)->by_rows().nnz())), by_channels_(by_channels) {
    const Csr& weights = view.weight(1)->by_rows();
    for (std::size_t group = 0; group < static_cast<std::size_t>(conv.groups); ++group) {
      const std::size_t first = group * channels_of_group();
      const Csr all = weights.slice_rows(first, first + channels_of_group());
      const std::vector<std::size_t> bounds =
          by_channels ? all.balanced_rows(static_cast<std::size_t>(shares)) : std::vector<std::size_t>{0, all.rows};
      slices_ = bounds.size() - 1;
      for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
        weights_.emplace_back(all.slice_rows(bounds[i], bounds[i + 1]), variant, active_isa(), &conv_.window);
        first_.push_back(first + bounds[i]);
      }
    }
  }

  std::size_t weight_bytes() const noexcept override {
    std::size_t bytes = 0;
    for (const SparseColumns& weights : weights_) bytes += weights.bytes();
    return bytes;
  }
  bool skips_zeros() const noexcept override { return true; }

  void run(const SlabCall& call) const noexcept override {
    const std::size_t lane = first_lane(call), slice = by_channels_ ? static_cast<std::size_t>(call.share) : 0;
    for (std::size_t group = 0; group < weights_.size() / slices_; ++group) {
      const std::size_t own = group * slices_ + slice;
      if (weights_[own].rows() == 0) continue;
      Window window;
      weights_[own].run(input(call, static_cast<std::int64_t>(group), window), lane, lane + lanes(call),
                        result(call, first_[own]), static_cast<std::size_t>(call.output.channel_stride),
                        epilogue(call, first_[own]));
    }
  }

 private:
  bool by_channels_;
  std::size_t slices_ = 1;
  std::vector<SparseColumns> weights_;  ///< [group][slice]
  std::vector<std::size_t> first_;      ///< channel, the same
};

class DenseSlabConvolution final : public SlabConvolution {
 public:
  DenseSlabConvolution(const NodeView& view, const Convolution& conv, int shares, bool by_channels)
      : SlabConvolution(view, conv, static_cast<double>(view.weight(1)->elements())),
        shares_(shares),
        by_channels_(by_channels) {
    const Tensor dense = view.weight(1)->dense();
    const auto all = dense.data<float>();
    const std::size_t elements = channels_of_group() * conv.k();
    for (std::size_t group = 0; group < static_cast<std::size_t>(conv.groups); ++group) {
      weights_.emplace_back(all.subspan(group * elements, elements), channels_of_group(), conv.k());
    }
  }

  std::size_t weight_bytes() const noexcept override {
    std::size_t bytes = 0;
    for (const DenseColumns& weights : weights_) bytes += weights.bytes();
    return bytes;
  }

  void run(const SlabCall& call) const noexcept override {
    const std::size_t lane = first_lane(call), count = channels_of_group();
    for (std::size_t group = 0; group < weights_.size(); ++group) {
      const DenseColumns& weights = weights_[group];
      ColumnPart part{lane, lane + lanes(call), 0, count};
      if (by_channels_) {
        part.row_begin = bound(weights, call.share);
        part.row_end = bound(weights, call.share + 1);
        if (part.row_begin >= part.row_end) continue;
      }
      Window window;
      const std::size_t first = group * count;
      weights.run(input(call, static_cast<std::int64_t>(group), window), part, result(call, first),
                  static_cast<std::size_t>(call.output.channel_stride), epilogue(call, first));
    }
  }

 private:
  std::size_t bound(const DenseColumns& weights, int share) const {
    const std::size_t steps = (weights.rows() + weights.row_step() - 1) / weights.row_step();
    return std::min(weights.rows(),
                    steps * static_cast<std::size_t>(share) / static_cast<std::size_t>(shares_) * weights.row_step());
  }

  int shares_;
  bool by_channels_;
  std::vector<DenseColumns> weights_;  ///< by group
};

}  // namespace

std::optional<std::string> describe_slab_convolution(const NodeView& view, std::string_view kernel, Convolution& conv) {
  const std::string_view name = plain_name(kernel);
  if (name != kSparse && name != kDense) return "not a convolution on columns";
  if (auto reason = describe_convolution(view, conv)) return reason;
  if (conv.bias && view.constant(2) == nullptr) return "the bias is computed at run time";
  if (conv.residual && view.graph().value(view.node().inputs[3]).constant) return "the residual is constant";
  if (view.graph().value(view.node().inputs[0]).constant) return "the operand is constant";
  if (view.input_shape(0).size() != 4) return "only two spatial dimensions";
  return std::nullopt;
}

bool better_by_channels(const NodeView& view, const Convolution& conv, std::string_view kernel, int shares) {
  // in units of one load from the innermost cache; split_sparse (sparse_split.cpp) has where the numbers come from
  constexpr double kLoadsBesidesVectors = 1.5, kEntriesPerRow = 3, kLoadsPerForeignVector = 15;
  const auto vector = static_cast<std::int64_t>(column_kernels(active_isa()).width);
  const auto in_vectors = [&](std::int64_t lanes) { return static_cast<double>((lanes + vector - 1) / vector); };
  const std::int64_t height = conv.window.out_height, width = conv.window.out_width;
  double blocks_of = 3;        // vectors that share the load of a weight
  std::int64_t pitch = width;  // lanes of a row as the kernel counts them
  if (plain_name(kernel) == kSparse) {
    const SparseVariant variant = sparse_variant(conv, view, variant_of(kernel));
    blocks_of = variant.vectors;
    const auto layout = variant.strip ? StripLayout::of(conv.window, static_cast<std::size_t>(variant.vectors * vector),
                                                        static_cast<std::size_t>(vector), variant.alignment)
                                      : std::nullopt;
    if (layout) pitch = layout->pitch;
  }
  const double some = in_vectors((height + shares - 1) / shares * pitch), all = in_vectors(height * pitch);
  const auto loads_of_entry = [&](double vectors) {
    return vectors + kLoadsBesidesVectors * std::max(1.0, vectors / blocks_of);
  };
  const auto channels = static_cast<double>(conv.out_channels * conv.groups);
  const double k = static_cast<double>(conv.k());
  const double density = plain_name(kernel) == kSparse ? 1 - view.zeros(1) : 1;
  const double entries = channels * (k * density + kEntriesPerRow);
  const double moved = 2 * k;  // of collecting operands
  const double by_rows = entries * loads_of_entry(some) + moved * some;
  const double shared = static_cast<double>(conv.in_channels * conv.groups);
  const double foreign = kLoadsPerForeignVector * shared * all * (shares - 1) / shares;
  const double by_channels = entries / shares * loads_of_entry(all) + moved * all + foreign;
  return by_channels < by_rows;
}

std::unique_ptr<SlabOp> make_slab_convolution(const NodeView& view, const Convolution& conv, std::string_view kernel,
                                              int shares, bool by_channels) {
  const std::string_view name = plain_name(kernel);
  if (name == kSparse) {
    return std::make_unique<SparseSlabConvolution>(view, conv, sparse_variant(conv, view, variant_of(kernel)), shares,
                                                   by_channels);
  }
  return std::make_unique<DenseSlabConvolution>(view, conv, shares, by_channels);
}

}  // namespace sparse_run::cpu
