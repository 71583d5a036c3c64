// Reference kernels: functions of one operand, Clip and Dropout.
#include <cmath>
#include <functional>
#include <numbers>

#include "cpu/reference/subfamilies.hpp"
#include "cpu/reference/wide.hpp"

namespace sparse_run::reference {

namespace {

/// out[i] = function(in[i]) on numbers of any type, computed in double.
void map_real(Context& context, const std::function<double(double)>& function) {
  std::vector<double> values = load_doubles(context.input(0));
  for (double& value : values) value = function(value);
  store_doubles(values, context.output(0));
}

template <auto Function>
void real(Context& context) {
  map_real(context, Function);
}

/// The same for functions that must be exact on 64-bit integers. Function: a stateless generic lambda.
template <auto Function>
void exact(Context& context) {
  const Tensor& in = context.input(0);
  Tensor& out = context.output(0);
  visit_numbers(in.dtype(), [&]<class T>() {
    const auto from = in.data<T>();
    const auto to = out.data<T>();
    for (std::size_t i = 0; i < from.size(); ++i) to[i] = narrow<T>(Function(widen(from[i])));
  });
}

template <class W>
W negative(W x) {
  if constexpr (std::is_same_v<W, double>) {
    return -x;
  } else {
    return static_cast<W>(std::uint64_t{0} - static_cast<std::uint64_t>(x));
  }
}

template <class W>
W absolute(W x) {
  if constexpr (std::is_same_v<W, double>) {
    return std::fabs(x);
  } else {
    return x < 0 ? negative(x) : x;
  }
}

template <class W>
W sign(W x) {
  if (x != x) return x;
  return static_cast<W>((x > 0) - (x < 0));
}

template <class W>
W complement(W x) {
  if constexpr (std::is_same_v<W, double>) {
    return x;  // refused by type inference
  } else {
    return ~x;
  }
}

void logical_not(Context& context) {
  const auto from = context.input(0).data<bool>();
  const auto to = context.output(0).data<bool>();
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = !from[i];
}

double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }
double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
/// Clamps to [0, 1]; NaN stays NaN.
double unit_clamp(double x) { return x < 0 ? 0 : (x > 1 ? 1 : x); }

double attribute(Context& context, std::string_view name, float fallback) {
  return static_cast<double>(context.node().float_or(name, fallback));
}

void hard_sigmoid(Context& context) {
  const double alpha = attribute(context, "alpha", 0.2f);
  const double beta = attribute(context, "beta", 0.5f);
  map_real(context, [=](double x) { return unit_clamp(alpha * x + beta); });
}

void leaky_relu(Context& context) {
  const double alpha = attribute(context, "alpha", 0.01f);
  map_real(context, [=](double x) { return x < 0 ? alpha * x : x; });
}

void elu(Context& context) {
  const double alpha = attribute(context, "alpha", 1.0f);
  map_real(context, [=](double x) { return x < 0 ? alpha * std::expm1(x) : x; });
}

void selu(Context& context) {
  const double alpha = attribute(context, "alpha", 1.67326319217681884765625f);
  const double gamma = attribute(context, "gamma", 1.05070102214813232421875f);
  map_real(context, [=](double x) { return gamma * (x <= 0 ? alpha * std::expm1(x) : x); });
}

void celu(Context& context) {
  const double alpha = attribute(context, "alpha", 1.0f);
  map_real(context, [=](double x) { return x < 0 ? alpha * std::expm1(x / alpha) : x; });
}

void thresholded_relu(Context& context) {
  const double alpha = attribute(context, "alpha", 1.0f);
  map_real(context, [=](double x) { return x > alpha ? x : 0; });
}

void shrink(Context& context) {
  const double bias = attribute(context, "bias", 0.0f);
  const double lambda = attribute(context, "lambd", 0.5f);
  map_real(context, [=](double x) { return x < -lambda ? x + bias : (x > lambda ? x - bias : 0); });
}

void gelu(Context& context) {
  if (context.node().string_or("approximate", "none") == "tanh") {
    map_real(context, [](double x) {
      const double inner = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
      return 0.5 * x * (1 + std::tanh(inner));
    });
  } else {
    map_real(context, [](double x) { return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2)); });
  }
}

void swish(Context& context) {
  const double alpha = attribute(context, "alpha", 1.0f);
  map_real(context, [=](double x) { return x * sigmoid(alpha * x); });
}

template <class T>
T lowest() {
  if constexpr (is_real<T>) {
    return T(-std::numeric_limits<float>::infinity());
  } else {
    return std::numeric_limits<T>::lowest();
  }
}
template <class T>
T highest() {
  if constexpr (is_real<T>) {
    return T(std::numeric_limits<float>::infinity());
  } else {
    return std::numeric_limits<T>::max();
  }
}

/// The upper bound wins where the bounds cross; NaN stays NaN.
void clip(Context& context) {
  const Tensor& in = context.input(0);
  Tensor& out = context.output(0);
  visit_numbers(in.dtype(), [&]<class T>() {
    Wide<T> low = widen(lowest<T>());
    Wide<T> high = widen(highest<T>());
    if (context.opset() < 11) {
      if constexpr (is_real<T>) {
        low = attribute(context, "min", std::numeric_limits<float>::lowest());
        high = attribute(context, "max", std::numeric_limits<float>::max());
      }
    } else {
      const auto bound = [&](std::size_t i, Wide<T>& value) {
        if (!context.has_input(i)) return;
        if (context.input(i).size() != 1) throw_error(ErrorKind::model, "input {} must be a scalar", i);
        value = widen(context.input(i).data<T>()[0]);
      };
      bound(1, low);
      bound(2, high);
    }
    const auto from = in.data<T>();
    const auto to = out.data<T>();
    for (std::size_t i = 0; i < from.size(); ++i) {
      Wide<T> value = widen(from[i]);
      if (value < low) value = low;
      if (value > high) value = high;
      to[i] = narrow<T>(value);
    }
  });
}

void is_nan(Context& context) {
  const std::vector<double> values = load_doubles(context.input(0));
  const auto out = context.output(0).data<bool>();
  for (std::size_t i = 0; i < values.size(); ++i) out[i] = std::isnan(values[i]);
}

void is_inf(Context& context) {
  const bool negative_counts = context.node().int_or("detect_negative", 1) != 0;
  const bool positive_counts = context.node().int_or("detect_positive", 1) != 0;
  const std::vector<double> values = load_doubles(context.input(0));
  const auto out = context.output(0).data<bool>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    out[i] = std::isinf(values[i]) && (values[i] < 0 ? negative_counts : positive_counts);
  }
}

/// Copies in inference; in training drops elements at random and scales the rest.
void dropout(Context& context) {
  const Tensor& in = context.input(0);
  double ratio = 0.5;
  bool training = false;
  if (context.opset() >= 12) {
    if (context.has_input(1)) {
      const std::vector<double> operand = load_doubles(context.input(1));
      if (operand.size() != 1) throw_error(ErrorKind::model, "input 1 (ratio) must be a scalar");
      ratio = operand[0];
    }
    if (context.has_input(2)) {
      if (context.input(2).size() != 1) throw_error(ErrorKind::model, "input 2 (training_mode) must be a scalar");
      training = context.input(2).data<bool>()[0];
    }
  }
  std::vector<double> values = load_doubles(in);
  std::vector<double> mask(values.size(), 1);
  if (training) {
    if (!(ratio >= 0 && ratio < 1)) throw_error(ErrorKind::input, "the dropout ratio is {}, expected [0, 1)", ratio);
    std::bernoulli_distribution keep(1 - ratio);
    for (std::size_t i = 0; i < values.size(); ++i) {
      mask[i] = ratio == 0 || keep(context.random()) ? 1 : 0;
      values[i] *= mask[i] / (1 - ratio);
    }
  }
  store_doubles(values, context.output(0));
  if (context.has_output(1)) store_doubles(mask, context.output(1));
}

}  // namespace

void register_activation(Table& table) {
  table.add("Not", logical_not);
  table.add("BitwiseNot", exact<[](auto x) { return complement(x); }>);
  table.add("Abs", exact<[](auto x) { return absolute(x); }>);
  table.add("Neg", exact<[](auto x) { return negative(x); }>);
  table.add("Sign", exact<[](auto x) { return sign(x); }>);
  table.add("Relu", exact<[](auto x) { return x < 0 ? decltype(x){0} : x; }>);
  table.add("Ceil", real<[](double x) { return std::ceil(x); }>);
  table.add("Floor", real<[](double x) { return std::floor(x); }>);
  table.add("Round", real<[](double x) { return std::nearbyint(x); }>);  // ties to even
  table.add("Sqrt", real<[](double x) { return std::sqrt(x); }>);
  table.add("Reciprocal", real<[](double x) { return 1 / x; }>);
  table.add("Exp", real<[](double x) { return std::exp(x); }>);
  table.add("Log", real<[](double x) { return std::log(x); }>);
  table.add("Sin", real<[](double x) { return std::sin(x); }>);
  table.add("Cos", real<[](double x) { return std::cos(x); }>);
  table.add("Tan", real<[](double x) { return std::tan(x); }>);
  table.add("Asin", real<[](double x) { return std::asin(x); }>);
  table.add("Acos", real<[](double x) { return std::acos(x); }>);
  table.add("Atan", real<[](double x) { return std::atan(x); }>);
  table.add("Sinh", real<[](double x) { return std::sinh(x); }>);
  table.add("Cosh", real<[](double x) { return std::cosh(x); }>);
  table.add("Tanh", real<[](double x) { return std::tanh(x); }>);
  table.add("Asinh", real<[](double x) { return std::asinh(x); }>);
  table.add("Acosh", real<[](double x) { return std::acosh(x); }>);
  table.add("Atanh", real<[](double x) { return std::atanh(x); }>);
  table.add("Erf", real<[](double x) { return std::erf(x); }>);
  table.add("Sigmoid", real<sigmoid>);
  table.add("Softplus", real<softplus>);
  table.add("Softsign", real<[](double x) { return x / (1 + std::fabs(x)); }>);
  table.add("HardSwish", real<[](double x) { return x * unit_clamp(x / 6 + 0.5); }>);
  table.add("Mish", real<[](double x) { return x * std::tanh(softplus(x)); }>);
  table.add("HardSigmoid", hard_sigmoid);
  table.add("LeakyRelu", leaky_relu);
  table.add("Elu", elu);
  table.add("Selu", selu);
  table.add("Celu", celu);
  table.add("ThresholdedRelu", thresholded_relu);
  table.add("Shrink", shrink);
  table.add("Gelu", gelu);
  table.add("Swish", swish);
  table.add("Clip", clip);
  table.add("IsNaN", is_nan);
  table.add("IsInf", is_inf);
  table.add("Dropout", dropout);
}

}  // namespace sparse_run::reference
