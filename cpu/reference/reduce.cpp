// Reference kernels: Reduce*, ArgMax, ArgMin.
#include "graph/ops/reduce.hpp"

#include <cmath>
#include <limits>

#include "cpu/reference/axis_view.hpp"
#include "cpu/reference/broadcast.hpp"
#include "cpu/reference/subfamilies.hpp"
#include "cpu/reference/wide.hpp"

namespace sparse_run::reference {

namespace {

/// The shape of the result with reduced axes kept at length 1: each input element broadcasts back to its result.
Shape kept_shape(Context& context) {
  std::optional<std::vector<std::int64_t>> operand;
  if (axes_are_operand(context.node()) && context.has_input(1)) operand = context.input(1).to_int64();
  Shape shape = context.input(0).shape();
  for (const std::int64_t axis : reduced_axes(context.node(), std::move(operand), shape.size())) {
    shape[static_cast<std::size_t>(axis)] = 1;
  }
  return shape;
}

/// visit(element, result) for every input element and the index of the result it belongs to.
template <class T, class Visit>
void for_each_element(const Tensor& in, const Shape& kept, Visit&& visit) {
  BroadcastIterator result(kept, in.shape());
  for (const T element : in.data<T>()) {
    visit(widen(element), *result);
    ++result;
  }
}

template <class W>
W plus(W a, W b) {
  if constexpr (std::is_same_v<W, double>) {
    return a + b;
  } else {
    return static_cast<W>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  }
}

template <class W>
W times(W a, W b) {
  if constexpr (std::is_same_v<W, double>) {
    return a * b;
  } else {
    return static_cast<W>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
  }
}

template <class W>
W magnitude(W x) {
  return x < 0 ? times(x, static_cast<W>(-1)) : x;
}

/// Sums and products in the element's own arithmetic: double for floats, wrapping 64 bits for integers.
/// Function(accumulator, element); Start is what a reduction over nothing gives.
template <auto Function, int Start>
void accumulate(Context& context) {
  const Tensor& in = context.input(0);
  const Shape kept = kept_shape(context);
  Tensor& out = context.output(0);
  visit_numbers(in.dtype(), [&]<class T>() {
    std::vector<Wide<T>> sums(static_cast<std::size_t>(out.size()), Start);
    for_each_element<T>(in, kept, [&](Wide<T> value, std::size_t i) { sums[i] = Function(sums[i], value); });
    for (std::size_t i = 0; i < sums.size(); ++i) out.data<T>()[i] = narrow<T>(sums[i]);
  });
}

void reduce_mean(Context& context) {
  const Tensor& in = context.input(0);
  const Shape kept = kept_shape(context);
  Tensor& out = context.output(0);
  visit_numbers(in.dtype(), [&]<class T>() {
    std::vector<Wide<T>> sums(static_cast<std::size_t>(out.size()), 0);
    for_each_element<T>(in, kept, [&](Wide<T> value, std::size_t i) { sums[i] = plus(sums[i], value); });
    const auto count = out.size() == 0 ? 0 : static_cast<Wide<T>>(in.size() / out.size());
    for (std::size_t i = 0; i < sums.size(); ++i) {
      if constexpr (is_real<T>) {
        out.data<T>()[i] = narrow<T>(sums[i] / count);  // NaN over nothing
      } else {
        out.data<T>()[i] = count == 0 ? T{0} : narrow<T>(sums[i] / count);
      }
    }
  });
}

/// Sums computed in double whatever the element type, then finished by Final.
template <auto Term, auto Final>
void real_sum(Context& context) {
  const Tensor& in = context.input(0);
  const Shape kept = kept_shape(context);
  Tensor& out = context.output(0);
  std::vector<double> sums(static_cast<std::size_t>(out.size()), 0);
  visit_numbers(in.dtype(), [&]<class T>() {
    for_each_element<T>(in, kept, [&](Wide<T> value, std::size_t i) { sums[i] += Term(static_cast<double>(value)); });
  });
  for (double& sum : sums) sum = Final(sum);
  store_doubles(sums, out);
}

/// Shifted by each result's maximum, so that nothing overflows.
void reduce_log_sum_exp(Context& context) {
  const Tensor& in = context.input(0);
  const Shape kept = kept_shape(context);
  Tensor& out = context.output(0);
  const auto count = static_cast<std::size_t>(out.size());
  std::vector<double> largest(count, -std::numeric_limits<double>::infinity());
  std::vector<double> sums(count, 0);
  visit_numbers(in.dtype(), [&]<class T>() {
    for_each_element<T>(
        in, kept, [&](Wide<T> value, std::size_t i) { largest[i] = std::max(largest[i], static_cast<double>(value)); });
    for (double& shift : largest) {
      if (std::isinf(shift)) shift = 0;
    }
    for_each_element<T>(
        in, kept, [&](Wide<T> value, std::size_t i) { sums[i] += std::exp(static_cast<double>(value) - largest[i]); });
  });
  for (std::size_t i = 0; i < count; ++i) sums[i] = largest[i] + std::log(sums[i]);
  store_doubles(sums, out);
}

/// NaN wins over every number. Over nothing: the type's lowest value for Max, its highest for Min.
template <bool Max>
void reduce_extreme(Context& context) {
  const Tensor& in = context.input(0);
  const Shape kept = kept_shape(context);
  Tensor& out = context.output(0);
  visit_numbers(in.dtype(), [&]<class T>() {
    Wide<T> start;
    if constexpr (is_real<T>) {
      start = Max ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
    } else {
      start = widen(Max ? std::numeric_limits<T>::lowest() : std::numeric_limits<T>::max());
    }
    std::vector<Wide<T>> best(static_cast<std::size_t>(out.size()), start);
    for_each_element<T>(in, kept, [&](Wide<T> value, std::size_t i) {
      if (value != value || (Max ? value > best[i] : value < best[i])) best[i] = value;
    });
    for (std::size_t i = 0; i < best.size(); ++i) out.data<T>()[i] = narrow<T>(best[i]);
  });
}

/// NaN counts as the extreme, as it does for the value itself.
template <bool Max>
void arg_extreme(Context& context) {
  const Tensor& in = context.input(0);
  const std::int64_t axis = normalize_axis(context.node().int_or("axis", 0), in.rank());
  const bool last = context.node().int_or("select_last_index", 0) != 0;
  const AxisView view(in.shape(), axis);
  const auto out = context.output(0).data<std::int64_t>();
  if (view.extent == 0 && !out.empty()) {
    throw_error(ErrorKind::input, "axis {} of shape {} is empty: there is no index to choose", axis,
                to_string(in.shape()));
  }
  visit_numbers(in.dtype(), [&]<class T>() {
    const auto data = in.data<T>();
    view.for_each_line([&](std::size_t o, std::size_t i) {
      std::size_t chosen = 0;
      Wide<T> best = widen(data[view.at(o, 0, i)]);
      for (std::size_t e = 1; e < view.extent; ++e) {
        const Wide<T> value = widen(data[view.at(o, e, i)]);
        const bool equal = value == best || (value != value && best != best);
        const bool better = best == best && (value != value || (Max ? value > best : value < best));
        if (better || (equal && last)) {
          chosen = e;
          best = value;
        }
      }
      out[o * view.inner + i] = static_cast<std::int64_t>(chosen);
    });
  });
}

}  // namespace

void register_reduce(Table& table) {
  table.add("ReduceSum", accumulate<[](auto sum, auto x) { return plus(sum, x); }, 0>);
  table.add("ReduceProd", accumulate<[](auto product, auto x) { return times(product, x); }, 1>);
  table.add("ReduceL1", accumulate<[](auto sum, auto x) { return plus(sum, magnitude(x)); }, 0>);
  table.add("ReduceSumSquare", accumulate<[](auto sum, auto x) { return plus(sum, times(x, x)); }, 0>);
  table.add("ReduceMean", reduce_mean);
  table.add("ReduceL2", real_sum<[](double x) { return x * x; }, [](double sum) { return std::sqrt(sum); }>);
  table.add("ReduceLogSum", real_sum<[](double x) { return x; }, [](double sum) { return std::log(sum); }>);
  table.add("ReduceLogSumExp", reduce_log_sum_exp);
  table.add("ReduceMax", reduce_extreme<true>);
  table.add("ReduceMin", reduce_extreme<false>);
  table.add("ArgMax", arg_extreme<true>);
  table.add("ArgMin", arg_extreme<false>);
}

}  // namespace sparse_run::reference
