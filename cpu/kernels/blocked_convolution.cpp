// Dense and depthwise convolutions over blocked images.
#include <algorithm>

#include "cpu/dense/blocked.hpp"
#include "cpu/dense/blocked_weights.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/kernels/blocked.hpp"
#include "cpu/kernels/blocked_split.hpp"
#include "cpu/parallel.hpp"

namespace sparse_run::cpu {

Shape blocked_shape(const Shape& plain) { return {plain[0], blocks_of(plain[1]), plain[2], plain[3], kBlockChannels}; }

std::optional<std::string> describe_blocked_convolution(const NodeView& view, Convolution& conv) {
  if (auto reason = describe_convolution(view, conv)) return reason;
  if (view.input_shape(0).size() != 4) return "not two spatial dimensions";
  const Window& window = conv.window;
  constexpr int kLargest = 1 << 24;  // kernels compute positions as int
  for (const int size : {window.height, window.width, window.out_height, window.out_width, window.stride_height,
                         window.stride_width, window.dilation_height, window.dilation_width, window.kernel_height,
                         window.kernel_width, window.pad_top, window.pad_left}) {
    if (size < -kLargest || size > kLargest) return "an extreme size";
  }
  if (conv.in_plane > kLargest || conv.out_plane > kLargest) return "an image of more than 2^24 positions";
  const bool depthwise = conv.in_channels == 1 && conv.out_channels == 1 && conv.groups > 1;
  if (depthwise) return std::nullopt;
  if (conv.groups != 1) return "several groups";
  if (!blocked_window_fits(conv.window)) return "the window is too large, or strides by more than 2";
  return std::nullopt;
}

namespace {

/// The description of a BlockedConv node.
Convolution describe_blocked(const NodeView& view) {
  const Shape& x = view.input_shape(0);
  const Tensor& weights = *view.constant(1);
  const std::int64_t groups = view.node().int_or("group", 1);
  Convolution conv;
  const auto reason = describe_convolution(view, Shape{x[0], weights.dim(1) * groups, x[2], x[3]}, conv);
  require(!reason, "a blocked convolution was made of a node that is none");
  return conv;
}

/// Is the result's row of positions one contiguous run of the input? Then rows need no edges.
bool is_flat(const Window& w) {
  return w.taps() == 1 && w.stride_height == 1 && w.stride_width == 1 && w.pad_top == 0 && w.pad_left == 0 &&
         w.out_height == w.height && w.out_width == w.width;
}

class BlockedConvStep final : public Step {
 public:
  BlockedConvStep(const Convolution& conv, const Tensor& weights, bool plain, const Environment& environment)
      : conv_(conv),
        kernels_(blocked_kernels(active_isa())),
        plain_(plain),
        in_blocks_(plain ? conv.in_channels : blocks_of(conv.in_channels)),
        out_blocks_(blocks_of(conv.out_channels)),
        weights_(pack_blocked_convolution(weights.data<float>(), conv.out_channels, conv.in_channels,
                                          conv.window.taps(), plain, active_isa())) {
    Window& window = conv_.window;
    const std::int64_t inner = plain ? 1 : kBlockChannels;
    window.channel_stride = conv.in_plane * inner;
    flat_ = !plain && is_flat(window);
    if (flat_) {
      window.width = window.out_width = static_cast<int>(conv.out_plane);
      window.height = window.out_height = 1;
    }
    window.row_stride = window.width * inner;
    BlockedWork work;
    work.images = conv.images;
    work.positions = flat_ ? window.out_width : window.out_height;
    work.blocks = out_blocks_;
    work.flops = flops() / static_cast<double>(conv.images);
    work.input_bytes = 4.0 * static_cast<double>(in_blocks_ * window.channel_stride);
    work.weight_bytes = static_cast<double>(weight_bytes());
    work.block_step = kernels_.conv_blocks;
    work.position_step = flat_ ? kernels_.conv_positions : 2 * window.out_width <= kernels_.conv_positions ? 2 : 1;
    work.private_cache = static_cast<double>(environment.machine.cache_bytes(2, 1 << 20));
    split_ = split_blocked(work, environment.threads);
  }

  std::size_t weight_bytes() const override { return weights_.size() * sizeof(float); }
  double flops() const override {
    return 2.0 * static_cast<double>(conv_.images * conv_.out_channels) * static_cast<double>(conv_.k()) *
           static_cast<double>(conv_.out_plane);
  }

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    const float* residual = conv_.residual ? arguments.in<float>(3) : nullptr;
    auto* y = arguments.out<float>(0);
    const Window& window = conv_.window;
    const std::int64_t in_image = in_blocks_ * window.channel_stride;
    const std::int64_t out_image = out_blocks_ * conv_.out_plane * kBlockChannels;
    const BlockedPlace place{conv_.out_plane * kBlockChannels,
                             static_cast<std::ptrdiff_t>(window.out_width) * kBlockChannels, kBlockChannels};
    parallel_tasks(split_.tasks(), [&](std::int64_t i) {
      const BlockedSplit::Task task = split_.task(i);
      const std::int64_t image = task.image;
      BlockedPart part{0, window.out_height, 0, window.out_width, task.block_begin, task.block_end};
      (flat_ ? part.column_begin : part.row_begin) = task.position_begin;
      (flat_ ? part.column_end : part.row_end) = task.position_end;
      Epilogue epilogue;
      epilogue.bias = conv_.bias ? arguments.in<float>(2) : nullptr;
      epilogue.residual = residual == nullptr ? nullptr : residual + image * out_image;
      epilogue.activation = conv_.activation;
      kernels_.convolution({window, x + image * in_image, static_cast<int>(in_blocks_), plain_, weights_.data(),
                            static_cast<int>(conv_.out_channels), y + image * out_image, place, epilogue, part});
    });
  }

 private:
  Convolution conv_;
  const BlockedKernels& kernels_;
  bool plain_;
  bool flat_ = false;  ///< positions are the columns of a single row
  std::int64_t in_blocks_, out_blocks_;
  AlignedVector<float> weights_;
  BlockedSplit split_;
};

/// Tasks are ranges of (image, block).
class BlockedDepthwiseStep final : public Step {
 public:
  BlockedDepthwiseStep(const Convolution& conv, const Tensor& weights)
      : conv_(conv),
        kernels_(blocked_kernels(active_isa())),
        weights_(pack_blocked_depthwise(weights.data<float>(), conv.groups, conv.window.taps())) {
    conv_.window.channel_stride = conv.in_plane * kBlockChannels;
    conv_.window.row_stride = static_cast<std::ptrdiff_t>(conv.window.width) * kBlockChannels;
  }

  std::size_t weight_bytes() const override { return weights_.size() * sizeof(float); }
  double flops() const override {
    return 2.0 * static_cast<double>(conv_.images * conv_.groups * conv_.out_plane) * conv_.window.taps();
  }

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    const float* residual = conv_.residual ? arguments.in<float>(3) : nullptr;
    auto* y = arguments.out<float>(0);
    const Window& window = conv_.window;
    const std::int64_t blocks = blocks_of(conv_.groups);
    const std::int64_t in_image = blocks * window.channel_stride;
    const std::int64_t out_image = blocks * conv_.out_plane * kBlockChannels;
    const BlockedPlace place{conv_.out_plane * kBlockChannels,
                             static_cast<std::ptrdiff_t>(window.out_width) * kBlockChannels, kBlockChannels};
    Epilogue epilogue;
    epilogue.bias = conv_.bias ? arguments.in<float>(2) : nullptr;
    epilogue.activation = conv_.activation;
    const std::int64_t rows = window.out_height;
    const std::int64_t grain = std::max<std::int64_t>(1, 4096 / (window.out_width * window.taps()));
    parallel_ranges(conv_.images * blocks * rows, grain, [&](std::int64_t begin, std::int64_t end) {
      while (begin < end) {  // one call per image and block
        const std::int64_t plane = begin / rows;
        const std::int64_t image = plane / blocks;
        const auto block = static_cast<int>(plane % blocks);
        const std::int64_t last = std::min(end, (plane + 1) * rows);
        Epilogue own = epilogue;
        own.residual = residual == nullptr ? nullptr : residual + image * out_image;
        const BlockedPart part{static_cast<int>(begin - plane * rows),
                               static_cast<int>(last - plane * rows),
                               0,
                               window.out_width,
                               block,
                               block + 1};
        kernels_.depthwise({window, x + image * in_image, weights_.data(), static_cast<int>(conv_.groups),
                            y + image * out_image, place, own, part});
        begin = last;
      }
    });
  }

 private:
  Convolution conv_;
  const BlockedKernels& kernels_;
  AlignedVector<float> weights_;
};

Verdict check_blocked(const NodeView&, const Environment&) { return Verdict::accept(); }

std::unique_ptr<Step> build_blocked(const NodeView& view, const Environment& environment) {
  const Convolution conv = describe_blocked(view);
  if (conv.groups > 1) return std::make_unique<BlockedDepthwiseStep>(conv, *view.constant(1));
  return std::make_unique<BlockedConvStep>(conv, *view.constant(1), view.input_shape(0).size() == 4, environment);
}

}  // namespace

void register_blocked_convolution_kernels(KernelTable& table) {
  table.add("BlockedConv", {"cpu.conv.blocked.f32", check_blocked, build_blocked}, kInternalDomain);
}

}  // namespace sparse_run::cpu
