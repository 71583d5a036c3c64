// Elementwise operators in f32: activations, and binary arithmetic with broadcasting.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cpu/kernel_table.hpp"
#include "cpu/kernels/broadcast_plan.hpp"
#include "cpu/kernels/elementwise.hpp"
#include "cpu/kernels/fused_activation.hpp"
#include "cpu/parallel.hpp"
#include "cpu/row/row_kernels.hpp"

namespace sparse_run::cpu {

std::optional<Activation> map_activation(const NodeView& view) {
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
  if (node.op == "Gelu" && node.string_or("approximate", "none") == "tanh") return Activation::of(Curve::gelu_tanh);
  return activation_named(node.op, {});
}

std::optional<Binary> binary_named(std::string_view op) {
  if (op == "Add" || op == "Sum") return Binary::add;
  if (op == "Sub") return Binary::sub;
  if (op == "Mul") return Binary::mul;
  if (op == "Div") return Binary::div;
  if (op == "Min") return Binary::min;
  if (op == "Max") return Binary::max;
  return std::nullopt;
}

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

Verdict check_map(const NodeView& view, const Environment&) {
  if (!view.all_f32()) return Verdict::reject("operands are not all f32");
  if (!map_activation(view)) return Verdict::reject("the parameters are not constant or have no kernel");
  return Verdict::accept();
}

std::unique_ptr<Step> build_map(const NodeView& view, const Environment&) {
  return std::make_unique<MapStep>(*map_activation(view));
}

class BinaryStep final : public Step {
 public:
  BinaryStep(Binary op, BroadcastPlan<2> plan) : op_(op), plan_(std::move(plan)) {}

  void run(const StepArguments& arguments) const override {
    const auto* a = arguments.in<float>(0);
    const auto* b = arguments.in<float>(1);
    auto* y = arguments.out<float>(0);
    const std::int64_t width = plan_.width;
    const std::int64_t rows = arguments.output(0).size() / std::max<std::int64_t>(width, 1);
    if (rows == 1) {
      parallel_ranges(width, kGrain, [&](std::int64_t begin, std::int64_t end) {
        row_kernels().binary(op_, a + begin * plan_.step[0], plan_.step[0], b + begin * plan_.step[1], plan_.step[1],
                             y + begin, static_cast<std::size_t>(end - begin));
      });
      return;
    }
    parallel_ranges(rows, std::max<std::int64_t>(1, kGrain / width), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const auto [a_at, b_at] = plan_.starts(row);
        row_kernels().binary(op_, a + a_at, plan_.step[0], b + b_at, plan_.step[1], y + row * width,
                             static_cast<std::size_t>(width));
      }
    });
  }

 private:
  Binary op_;
  BroadcastPlan<2> plan_;
};

Verdict check_binary(const NodeView& view, const Environment&) {
  if (!view.all_f32()) return Verdict::reject("operands are not all f32");
  if (view.input_count() != 2) return Verdict::reject("not two operands");
  if (element_count(view.output_shape(0)) == 0) return Verdict::reject("the result is empty");
  return Verdict::accept();
}

std::unique_ptr<Step> build_binary(const NodeView& view, const Environment&) {
  return std::make_unique<BinaryStep>(
      *binary_named(view.node().op),
      plan_broadcast<2>({&view.input_shape(0), &view.input_shape(1)}, view.output_shape(0)));
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
