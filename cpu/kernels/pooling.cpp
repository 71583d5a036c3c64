// Poolings in f32 over NCHW planes: sliding maximum and average, and reductions of whole planes.
#include <algorithm>
#include <limits>
#include <vector>

#include "cpu/kernel_table.hpp"
#include "cpu/parallel.hpp"
#include "cpu/row/row_kernels.hpp"
#include "graph/ops/window.hpp"

namespace sparse_run::cpu {

namespace {

class GlobalAverageStep final : public Step {
 public:
  void run(const StepArguments& arguments) const override {
    const std::int64_t planes = arguments.output(0).size();
    const std::int64_t plane = arguments.input(0).size() / planes;
    const auto* x = arguments.in<float>(0);
    auto* y = arguments.out<float>(0);
    parallel_ranges(planes, std::max<std::int64_t>(1, 16384 / plane), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        y[i] = row_kernels().sum(x + i * plane, static_cast<std::size_t>(plane)) / static_cast<float>(plane);
      }
    });
  }
};

Verdict check_global(const NodeView& view, const Environment&) {
  if (!view.all_f32()) return Verdict::reject("operands are not all f32");
  if (element_count(view.input_shape(0)) == 0) return Verdict::reject("the operand is empty");
  return Verdict::accept();
}

/// A window over two spatial axes (one-dimensional poolings have a single row).
struct PoolWindow {
  std::int64_t planes = 0;
  WindowAxis height, width;
  bool average = false;
  bool count_padding = false;
};

std::optional<std::string> describe(const NodeView& view, PoolWindow& pool) {
  if (!view.all_f32()) return "operands are not all f32";
  if (view.has_output(1)) return "indices are asked for";
  const PoolGeometry geometry = PoolGeometry::sliding(view.node(), view.input_shape(0));
  if (geometry.axes.empty() || geometry.axes.size() > 2) return "only one or two spatial dimensions";
  if (element_count(view.input_shape(0)) == 0 || element_count(view.output_shape(0)) == 0) return "an operand is empty";
  pool.planes = geometry.batch * geometry.channels;
  pool.height.input = pool.height.kernel = pool.height.output = 1;
  if (geometry.axes.size() == 2) pool.height = geometry.axes[0];
  pool.width = geometry.axes.back();
  pool.average = view.node().op == "AveragePool";
  pool.count_padding = view.node().int_or("count_include_pad", 0) != 0;
  if (pool.average && view.node().int_or("ceil_mode", 0) != 0 && pool.count_padding) {
    return "windows beyond the padding";
  }
  return std::nullopt;
}

class WindowPoolStep final : public Step {
 public:
  explicit WindowPoolStep(const PoolWindow& pool) : pool_(pool) {
    // For each tap, the range of windows whose tap lies inside the row: the inner loop then has no test.
    for (std::int64_t tap = 0; tap < pool.width.kernel; ++tap) {
      const WindowAxis& axis = pool.width;
      const std::int64_t shift = tap * axis.dilation - axis.pad_begin;
      std::int64_t first = shift >= 0 ? 0 : (-shift + axis.stride - 1) / axis.stride;
      std::int64_t last = shift >= axis.input ? 0 : (axis.input - 1 - shift) / axis.stride + 1;
      first = std::min(first, axis.output);
      last = std::clamp(last, first, axis.output);
      taps_.push_back({first, last, shift});
    }
    for (std::int64_t o = 0; pool.average && o < pool.width.output; ++o) columns_inside_.push_back(inside(pool.width, o));
  }

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    auto* y = arguments.out<float>(0);
    const WindowAxis& h = pool_.height;
    const WindowAxis& w = pool_.width;
    const std::int64_t work = w.output * h.kernel * w.kernel;
    parallel_ranges(pool_.planes * h.output, std::max<std::int64_t>(1, 16384 / work), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t row = i % h.output;
        const float* plane = x + i / h.output * h.input * w.input;
        float* out = y + i * w.output;
        std::fill(out, out + w.output, pool_.average ? 0.0f : -std::numeric_limits<float>::infinity());
        for (std::int64_t kh = 0; kh < h.kernel; ++kh) {
          const std::int64_t at = h.position(row, kh);
          if (at < 0 || at >= h.input) continue;
          accumulate(plane + at * w.input, out);
        }
        if (!pool_.average) continue;
        const std::int64_t rows_inside = inside(h, row);
        for (std::int64_t o = 0; o < w.output; ++o) {
          const std::int64_t count = pool_.count_padding ? h.kernel * w.kernel
                                                         : rows_inside * columns_inside_[static_cast<std::size_t>(o)];
          out[o] /= static_cast<float>(count);
        }
      }
    });
  }

 private:
  struct Tap {
    std::int64_t first, last, shift;
  };

  static std::int64_t inside(const WindowAxis& axis, std::int64_t window) {
    std::int64_t count = 0;
    for (std::int64_t k = 0; k < axis.kernel; ++k) {
      const std::int64_t at = axis.position(window, k);
      count += at >= 0 && at < axis.input;
    }
    return count;
  }

  void accumulate(const float* row, float* out) const {
    const std::int64_t stride = pool_.width.stride;
    for (const Tap& tap : taps_) {
      const float* in = row + tap.shift;
      if (pool_.average) {
        for (std::int64_t o = tap.first; o < tap.last; ++o) out[o] += in[o * stride];
      } else {
        for (std::int64_t o = tap.first; o < tap.last; ++o) {
          const float value = in[o * stride];
          out[o] = value > out[o] || value != value ? value : out[o];  // NaN stays: nothing compares above it
        }
      }
    }
  }

  PoolWindow pool_;
  std::vector<Tap> taps_;
  std::vector<std::int64_t> columns_inside_;
};

Verdict check_window(const NodeView& view, const Environment&) {
  PoolWindow pool;
  auto reason = describe(view, pool);
  return reason ? Verdict::reject(std::move(*reason)) : Verdict::accept();
}

std::unique_ptr<Step> build_window(const NodeView& view, const Environment&) {
  PoolWindow pool;
  describe(view, pool);
  return std::make_unique<WindowPoolStep>(pool);
}

}  // namespace

void register_pooling_kernels(KernelTable& table) {
  table.add("GlobalAveragePool", {"cpu.pool.global.f32", check_global,
                                  [](const NodeView&, const Environment&) -> std::unique_ptr<Step> {
                                    return std::make_unique<GlobalAverageStep>();
                                  }});
  for (const char* op : {"MaxPool", "AveragePool"}) table.add(op, {"cpu.pool.window.f32", check_window, build_window});
}

}  // namespace sparse_run::cpu
