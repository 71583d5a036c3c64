// Transposed convolutions over one or two spatial dimensions in f32: a product per filter block, then its columns added
// to where the taps put them.
#include <tbb/task_arena.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "cpu/dense/onednn_matmul.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/parallel.hpp"
#include "graph/ops/window.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::int64_t kColumnBytes = 1 << 20;  ///< aimed at for a task's columns: they stay in the private cache

/// Input elements of one axis that a tap puts inside the output: [first, last).
struct Span {
  std::int64_t first = 0;
  std::int64_t last = 0;
};

Span inside(const WindowAxis& axis, std::int64_t tap) {
  const std::int64_t shift = tap * axis.dilation - axis.pad_begin;  // output position of input 0
  const std::int64_t first = shift >= 0 ? 0 : (-shift + axis.stride - 1) / axis.stride;
  const std::int64_t room = axis.output - shift;
  const std::int64_t last = room <= 0 ? 0 : std::min(axis.input, (room - 1) / axis.stride + 1);
  return {std::min(first, axis.input), std::max(last, std::min(first, axis.input))};
}

class ConvTransposeStep final : public Step {
 public:
  ConvTransposeStep(const ConvGeometry& geometry, int threads, bool bias)
      : images_(geometry.batch),
        groups_(geometry.group),
        channels_(geometry.in_channels / geometry.group),
        filters_(geometry.out_channels / geometry.group),
        bias_(bias),
        threads_(std::max(threads, 1)) {
    height_.input = height_.kernel = height_.output = 1;
    if (geometry.axes.size() == 2) height_ = geometry.axes[0];
    width_ = geometry.axes.back();
    taps_ = height_.kernel * width_.kernel;
    plane_ = height_.input * width_.input;
    block_ = std::clamp<std::int64_t>(kColumnBytes / 4 / std::max<std::int64_t>(1, taps_ * plane_), 1, filters_);
    // W is [channels][filters · taps]: the left operand of the product, transposed
    OnednnMatmul::Shape shape{block_ * taps_, plane_, channels_, 1, filters_ * taps_, plane_, 1, plane_};
    product_.emplace(shape);
    shape.m = filters_ % block_ * taps_;
    if (shape.m != 0) last_product_.emplace(shape);
  }

  std::size_t scratch_bytes() const override { return static_cast<std::size_t>(threads_) * columns_bytes(); }
  double flops() const override {
    return 2.0 * static_cast<double>(images_ * groups_ * filters_ * taps_) * static_cast<double>(channels_ * plane_);
  }

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    const auto* w = arguments.in<float>(1);
    const float* bias = bias_ ? arguments.in<float>(2) : nullptr;
    auto* y = arguments.out<float>(0);
    const std::int64_t blocks = (filters_ + block_ - 1) / block_;
    const std::int64_t out_plane = height_.output * width_.output;
    parallel_tasks(images_ * groups_ * blocks, [&](std::int64_t task) {
      const std::int64_t first = task % blocks * block_;
      const std::int64_t count = std::min(block_, filters_ - first);
      const std::int64_t matrix = task / blocks;  // image · groups + group
      const std::int64_t group = matrix % groups_;
      auto* columns = reinterpret_cast<float*>(
          arguments.scratch + static_cast<std::size_t>(tbb::this_task_arena::current_thread_index()) * columns_bytes());
      (count == block_ ? *product_ : *last_product_)
          .run(w + (group * channels_ * filters_ + first) * taps_, x + matrix * channels_ * plane_, columns);
      for (std::int64_t filter = 0; filter < count; ++filter) {
        float* out = y + (matrix * filters_ + first + filter) * out_plane;
        std::fill_n(out, out_plane, bias == nullptr ? 0.0f : bias[group * filters_ + first + filter]);
        add_columns(columns + filter * taps_ * plane_, out);
      }
    });
  }

 private:
  std::size_t columns_bytes() const {
    return (static_cast<std::size_t>(block_ * taps_ * plane_) * sizeof(float) + 63) / 64 * 64;
  }

  void add_columns(const float* columns, float* out) const {
    for (std::int64_t ky = 0; ky < height_.kernel; ++ky) {
      const Span rows = inside(height_, ky);
      for (std::int64_t kx = 0; kx < width_.kernel; ++kx, columns += plane_) {
        const Span span = inside(width_, kx);
        for (std::int64_t row = rows.first; row < rows.last; ++row) {
          const float* in = columns + row * width_.input;
          float* to = out + height_.position(row, ky) * width_.output + width_.position(0, kx);
          if (width_.stride == 1) {
            for (std::int64_t i = span.first; i < span.last; ++i) to[i] += in[i];
          } else {
            for (std::int64_t i = span.first; i < span.last; ++i) to[i * width_.stride] += in[i];
          }
        }
      }
    }
  }

  std::int64_t images_, groups_, channels_, filters_;
  bool bias_;
  int threads_;
  WindowAxis height_, width_;
  std::int64_t taps_ = 0, plane_ = 0;
  std::int64_t block_ = 1;  ///< filters of a task
  std::optional<OnednnMatmul> product_, last_product_;
};

ConvGeometry geometry_of(const NodeView& view) {
  return ConvGeometry::transposed(view.node(), view.input_shape(0), view.input_shape(1));
}

Verdict check(const NodeView& view, const Environment&) {
  if (!view.all_f32()) return Verdict::reject("operands are not all f32");
  const ConvGeometry geometry = geometry_of(view);
  if (geometry.axes.empty() || geometry.axes.size() > 2) return Verdict::reject("only one or two spatial dimensions");
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    if (element_count(view.input_shape(i)) == 0) return Verdict::reject("an operand is empty");
  }
  if (element_count(view.output_shape(0)) == 0) return Verdict::reject("the result is empty");
  std::int64_t column = sizeof(float);  // of one filter, in bytes
  for (const WindowAxis& axis : geometry.axes) {
    if (axis.kernel > 1024 || axis.input > (1 << 20) || axis.dilation > (1 << 20) || axis.stride > (1 << 20) ||
        std::max(std::abs(axis.pad_begin), std::abs(axis.pad_end)) > (1 << 30)) {
      return Verdict::reject("a window larger than this kernel is made for");
    }
    column *= axis.kernel * axis.input;
    if (column > (std::int64_t{1} << 30)) return Verdict::reject("one filter's columns exceed 1 GiB");
  }
  return Verdict::accept();
}

std::unique_ptr<Step> build(const NodeView& view, const Environment& environment) {
  return std::make_unique<ConvTransposeStep>(geometry_of(view), environment.threads, view.has_input(2));
}

}  // namespace

void register_conv_transpose_kernels(KernelTable& table) {
  table.add("ConvTranspose", {"cpu.conv_transpose.product.f32", check, build});
}

}  // namespace sparse_run::cpu
