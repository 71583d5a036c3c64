// Elementwise operators in f32: activations, and binary arithmetic with broadcasting.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cpu/kernel_table.hpp"
#include "cpu/kernels/fused_activation.hpp"
#include "cpu/parallel.hpp"
#include "cpu/row/row_kernels.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::int64_t kGrain = 16384;  // elements; below this a second thread costs more than it saves

class MapStep final : public Step {
 public:
  explicit MapStep(Activation activation) : activation_(activation) {}
  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<float>(0);
    auto* y = arguments.out<float>(0);
    parallel_ranges(arguments.input(0).size(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      row_kernels().map(activation_, x + begin, y + begin, static_cast<std::size_t>(end - begin));
    });
  }

 private:
  Activation activation_;
};

/// The activation a standalone node computes; nullopt when it is none of ours or its parameters are not constant.
std::optional<Activation> activation_of(const NodeView& view) {
  const Node& node = view.node();
  if (node.op == "Clip") {
    float bounds[2] = {-std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity()};
    if (node.opset < 11) {
      bounds[0] = node.float_or("min", std::numeric_limits<float>::lowest());
      bounds[1] = node.float_or("max", std::numeric_limits<float>::max());
    }
    for (std::size_t i = 0; i < 2; ++i) {
      if (!view.has_input(i + 1)) continue;
      const Tensor* bound = view.constant(i + 1);
      if (bound == nullptr || bound->size() != 1) return std::nullopt;
      bounds[i] = bound->data<float>()[0];
    }
    if (std::isnan(bounds[0]) || std::isnan(bounds[1])) return std::nullopt;
    return Activation::clip(std::min(bounds[0], bounds[1]), bounds[1]);
  }
  if (node.op == "LeakyRelu") return Activation::leaky_relu(node.float_or("alpha", 0.01f));
  if (node.op == "Swish" && node.float_or("alpha", 1.0f) == 1.0f) return Activation::of(Curve::silu);
  if (node.op == "Gelu" && node.string_or("approximate", "none") != "none") return std::nullopt;
  return activation_named(node.op, {});
}

Verdict check_map(const NodeView& view, const Environment&) {
  if (!view.all_f32()) return Verdict::reject("operands are not all f32");
  if (!activation_of(view)) return Verdict::reject("the parameters are not constant or have no kernel");
  return Verdict::accept();
}

std::unique_ptr<Step> build_map(const NodeView& view, const Environment&) {
  return std::make_unique<MapStep>(*activation_of(view));
}

/// A binary operation over collapsed dimensions: `count` rows of `width` elements, in each of which both operands step
/// by 0 or 1; where a row starts in each operand follows from its index.
struct BroadcastPlan {
  std::int64_t width = 1;
  int a_step = 1, b_step = 1;
  std::vector<std::int64_t> dims;  ///< outer dimensions, outermost first
  std::vector<std::int64_t> a_strides, b_strides;
};

BroadcastPlan plan_broadcast(const Shape& a, const Shape& b, const Shape& y) {
  const auto stride_of = [&](const Shape& shape) {
    std::vector<std::int64_t> strides(y.size(), 0);
    std::int64_t stride = 1;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const std::size_t own = shape.size() - 1 - i;
      if (shape[own] != 1) strides[y.size() - 1 - i] = stride;
      stride *= shape[own];
    }
    return strides;
  };
  const auto as = stride_of(a);
  const auto bs = stride_of(b);
  // Merge neighbouring dimensions that both operands walk contiguously (or both repeat).
  struct Dim { std::int64_t size, a, b; };
  std::vector<Dim> merged;
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (y[i] == 1) continue;
    if (!merged.empty() && merged.back().a == as[i] * y[i] && merged.back().b == bs[i] * y[i]) {
      merged.back() = {merged.back().size * y[i], as[i], bs[i]};
    } else {
      merged.push_back({y[i], as[i], bs[i]});
    }
  }
  BroadcastPlan plan;
  if (!merged.empty()) {
    plan.width = merged.back().size;
    plan.a_step = static_cast<int>(merged.back().a);
    plan.b_step = static_cast<int>(merged.back().b);
    merged.pop_back();
  }
  for (const Dim& dim : merged) {
    plan.dims.push_back(dim.size);
    plan.a_strides.push_back(dim.a);
    plan.b_strides.push_back(dim.b);
  }
  return plan;
}

class BinaryStep final : public Step {
 public:
  BinaryStep(Binary op, BroadcastPlan plan) : op_(op), plan_(std::move(plan)) {}

  void run(const StepArguments& arguments) const override {
    const auto* a = arguments.in<float>(0);
    const auto* b = arguments.in<float>(1);
    auto* y = arguments.out<float>(0);
    const std::int64_t width = plan_.width;
    const std::int64_t rows = arguments.output(0).size() / std::max<std::int64_t>(width, 1);
    if (rows == 1) {
      parallel_ranges(width, kGrain, [&](std::int64_t begin, std::int64_t end) {
        row_kernels().binary(op_, a + begin * plan_.a_step, plan_.a_step, b + begin * plan_.b_step, plan_.b_step,
                             y + begin, static_cast<std::size_t>(end - begin));
      });
      return;
    }
    parallel_ranges(rows, std::max<std::int64_t>(1, kGrain / width), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        std::int64_t rest = row;
        std::int64_t a_at = 0;
        std::int64_t b_at = 0;
        for (std::size_t d = plan_.dims.size(); d-- > 0;) {
          a_at += rest % plan_.dims[d] * plan_.a_strides[d];
          b_at += rest % plan_.dims[d] * plan_.b_strides[d];
          rest /= plan_.dims[d];
        }
        row_kernels().binary(op_, a + a_at, plan_.a_step, b + b_at, plan_.b_step, y + row * width,
                             static_cast<std::size_t>(width));
      }
    });
  }

 private:
  Binary op_;
  BroadcastPlan plan_;
};

std::optional<Binary> binary_of(std::string_view op) {
  if (op == "Add" || op == "Sum") return Binary::add;
  if (op == "Sub") return Binary::sub;
  if (op == "Mul") return Binary::mul;
  if (op == "Div") return Binary::div;
  if (op == "Min") return Binary::min;
  if (op == "Max") return Binary::max;
  return std::nullopt;
}

Verdict check_binary(const NodeView& view, const Environment&) {
  if (!view.all_f32()) return Verdict::reject("operands are not all f32");
  if (view.input_count() != 2) return Verdict::reject("not two operands");
  if (element_count(view.output_shape(0)) == 0) return Verdict::reject("the result is empty");
  return Verdict::accept();
}

std::unique_ptr<Step> build_binary(const NodeView& view, const Environment&) {
  return std::make_unique<BinaryStep>(*binary_of(view.node().op),
                                      plan_broadcast(view.input_shape(0), view.input_shape(1), view.output_shape(0)));
}

}  // namespace

void register_elementwise_kernels(KernelTable& table) {
  for (const char* op : {"Relu", "Clip", "LeakyRelu", "HardSwish", "Sigmoid", "Tanh", "Gelu", "Swish"}) {
    table.add(op, {"cpu.map.row.f32", check_map, build_map, 0});
  }
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Min", "Max", "Sum"}) {
    // in place on the first operand only when it has the result's size, which the builder checks
    table.add(op, {"cpu.binary.row.f32", check_binary, build_binary, 0});
  }
}

}  // namespace sparse_run::cpu
