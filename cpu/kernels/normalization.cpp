// Softmax and LayerNormalization over the last axis in f32, a row at a time.
#include <algorithm>

#include "cpu/kernel_table.hpp"
#include "cpu/parallel.hpp"
#include "cpu/row/row_kernels.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::int64_t kRowGrainFloats = 8192;  // below this a second thread costs more than it saves

std::int64_t row_grain(std::int64_t width) { return std::max<std::int64_t>(1, kRowGrainFloats / std::max<std::int64_t>(width, 1)); }

class SoftmaxStep final : public Step {
 public:
  void run(const StepArguments& arguments) const override {
    const std::int64_t width = arguments.input(0).shape().back();
    const std::int64_t rows = width == 0 ? 0 : arguments.input(0).size() / width;
    const auto* x = arguments.in<float>(0);
    auto* y = arguments.out<float>(0);
    parallel_ranges(rows, row_grain(width), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        row_kernels().softmax(x + row * width, 1.0f, nullptr, y + row * width, static_cast<std::size_t>(width));
      }
    });
  }
};

Verdict check_softmax(const NodeView& view, const Environment&) {
  if (!view.all_f32()) return Verdict::reject("operands are not all f32");
  const Shape& shape = view.input_shape(0);
  if (shape.empty()) return Verdict::reject("the operand is a scalar");
  const bool flattens = view.node().opset < 13;
  const std::int64_t axis = normalize_axis(view.node().int_or("axis", flattens ? 1 : -1), shape.size());
  if (axis + 1 != static_cast<std::int64_t>(shape.size())) return Verdict::reject("the axis is not the last one");
  return Verdict::accept();
}

class LayerNormStep final : public Step {
 public:
  LayerNormStep(std::int64_t width, float epsilon) : width_(width), epsilon_(epsilon) {}

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    const auto* gamma = arguments.in<float>(1);
    const float* beta = arguments.has_input(2) ? arguments.in<float>(2) : nullptr;
    auto* y = arguments.out<float>(0);
    parallel_ranges(arguments.input(0).size() / width_, row_grain(width_), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        row_kernels().layer_norm(x + row * width_, gamma, beta, epsilon_, y + row * width_,
                                 static_cast<std::size_t>(width_));
      }
    });
  }

 private:
  std::int64_t width_;
  float epsilon_;
};

/// Elements normalised together: the dimensions from `axis` on.
std::int64_t normalized_width(const NodeView& view) {
  const Shape& shape = view.input_shape(0);
  const std::int64_t axis = normalize_axis(view.node().int_or("axis", -1), shape.size());
  return element_count(std::span(shape).subspan(static_cast<std::size_t>(axis)));
}

Verdict check_layer_norm(const NodeView& view, const Environment&) {
  if (!view.all_f32()) return Verdict::reject("operands are not all f32");
  if (view.has_output(1) || view.has_output(2)) return Verdict::reject("mean or deviation is asked for");
  const std::int64_t width = normalized_width(view);
  if (width == 0) return Verdict::reject("the operand is empty");
  for (std::size_t i = 1; i < 3; ++i) {
    if (view.has_input(i) && element_count(view.input_shape(i)) != width) {
      return Verdict::reject("scale or bias broadcasts");
    }
  }
  return Verdict::accept();
}

}  // namespace

void register_normalization_kernels(KernelTable& table) {
  table.add("Softmax", {"cpu.softmax.row.f32", check_softmax,
                        [](const NodeView&, const Environment&) -> std::unique_ptr<Step> {
                          return std::make_unique<SoftmaxStep>();
                        },
                        0});
  table.add("LayerNormalization", {"cpu.layernorm.row.f32", check_layer_norm,
                                   [](const NodeView& view, const Environment&) -> std::unique_ptr<Step> {
                                     return std::make_unique<LayerNormStep>(normalized_width(view),
                                                                            view.node().float_or("epsilon", 1e-5f));
                                   },
                                   0});
}

}  // namespace sparse_run::cpu
