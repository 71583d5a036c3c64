// Reference kernels: running sums and products, the softmax family.
#include <cmath>

#include "cpu/reference/axis_view.hpp"
#include "cpu/reference/subfamilies.hpp"
#include "cpu/reference/wide.hpp"
#include "graph/ops/reduce.hpp"

namespace sparse_run::reference {

namespace {

/// Floats accumulate in double, integers wrap. An exclusive scan starts with the neutral element.
template <bool Product>
void running(Context& context) {
  const Tensor& in = context.input(0);
  Tensor& out = context.output(0);
  const std::vector<std::int64_t> operand = context.input(1).to_int64();
  if (operand.size() != 1) throw_error(ErrorKind::model, "input 1 (axis) must be a scalar");
  const AxisView view(in.shape(), normalize_axis(operand[0], in.rank()));
  const bool exclusive = context.node().int_or("exclusive", 0) != 0;
  const bool reverse = context.node().int_or("reverse", 0) != 0;
  visit_numbers(in.dtype(), [&]<class T>() {
    const auto from = in.data<T>();
    const auto to = out.data<T>();
    using Accumulator = std::conditional_t<is_real<T>, double, std::uint64_t>;  // unsigned: wraps
    view.for_each_line([&](std::size_t o, std::size_t i) {
      auto total = static_cast<Accumulator>(Product ? 1 : 0);
      for (std::size_t step = 0; step < view.extent; ++step) {
        const std::size_t position = view.at(o, reverse ? view.extent - 1 - step : step, i);
        const auto value = static_cast<Accumulator>(widen(from[position]));
        const Accumulator before = total;
        total = Product ? total * value : total + value;
        to[position] = narrow<T>(static_cast<Wide<T>>(exclusive ? before : total));
      }
    });
  });
}

AxisView softmax_view(const Context& context) {
  const Shape& shape = context.input(0).shape();
  const std::int64_t axis = softmax_axis(context.node(), shape.size());
  if (context.opset() >= 13) return AxisView(shape, axis);
  return AxisView(shape, axis, static_cast<std::int64_t>(shape.size()));
}

template <bool Log>
void softmax(Context& context) {
  const AxisView view = softmax_view(context);
  std::vector<double> values = load_doubles(context.input(0));
  view.for_each_line([&](std::size_t o, std::size_t i) {
    double largest = -std::numeric_limits<double>::infinity();
    for (std::size_t e = 0; e < view.extent; ++e) largest = std::max(largest, values[view.at(o, e, i)]);
    double sum = 0;
    for (std::size_t e = 0; e < view.extent; ++e) sum += std::exp(values[view.at(o, e, i)] - largest);
    for (std::size_t e = 0; e < view.extent; ++e) {
      double& value = values[view.at(o, e, i)];
      value = Log ? value - largest - std::log(sum) : std::exp(value - largest) / sum;
    }
  });
  store_doubles(values, context.output(0));
}

/// 1 at the first maximum, 0 elsewhere.
void hardmax(Context& context) {
  const AxisView view = softmax_view(context);
  const std::vector<double> values = load_doubles(context.input(0));
  std::vector<double> result(values.size(), 0);
  view.for_each_line([&](std::size_t o, std::size_t i) {
    std::size_t best = 0;
    for (std::size_t e = 1; e < view.extent; ++e) {
      if (values[view.at(o, e, i)] > values[view.at(o, best, i)]) best = e;
    }
    result[view.at(o, best, i)] = 1;
  });
  store_doubles(result, context.output(0));
}

}  // namespace

void register_scan(Table& table) {
  table.add("CumSum", running<false>);
  table.add("CumProd", running<true>);
  table.add("Softmax", softmax<false>);
  table.add("LogSoftmax", softmax<true>);
  table.add("Hardmax", hardmax);
}

}  // namespace sparse_run::reference
