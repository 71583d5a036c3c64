// Poolings over blocked images, and the steps between plain and blocked images.
#include <algorithm>

#include "cpu/dense/blocked.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/kernels/blocked.hpp"
#include "cpu/parallel.hpp"
#include "graph/ops/window.hpp"

namespace sparse_run::cpu {

namespace {

/// Calls body(image, block, begin, end) for ranges of the `rows` rows of every block, each a task of about `grain`
/// rows.
template <class Body>
void for_block_rows(std::int64_t images, std::int64_t blocks, std::int64_t rows, std::int64_t grain, const Body& body) {
  parallel_ranges(images * blocks * rows, grain, [&](std::int64_t begin, std::int64_t end) {
    while (begin < end) {
      const std::int64_t plane = begin / rows;
      const std::int64_t last = std::min(end, (plane + 1) * rows);
      body(plane / blocks, plane % blocks, begin - plane * rows, last - plane * rows);
      begin = last;
    }
  });
}

constexpr std::int64_t kGrainFloats = 8192;

bool describe_pool(const Node& node, const Shape& plain, Window& window) {
  const PoolGeometry geometry = PoolGeometry::sliding(node, plain);
  if (geometry.axes.size() != 2) return false;
  const WindowAxis& height = geometry.axes[0];
  const WindowAxis& width = geometry.axes[1];
  constexpr std::int64_t kLargest = 1 << 24;  // kernels compute positions as int
  for (const WindowAxis* axis : {&height, &width}) {
    for (const std::int64_t size : {axis->input, axis->kernel, axis->stride, axis->dilation, axis->output}) {
      if (size < 1 || size > kLargest) return false;
    }
    if (axis->pad_begin < -kLargest || axis->pad_begin > kLargest || axis->extent() > kLargest) return false;
  }
  if (height.kernel * width.kernel > kLargest) return false;
  window.height = static_cast<int>(height.input);
  window.width = static_cast<int>(width.input);
  window.out_height = static_cast<int>(height.output);
  window.out_width = static_cast<int>(width.output);
  window.kernel_height = static_cast<int>(height.kernel);
  window.kernel_width = static_cast<int>(width.kernel);
  window.stride_height = static_cast<int>(height.stride);
  window.stride_width = static_cast<int>(width.stride);
  window.dilation_height = static_cast<int>(height.dilation);
  window.dilation_width = static_cast<int>(width.dilation);
  window.pad_top = static_cast<int>(height.pad_begin);
  window.pad_left = static_cast<int>(width.pad_begin);
  window.row_stride = width.input * kBlockChannels;
  window.channel_stride = height.input * width.input * kBlockChannels;
  return true;
}

class BlockedPoolStep final : public Step {
 public:
  BlockedPoolStep(const Window& window, bool average, bool count_padding)
      : window_(window), average_(average), count_padding_(count_padding), kernels_(blocked_kernels(active_isa())) {}

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    auto* y = arguments.out<float>(0);
    const Shape& shape = arguments.input(0).shape();
    const std::int64_t blocks = shape[1];
    const std::int64_t out_plane = std::int64_t{window_.out_height} * window_.out_width * kBlockChannels;
    const BlockedPlace place{out_plane, std::ptrdiff_t{window_.out_width} * kBlockChannels, kBlockChannels};
    const std::int64_t row_work = std::int64_t{window_.out_width} * window_.taps() * kBlockChannels;
    for_block_rows(shape[0], blocks, window_.out_height, std::max<std::int64_t>(1, 4 * kGrainFloats / row_work),
                   [&](std::int64_t image, std::int64_t block, std::int64_t begin, std::int64_t end) {
                     const BlockedPart part{static_cast<int>(begin), static_cast<int>(end),      0, window_.out_width,
                                            static_cast<int>(block), static_cast<int>(block) + 1};
                     kernels_.pool({window_, x + image * blocks * window_.channel_stride,
                                    y + image * blocks * out_plane, place, average_, count_padding_, part});
                   });
  }

 private:
  Window window_;
  bool average_, count_padding_;
  const BlockedKernels& kernels_;
};

/// The result is plain: only its true channels are written.
class BlockedGlobalAverageStep final : public Step {
 public:
  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    auto* y = arguments.out<float>(0);
    const Shape& shape = arguments.input(0).shape();
    const std::int64_t blocks = shape[1], positions = shape[2] * shape[3], channels = arguments.output(0).dim(1);
    const BlockedKernels& kernels = blocked_kernels(active_isa());
    parallel_ranges(shape[0] * blocks, std::max<std::int64_t>(1, kGrainFloats / (positions * kBlockChannels)),
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t plane = begin; plane < end; ++plane) {
                        float sums[kBlockChannels];
                        kernels.sum(x + plane * positions * kBlockChannels, static_cast<std::size_t>(positions), sums);
                        const std::int64_t first = plane % blocks * kBlockChannels;
                        float* out = y + plane / blocks * channels + first;
                        for (std::int64_t c = 0; c < std::min<std::int64_t>(kBlockChannels, channels - first); ++c) {
                          out[c] = sums[c] / static_cast<float>(positions);
                        }
                      }
                    });
  }
};

class ToBlockedStep final : public Step {
 public:
  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    auto* y = arguments.out<float>(0);
    const Shape& shape = arguments.input(0).shape();
    const std::int64_t plane = shape[2] * shape[3], blocks = blocks_of(shape[1]);
    const BlockedKernels& kernels = blocked_kernels(active_isa());
    for_block_rows(shape[0], blocks, plane, kGrainFloats / kBlockChannels,
                   [&](std::int64_t image, std::int64_t block, std::int64_t begin, std::int64_t end) {
                     const std::int64_t channel = block * kBlockChannels;
                     const std::int64_t channels = std::min<std::int64_t>(kBlockChannels, shape[1] - channel);
                     kernels.to_block(x + (image * shape[1] + channel) * plane + begin, static_cast<std::size_t>(plane),
                                      static_cast<int>(channels), static_cast<std::size_t>(end - begin),
                                      y + ((image * blocks + block) * plane + begin) * kBlockChannels);
                   });
  }
};

class FromBlockedStep final : public Step {
 public:
  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    auto* y = arguments.out<float>(0);
    const Shape& shape = arguments.output(0).shape();
    const std::int64_t plane = shape[2] * shape[3], blocks = blocks_of(shape[1]);
    const BlockedKernels& kernels = blocked_kernels(active_isa());
    for_block_rows(shape[0], blocks, plane, kGrainFloats / kBlockChannels,
                   [&](std::int64_t image, std::int64_t block, std::int64_t begin, std::int64_t end) {
                     const std::int64_t channel = block * kBlockChannels;
                     const std::int64_t channels = std::min<std::int64_t>(kBlockChannels, shape[1] - channel);
                     kernels.from_block(x + ((image * blocks + block) * plane + begin) * kBlockChannels,
                                        static_cast<int>(channels), static_cast<std::size_t>(end - begin),
                                        y + (image * shape[1] + channel) * plane + begin,
                                        static_cast<std::size_t>(plane));
                   });
  }
};

Verdict accept(const NodeView&, const Environment&) { return Verdict::accept(); }

std::unique_ptr<Step> build_pool(const NodeView& view, const Environment&) {
  const Node& node = view.node();
  const Shape& x = view.input_shape(0);
  Window window;
  require(describe_pool(node, Shape{x[0], x[1] * kBlockChannels, x[2], x[3]}, window),
          "a blocked pooling was made of a node that is none");
  return std::make_unique<BlockedPoolStep>(window, node.op == "BlockedAveragePool",
                                           node.int_or("count_include_pad", 0) != 0);
}

template <class T>
std::unique_ptr<Step> make(const NodeView&, const Environment&) {
  return std::make_unique<T>();
}

}  // namespace

std::optional<std::string> why_no_blocked_pool(const NodeView& view) {
  if (!view.all_f32()) return "operands are not all f32";
  if (view.has_output(1)) return "indices are asked for";
  if (view.input_shape(0).size() != 4) return "not two spatial dimensions";
  if (element_count(view.input_shape(0)) == 0 || element_count(view.output_shape(0)) == 0) return "an operand is empty";
  if (view.node().int_or("ceil_mode", 0) != 0) return "windows beyond the padding";
  Window window;
  if (!describe_pool(view.node(), view.input_shape(0), window)) return "an extreme window";
  return std::nullopt;
}

void register_blocked_plane_kernels(KernelTable& table) {
  for (const char* op : {"BlockedMaxPool", "BlockedAveragePool"}) {
    table.add(op, {"cpu.pool.blocked.f32", accept, build_pool}, kInternalDomain);
  }
  table.add("BlockedGlobalAveragePool", {"cpu.pool.blocked_global.f32", accept, make<BlockedGlobalAverageStep>},
            kInternalDomain);
  table.add("ToBlocked", {"cpu.layout.to_blocked.f32", accept, make<ToBlockedStep>}, kInternalDomain);
  table.add("FromBlocked", {"cpu.layout.from_blocked.f32", accept, make<FromBlockedStep>}, kInternalDomain);
}

}  // namespace sparse_run::cpu
