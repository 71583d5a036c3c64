// Resize and Upsample: nearest for any element type, linear and cubic in f32, with the source of every coordinate
// worked out when compiling.
#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "cpu/kernel_table.hpp"
#include "cpu/parallel.hpp"
#include "cpu/reference/resize_taps.hpp"

namespace sparse_run::cpu {

namespace {

using Interpolation = ResizeMode::Interpolation;

class NearestStep final : public Step {
 public:
  NearestStep(const std::vector<ResizeAxis>& axes, const ResizeMode& mode, std::size_t width) : width_(width) {
    for (const ResizeAxis& axis : axes) {
      std::vector<std::int64_t> source;
      for (std::int64_t x = 0; x < axis.output; ++x) {
        source.push_back(axis.kept() ? x : reference::nearest_index(axis, mode, x));
      }
      sources_.push_back(std::move(source));
      sizes_.push_back(axis.input);
    }
    last_kept_ = axes.back().kept();
  }

  void run(const StepArguments& arguments) const override {
    switch (width_) {
      case 1:
        return copy<std::uint8_t>(arguments);
      case 2:
        return copy<std::uint16_t>(arguments);
      case 4:
        return copy<std::uint32_t>(arguments);
      default:
        return copy<std::uint64_t>(arguments);
    }
  }

 private:
  /// Elements are moved as unsigned integers of their size.
  template <class Element>
  void copy(const StepArguments& arguments) const {
    const auto* x = static_cast<const Element*>(arguments.input(0).raw());
    auto* y = static_cast<Element*>(arguments.output(0).raw());
    const auto& last = sources_.back();
    const auto row = static_cast<std::int64_t>(last.size());
    parallel_ranges(arguments.output(0).size() / row,
                    std::max<std::int64_t>(1, 65536 / (row * static_cast<std::int64_t>(sizeof(Element)))),
                    [&](std::int64_t begin, std::int64_t end) {
                      std::int64_t previous = -1;  // neighbouring rows often have the same source
                      for (std::int64_t r = begin; r < end; ++r) {
                        Element* to = y + r * row;
                        const std::int64_t source = source_row(r);
                        const Element* from = x + source * sizes_.back();
                        if (source == previous || last_kept_) {
                          std::copy_n(source == previous ? to - row : from, row, to);
                        } else {
                          for (std::int64_t i = 0; i < row; ++i) to[i] = from[last[static_cast<std::size_t>(i)]];
                        }
                        previous = source;
                      }
                    });
  }

  std::int64_t source_row(std::int64_t r) const {
    std::int64_t source = 0;
    std::int64_t stride = 1;
    for (std::size_t d = sources_.size() - 1; d-- > 0;) {
      const auto size = static_cast<std::int64_t>(sources_[d].size());
      source += sources_[d][static_cast<std::size_t>(r % size)] * stride;
      stride *= sizes_[d];
      r /= size;
    }
    return source;
  }

  std::size_t width_;
  std::vector<std::vector<std::int64_t>> sources_;  ///< per axis and result coordinate
  std::vector<std::int64_t> sizes_;                 ///< of the operand
  bool last_kept_ = false;
};

/// One axis of an interpolation: every result coordinate is a weighted sum of `taps` elements.
struct Pass {
  std::int64_t outer = 1, input = 1, output = 1, inner = 1;
  std::int64_t taps = 1;
  std::vector<std::int64_t> index;  ///< [output][taps]
  std::vector<float> weight;        ///< [output][taps]
};

/// The axes that change, one after the other in the order of the dimensions, between two buffers.
class InterpolateStep final : public Step {
 public:
  InterpolateStep(const std::vector<ResizeAxis>& axes, const ResizeMode& mode) {
    Shape shape;
    for (const ResizeAxis& axis : axes) shape.push_back(axis.input);
    for (std::size_t d = 0; d < axes.size(); ++d) {
      if (axes[d].kept()) continue;
      Pass pass;
      pass.outer = element_count(std::span(shape).first(d));
      pass.inner = element_count(std::span(shape).subspan(d + 1));
      pass.input = axes[d].input;
      pass.output = shape[d] = axes[d].output;
      std::vector<std::vector<reference::Weighted>> all;
      for (std::int64_t x = 0; x < pass.output; ++x) {
        all.push_back(reference::interpolation_weights(axes[d], mode, x));
        pass.taps = std::max<std::int64_t>(pass.taps, static_cast<std::int64_t>(all.back().size()));
      }
      for (const auto& weighted : all) {
        for (std::int64_t k = 0; k < pass.taps; ++k) {
          const bool given = k < static_cast<std::int64_t>(weighted.size());
          const auto& one = weighted[given ? static_cast<std::size_t>(k) : 0];
          pass.index.push_back(one.index);
          pass.weight.push_back(given ? static_cast<float>(one.weight) : 0.0f);
        }
      }
      passes_.push_back(std::move(pass));
      if (!passes_.empty()) buffer_floats_ = std::max(buffer_floats_, element_count(shape));
    }
  }

  std::size_t scratch_bytes() const override {
    return passes_.size() < 2 ? 0 : (passes_.size() == 2 ? 1 : 2) * buffer_bytes();
  }
  double flops() const override {
    double sum = 0;
    for (const Pass& pass : passes_)
      sum += 2.0 * static_cast<double>(pass.outer * pass.output * pass.inner * pass.taps);
    return sum;
  }

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    if (passes_.empty()) {
      std::memcpy(arguments.output(0).raw(), x, arguments.output(0).bytes());
      return;
    }
    for (std::size_t i = 0; i < passes_.size(); ++i) {
      float* y = i + 1 == passes_.size() ? arguments.out<float>(0)
                                         : reinterpret_cast<float*>(arguments.scratch + i % 2 * buffer_bytes());
      apply(passes_[i], x, y);
      x = y;
    }
  }

 private:
  std::size_t buffer_bytes() const { return (static_cast<std::size_t>(buffer_floats_) * sizeof(float) + 63) / 64 * 64; }

  static void apply(const Pass& pass, const float* x, float* y) {
    if (pass.inner == 1) {
      parallel_ranges(pass.outer, std::max<std::int64_t>(1, 16384 / pass.output),
                      [&](std::int64_t begin, std::int64_t end) {
                        for (std::int64_t o = begin; o < end; ++o) {
                          const float* in = x + o * pass.input;
                          const std::int64_t* index = pass.index.data();
                          const float* weight = pass.weight.data();
                          for (std::int64_t i = 0; i < pass.output; ++i) {
                            float sum = 0;
                            for (std::int64_t k = 0; k < pass.taps; ++k) {
                              if (weight[k] != 0) sum += weight[k] * in[index[k]];
                            }
                            y[o * pass.output + i] = sum;
                            index += pass.taps;
                            weight += pass.taps;
                          }
                        }
                      });
      return;
    }
    parallel_ranges(pass.outer * pass.output, std::max<std::int64_t>(1, 16384 / pass.inner),
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t row = begin; row < end; ++row) {
                        const auto at = static_cast<std::size_t>(row % pass.output * pass.taps);
                        float* out = y + row * pass.inner;
                        std::fill_n(out, pass.inner, 0.0f);
                        for (std::size_t k = at; k < at + static_cast<std::size_t>(pass.taps); ++k) {
                          const float weight = pass.weight[k];
                          if (weight == 0) continue;  // an infinite element beside the sample takes no part
                          const float* in = x + (row / pass.output * pass.input + pass.index[k]) * pass.inner;
                          for (std::int64_t i = 0; i < pass.inner; ++i) out[i] += weight * in[i];
                        }
                      }
                    });
  }

  std::vector<Pass> passes_;
  std::int64_t buffer_floats_ = 0;
};

/// The axes, or nullopt when scales or sizes are computed at run time.
std::optional<std::vector<ResizeAxis>> axes_of(const NodeView& view) {
  const Node& node = view.node();
  ResizeOperands operands;
  const auto floats = [&](std::size_t i) -> std::optional<std::vector<float>> {
    const Tensor* tensor = view.constant(i);
    if (tensor == nullptr || tensor->dtype() != DType::f32) return std::nullopt;
    return std::vector<float>(tensor->data<float>().begin(), tensor->data<float>().end());
  };
  if (node.op == "Upsample" && node.opset < 9) {
    operands.scales = node.get<std::vector<float>>("scales");
  } else if (node.opset < 11) {
    if (!(operands.scales = floats(1))) return std::nullopt;
  } else {
    if (view.has_input(2) && element_count(view.input_shape(2)) != 0) {
      if (!(operands.scales = floats(2))) return std::nullopt;
    }
    if (view.has_input(3) && element_count(view.input_shape(3)) != 0) {
      if (view.constant(3) == nullptr) return std::nullopt;
      operands.sizes = view.constant(3)->to_int64();
    }
  }
  return resize_axes(node, view.input_shape(0), operands);
}

Verdict check(const NodeView& view, const Environment&) {
  const ResizeMode mode = ResizeMode::of(view.node());
  if (mode.coordinates == ResizeMode::Coordinates::tf_crop_and_resize) return Verdict::reject("crops");
  const DType dtype = view.input_type(0).dtype;
  const std::size_t width = element_size(dtype);
  if (mode.interpolation == Interpolation::nearest ? (width != 1 && width != 2 && width != 4 && width != 8)
                                                   : dtype != DType::f32) {
    return Verdict::reject("elements of another type");
  }
  if (view.input_shape(0).empty()) return Verdict::reject("the operand is a scalar");
  if (element_count(view.input_shape(0)) == 0 || element_count(view.output_shape(0)) == 0)
    return Verdict::reject("empty");
  const auto axes = axes_of(view);
  if (!axes) return Verdict::reject("scales or sizes are computed at run time");
  std::int64_t taps = 0;
  for (const ResizeAxis& axis : *axes) {
    if (axis.output > (std::int64_t{1} << 24)) return Verdict::reject("an axis longer than 2^24");
    if (axis.kept()) continue;
    const double reach = mode.antialias && axis.scale < 1 ? 4.0 / static_cast<double>(axis.scale) : 4.0;
    taps += static_cast<std::int64_t>(std::min(reach, 1e9) * static_cast<double>(axis.output));
  }
  if (taps > (std::int64_t{1} << 26)) return Verdict::reject("more than 2^26 taps");
  return Verdict::accept();
}

std::unique_ptr<Step> build(const NodeView& view, const Environment&) {
  const ResizeMode mode = ResizeMode::of(view.node());
  const auto axes = *axes_of(view);
  if (mode.interpolation == Interpolation::nearest) {
    return std::make_unique<NearestStep>(axes, mode, element_size(view.input_type(0).dtype));
  }
  return std::make_unique<InterpolateStep>(axes, mode);
}

}  // namespace

void register_resize_kernels(KernelTable& table) {
  for (const char* op : {"Resize", "Upsample"}) table.add(op, {"cpu.resize.taps", check, build});
}

}  // namespace sparse_run::cpu
