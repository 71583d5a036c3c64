// Elementwise operators that one generic loop serves: math functions, comparisons, logic, selection and casts.
#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "cpu/kernel_table.hpp"
#include "cpu/kernels/broadcast_plan.hpp"
#include "cpu/parallel.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::int64_t kGrain = 8192;  // elements; below this a second thread costs more than it saves

/// y[i] = function(x[i]).
template <class From, class To, class Function>
class UnaryStep final : public Step {
 public:
  explicit UnaryStep(Function function) : function_(function) {}
  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<From>(0);
    auto* y = arguments.out<To>(0);
    parallel_ranges(arguments.input(0).size(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) y[i] = function_(x[i]);
    });
  }

 private:
  Function function_;
};

template <class From, class To, class Function>
std::unique_ptr<Step> unary(Function function) {
  return std::make_unique<UnaryStep<From, To, Function>>(function);
}

std::unique_ptr<Step> build_math(const NodeView& view, const Environment&) {
  const Node& node = view.node();
  const std::string& op = node.op;
  if (op == "Sqrt") return unary<float, float>([](float x) { return std::sqrt(x); });
  if (op == "Exp") return unary<float, float>([](float x) { return std::exp(x); });
  if (op == "Log") return unary<float, float>([](float x) { return std::log(x); });
  if (op == "Neg") return unary<float, float>([](float x) { return -x; });
  if (op == "Abs") return unary<float, float>([](float x) { return std::abs(x); });
  if (op == "Reciprocal") return unary<float, float>([](float x) { return 1 / x; });
  if (op == "Floor") return unary<float, float>([](float x) { return std::floor(x); });
  if (op == "Ceil") return unary<float, float>([](float x) { return std::ceil(x); });
  if (op == "Erf") return unary<float, float>([](float x) { return std::erf(x); });
  if (op == "Sin") return unary<float, float>([](float x) { return std::sin(x); });
  if (op == "Cos") return unary<float, float>([](float x) { return std::cos(x); });
  if (op == "Softplus") {
    return unary<float, float>([](float x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); });
  }
  if (op == "Elu") {
    return unary<float, float>([a = node.float_or("alpha", 1.0f)](float x) { return x < 0 ? a * std::expm1(x) : x; });
  }
  if (op == "HardSigmoid") {
    return unary<float, float>([a = node.float_or("alpha", 0.2f), b = node.float_or("beta", 0.5f)](float x) {
      const float y = a * x + b;
      return y < 0 ? 0.0f : y > 1 ? 1.0f : y;
    });
  }
  throw_error(ErrorKind::internal, "no function {}", op);
}

Verdict check_math(const NodeView& view, const Environment&) {
  return view.all_f32() ? Verdict::accept() : Verdict::reject("operands are not all f32");
}

/// y[i] = function(a[i], b[i]), broadcasting.
template <class From, class To, class Function>
class BinaryFunctionStep final : public Step {
 public:
  BinaryFunctionStep(Function function, BroadcastPlan<2> plan) : function_(function), plan_(std::move(plan)) {}
  void run(const StepArguments& arguments) const override {
    const auto* a = arguments.in<From>(0);
    const auto* b = arguments.in<From>(1);
    auto* y = arguments.out<To>(0);
    const std::int64_t width = plan_.width;
    parallel_ranges(arguments.output(0).size() / width, std::max<std::int64_t>(1, kGrain / width),
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t row = begin; row < end; ++row) {
                        const auto [a_at, b_at] = plan_.starts(row);
                        pass(a + a_at, b + b_at, y + row * width);
                      }
                    });
  }

 private:
  void pass(const From* a, const From* b, To* y) const {
    if (plan_.step[0] == 1 && plan_.step[1] == 1) {
      for (std::int64_t i = 0; i < plan_.width; ++i) y[i] = function_(a[i], b[i]);
    } else if (plan_.step[0] == 1) {
      for (std::int64_t i = 0; i < plan_.width; ++i) y[i] = function_(a[i], *b);
    } else if (plan_.step[1] == 1) {
      for (std::int64_t i = 0; i < plan_.width; ++i) y[i] = function_(*a, b[i]);
    } else {
      std::fill_n(y, plan_.width, function_(*a, *b));
    }
  }

  Function function_;
  BroadcastPlan<2> plan_;
};

template <class From, class To, class Function>
std::unique_ptr<Step> binary(const NodeView& view, Function function) {
  return std::make_unique<BinaryFunctionStep<From, To, Function>>(
      function, plan_broadcast<2>({&view.input_shape(0), &view.input_shape(1)}, view.output_shape(0)));
}

template <class T>
std::unique_ptr<Step> build_comparison_of(const NodeView& view) {
  const std::string& op = view.node().op;
  if (op == "Equal") return binary<T, bool>(view, [](T a, T b) { return a == b; });
  if (op == "Less") return binary<T, bool>(view, [](T a, T b) { return a < b; });
  if (op == "LessOrEqual") return binary<T, bool>(view, [](T a, T b) { return a <= b; });
  if (op == "Greater") return binary<T, bool>(view, [](T a, T b) { return a > b; });
  return binary<T, bool>(view, [](T a, T b) { return a >= b; });
}

bool nonempty(const NodeView& view) { return element_count(view.output_shape(0)) != 0; }

Verdict check_comparison(const NodeView& view, const Environment&) {
  const DType dtype = view.input_type(0).dtype;
  if (dtype != DType::f32 && dtype != DType::i64 && dtype != DType::i32)
    return Verdict::reject("operands of another type");
  return nonempty(view) ? Verdict::accept() : Verdict::reject("the result is empty");
}

std::unique_ptr<Step> build_comparison(const NodeView& view, const Environment&) {
  const DType dtype = view.input_type(0).dtype;
  if (dtype == DType::f32) return build_comparison_of<float>(view);
  if (dtype == DType::i64) return build_comparison_of<std::int64_t>(view);
  return build_comparison_of<std::int32_t>(view);
}

Verdict check_logic(const NodeView& view, const Environment&) {
  return nonempty(view) ? Verdict::accept() : Verdict::reject("the result is empty");
}

std::unique_ptr<Step> build_logic(const NodeView& view, const Environment&) {
  const std::string& op = view.node().op;
  if (op == "And") return binary<bool, bool>(view, [](bool a, bool b) { return a && b; });
  if (op == "Or") return binary<bool, bool>(view, [](bool a, bool b) { return a || b; });
  if (op == "Xor") return binary<bool, bool>(view, [](bool a, bool b) { return a != b; });
  return unary<bool, bool>([](bool x) { return !x; });
}

Verdict check_power(const NodeView& view, const Environment&) {
  if (!view.all_f32()) return Verdict::reject("operands are not all f32");
  return nonempty(view) ? Verdict::accept() : Verdict::reject("the result is empty");
}

std::unique_ptr<Step> build_power(const NodeView& view, const Environment&) {
  if (const Tensor* exponent = view.constant(1); exponent != nullptr && exponent->size() == 1) {
    const float e = exponent->data<float>()[0];
    if (view.input_shape(0) == view.output_shape(0)) {
      if (e == 2) return unary<float, float>([](float x) { return x * x; });
      if (e == 3) return unary<float, float>([](float x) { return x * x * x; });
      return unary<float, float>([e](float x) { return std::pow(x, e); });
    }
  }
  return binary<float, float>(view, [](float a, float b) { return std::pow(a, b); });
}

/// y[i] = condition[i] ? a[i] : b[i], broadcasting; elements are moved as unsigned integers of their size.
template <class Element>
class WhereStep final : public Step {
 public:
  explicit WhereStep(BroadcastPlan<3> plan) : plan_(std::move(plan)) {}
  void run(const StepArguments& arguments) const override {
    const auto* condition = arguments.in<bool>(0);
    const auto* a = static_cast<const Element*>(arguments.input(1).raw());
    const auto* b = static_cast<const Element*>(arguments.input(2).raw());
    auto* y = static_cast<Element*>(arguments.output(0).raw());
    const std::int64_t width = plan_.width;
    parallel_ranges(arguments.output(0).size() / width, std::max<std::int64_t>(1, kGrain / width),
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t row = begin; row < end; ++row) {
                        const auto [c_at, a_at, b_at] = plan_.starts(row);
                        for (std::int64_t i = 0; i < width; ++i) {
                          y[row * width + i] = condition[c_at + i * plan_.step[0]] ? a[a_at + i * plan_.step[1]]
                                                                                   : b[b_at + i * plan_.step[2]];
                        }
                      }
                    });
  }

 private:
  BroadcastPlan<3> plan_;
};

Verdict check_where(const NodeView& view, const Environment&) {
  const std::size_t width = element_size(view.output_type(0).dtype);
  if (width != 1 && width != 2 && width != 4 && width != 8) return Verdict::reject("elements of another size");
  return nonempty(view) ? Verdict::accept() : Verdict::reject("the result is empty");
}

std::unique_ptr<Step> build_where(const NodeView& view, const Environment&) {
  auto plan =
      plan_broadcast<3>({&view.input_shape(0), &view.input_shape(1), &view.input_shape(2)}, view.output_shape(0));
  switch (element_size(view.output_type(0).dtype)) {
    case 1:
      return std::make_unique<WhereStep<std::uint8_t>>(std::move(plan));
    case 2:
      return std::make_unique<WhereStep<std::uint16_t>>(std::move(plan));
    case 4:
      return std::make_unique<WhereStep<std::uint32_t>>(std::move(plan));
    default:
      return std::make_unique<WhereStep<std::uint64_t>>(std::move(plan));
  }
}

/// A conversion that needs no rule beyond C++'s: to a type that holds every value nearly, between integers (wrapping),
/// or to bool. nullptr: none of these.
template <class From>
std::unique_ptr<Step> build_cast_from(DType to) {
  const auto convert = [&]<class To>() { return unary<From, To>([](From x) { return static_cast<To>(x); }); };
  switch (to) {
    case DType::f32:
      return convert.template operator()<float>();
    case DType::boolean:
      return unary<From, bool>([](From x) { return x != From{0}; });
    default:
      break;
  }
  if constexpr (std::is_integral_v<From>) {
    switch (to) {
      case DType::i64:
        return convert.template operator()<std::int64_t>();
      case DType::i32:
        return convert.template operator()<std::int32_t>();
      default:
        break;
    }
  }
  return nullptr;
}

std::unique_ptr<Step> cast_step(DType from, DType to) {
  switch (from) {
    case DType::f32:
      return build_cast_from<float>(to);
    case DType::boolean:
      return build_cast_from<bool>(to);
    case DType::u8:
      return build_cast_from<std::uint8_t>(to);
    case DType::i8:
      return build_cast_from<std::int8_t>(to);
    case DType::i32:
      return build_cast_from<std::int32_t>(to);
    case DType::i64:
      return build_cast_from<std::int64_t>(to);
    default:
      return nullptr;
  }
}

Verdict check_cast(const NodeView& view, const Environment&) {
  if (cast_step(view.input_type(0).dtype, view.output_type(0).dtype) == nullptr) {
    return Verdict::reject("from this type to that");
  }
  return Verdict::accept();
}

std::unique_ptr<Step> build_cast(const NodeView& view, const Environment&) {
  return cast_step(view.input_type(0).dtype, view.output_type(0).dtype);
}

}  // namespace

void register_pointwise_kernels(KernelTable& table) {
  for (const char* op : {"Sqrt", "Exp", "Log", "Neg", "Abs", "Reciprocal", "Floor", "Ceil", "Erf", "Sin", "Cos",
                         "Softplus", "Elu", "HardSigmoid"}) {
    table.add(op, {"cpu.math.loop.f32", check_math, build_math, 0});
  }
  for (const char* op : {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"}) {
    table.add(op, {"cpu.compare.loop", check_comparison, build_comparison});
  }
  for (const char* op : {"And", "Or", "Xor", "Not"}) table.add(op, {"cpu.logic.loop", check_logic, build_logic});
  table.add("Pow", {"cpu.power.loop.f32", check_power, build_power});
  table.add("Where", {"cpu.where.loop", check_where, build_where});
  table.add("Cast", {"cpu.cast.loop", check_cast, build_cast});
}

}  // namespace sparse_run::cpu
