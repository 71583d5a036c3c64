// Elementwise operators one by one: where no chain takes them.
#include "gpu/cuda/kernels/pointwise.hpp"

#include "gpu/cuda/steps/activation.hpp"
#include "gpu/cuda/steps/broadcasting.hpp"
#include "gpu/cuda/steps/kernel_table.hpp"

namespace sparse_run::gpu::cuda {

namespace {

class UnaryStep final : public Step {
 public:
  explicit UnaryStep(const NodeView& view) : call_(*unary_call(view)), count_(element_count(view.out_shape())) {}
  std::string_view kernel() const override { return "gpu.pointwise.f32"; }
  bool reads(std::size_t operand) const override { return operand == 0; }  // bounds of Clip are parameters
  double flops() const override { return static_cast<double>(count_); }
  void enqueue(const StepLaunch& launch) const override {
    if (count_ == 0) return;
    launch.gpu.launch(
        "pointwise_unary", shape_for_items(count_), launch.stream,
        PointwiseUnary{launch.in<float>(0), launch.out<float>(), count_, call_.function, call_.a, call_.b});
  }

 private:
  UnaryCall call_;
  Index count_;
};

std::string refuse_unary(const NodeView& view, const Gpu&) {
  if (std::string reason = unless_f32(view, 1); !reason.empty()) return reason;
  return unary_call(view) ? "" : "its parameters are not constant numbers";
}

std::unique_ptr<Step> build_unary(const NodeView& view, const std::shared_ptr<Gpu>&) {
  return std::make_unique<UnaryStep>(view);
}

class BinaryStep final : public Step {
 public:
  explicit BinaryStep(const NodeView& view)
      : function_(*binary_call(view)),
        count_(element_count(view.out_shape())),
        shape_(*broadcasting_of<2>(view.out_shape(), {view.in_shape(0), view.in_shape(1)})) {}
  std::string_view kernel() const override { return "gpu.pointwise.f32"; }
  double flops() const override { return static_cast<double>(count_); }
  void enqueue(const StepLaunch& launch) const override {
    if (count_ == 0) return;
    launch.gpu.launch(
        "pointwise_binary", shape_for_items(count_), launch.stream,
        PointwiseBinary{launch.in<float>(0), launch.in<float>(1), launch.out<float>(), count_, function_, shape_});
  }

 private:
  Binary function_;
  Index count_;
  Broadcasting<2> shape_;
};

std::string refuse_binary(const NodeView& view, const Gpu&) {
  if (std::string reason = unless_f32(view, view.inputs()); !reason.empty()) return reason;
  if (!binary_call(view)) return "it needs two operands";
  if (!broadcasting_of<2>(view.out_shape(), {view.in_shape(0), view.in_shape(1)})) return "it has too many axes";
  return {};
}

std::unique_ptr<Step> build_binary(const NodeView& view, const std::shared_ptr<Gpu>&) {
  return std::make_unique<BinaryStep>(view);
}

class ChoiceStep final : public Step {
 public:
  explicit ChoiceStep(const NodeView& view)
      : count_(element_count(view.out_shape())),
        shape_(*broadcasting_of<3>(view.out_shape(), {view.in_shape(0), view.in_shape(1), view.in_shape(2)})) {}
  std::string_view kernel() const override { return "gpu.where.f32"; }
  void enqueue(const StepLaunch& launch) const override {
    if (count_ == 0) return;
    launch.gpu.launch("pointwise_choice", shape_for_items(count_), launch.stream,
                      PointwiseChoice{launch.in<unsigned char>(0), launch.in<float>(1), launch.in<float>(2),
                                      launch.out<float>(), count_, shape_});
  }

 private:
  Index count_;
  Broadcasting<3> shape_;
};

std::string refuse_choice(const NodeView& view, const Gpu&) {
  if (view.in_type(1) != DType::f32) return "it chooses between f32 only";
  if (!broadcasting_of<3>(view.out_shape(), {view.in_shape(0), view.in_shape(1), view.in_shape(2)})) {
    return "it has too many axes";
  }
  return {};
}

std::unique_ptr<Step> build_choice(const NodeView& view, const std::shared_ptr<Gpu>&) {
  return std::make_unique<ChoiceStep>(view);
}

std::optional<Number> number_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return Number::f32;
    case DType::i32:
      return Number::i32;
    case DType::i64:
      return Number::i64;
    case DType::u8:
      return Number::u8;
    case DType::boolean:
      return Number::boolean;
    default:
      return std::nullopt;
  }
}

class ConversionStep final : public Step {
 public:
  explicit ConversionStep(const NodeView& view)
      : count_(element_count(view.out_shape())), from_(*number_of(view.in_type(0))), to_(*number_of(view.out_type())) {}
  std::string_view kernel() const override { return "gpu.cast"; }
  void enqueue(const StepLaunch& launch) const override {
    if (count_ == 0) return;
    launch.gpu.launch("convert", shape_for_items(count_), launch.stream,
                      Conversion{launch.in<void>(0), launch.out<void>(), count_, from_, to_});
  }

 private:
  Index count_;
  Number from_;
  Number to_;
};

std::string refuse_conversion(const NodeView& view, const Gpu&) {
  for (const DType dtype : {view.in_type(0), view.out_type()}) {
    if (!number_of(dtype)) return fmt::format("it does not convert {}", to_string(dtype));
  }
  return {};
}

std::unique_ptr<Step> build_conversion(const NodeView& view, const std::shared_ptr<Gpu>&) {
  return std::make_unique<ConversionStep>(view);
}

}  // namespace

void register_pointwise(KernelTable& table) {
  for (const char* op : {"Relu", "HardSwish", "Sigmoid",    "Tanh",        "Mish", "Softplus", "Neg", "Abs", "Sqrt",
                         "Exp",  "Log",       "Reciprocal", "Floor",       "Ceil", "Round",    "Erf", "Sin", "Cos",
                         "Sign", "LeakyRelu", "Elu",        "HardSigmoid", "Gelu", "Swish",    "Clip"}) {
    table.add(op, {"gpu.pointwise.f32", refuse_unary, build_unary});
  }
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Min", "Max", "Pow"}) {
    table.add(op, {"gpu.pointwise.f32", refuse_binary, build_binary});
  }
  table.add("Where", {"gpu.where.f32", refuse_choice, build_choice});
  table.add("Cast", {"gpu.cast", refuse_conversion, build_conversion});
}

}  // namespace sparse_run::gpu::cuda
