// Reference kernels of operators that sort, search or enumerate.
#include <map>
#include <numeric>

#include "cpu/reference/elements.hpp"
#include "cpu/reference/movement.hpp"

namespace sparse_run::reference {

namespace {

void top_k(Context& ctx) {
  const Tensor& input = ctx.input(0);
  Tensor& values = ctx.output(0);
  const auto axis = static_cast<std::size_t>(normalize_axis(ctx.node().int_or("axis", -1), input.rank()));
  const bool largest = ctx.opset() < 11 || ctx.node().int_or("largest", 1) != 0;
  const auto keys = order_keys(input);
  const std::int64_t dim = input.shape()[axis];
  const std::int64_t k = values.shape()[axis];
  const std::int64_t outer = extent(input.shape(), 0, axis);
  const std::int64_t run = extent(input.shape(), axis + 1, input.rank());
  std::vector<std::int64_t> positions(static_cast<std::size_t>(values.size()));
  const ElementMover mover(input, values);
  std::vector<std::int64_t> order(static_cast<std::size_t>(dim));
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t r = 0; r < run; ++r) {
      const auto key = [&](std::int64_t i) { return keys[static_cast<std::size_t>((o * dim + i) * run + r)]; };
      std::iota(order.begin(), order.end(), std::int64_t{0});
      // Stable: of equal elements the one with the smaller index comes first. Always sorted, which unsorted allows.
      std::stable_sort(order.begin(), order.end(),
                       [&](std::int64_t a, std::int64_t b) { return largest ? key(a) > key(b) : key(a) < key(b); });
      for (std::int64_t i = 0; i < k; ++i) {
        const std::int64_t chosen = order[static_cast<std::size_t>(i)];
        const std::int64_t to = (o * k + i) * run + r;
        mover.move((o * dim + chosen) * run + r, to);
        positions[static_cast<std::size_t>(to)] = chosen;
      }
    }
  }
  if (!ctx.has_output(1)) return;
  const auto out = ctx.output(1).data<std::int64_t>();
  std::copy(positions.begin(), positions.end(), out.begin());
}

void non_zero(Context& ctx) {
  const Tensor& input = ctx.input(0);
  const Shape shape = input.rank() == 0 ? Shape{1} : input.shape();
  std::vector<bool> hit(static_cast<std::size_t>(input.size()));
  const bool known =
      visit_types<float, double, Float16, BFloat16, std::uint8_t, std::int8_t, std::uint16_t, std::int16_t,
                  std::uint32_t, std::int32_t, std::uint64_t, std::int64_t, bool, std::string>(
          input.dtype(), [&]<class T>() {
            const auto elements = input.data<T>();
            for (std::size_t i = 0; i < hit.size(); ++i) hit[i] = !(elements[i] == T{});
          });
  if (!known) throw_error(ErrorKind::unsupported, "elements of type {}", to_string(input.dtype()));
  const auto count = std::count(hit.begin(), hit.end(), true);
  const auto out = ctx.allocate(0, DType::i64, {static_cast<std::int64_t>(shape.size()), count}).data<std::int64_t>();
  std::int64_t column = 0;
  for_each_position(shape, [&](const auto& index, std::int64_t linear) {
    if (!hit[static_cast<std::size_t>(linear)]) return;
    for (std::size_t d = 0; d < index.size(); ++d) {
      out[d * static_cast<std::size_t>(count) + static_cast<std::size_t>(column)] = index[d];
    }
    ++column;
  });
}

void set_integers(Context& ctx, std::size_t i, const std::vector<std::int64_t>& values) {
  if (!ctx.has_output(i)) return;
  const auto out = ctx.allocate(i, DType::i64, {static_cast<std::int64_t>(values.size())}).data<std::int64_t>();
  std::copy(values.begin(), values.end(), out.begin());
}

void unique(Context& ctx) {
  const Tensor& input = ctx.input(0);
  const auto* given = ctx.node().find<std::int64_t>("axis");
  const bool sorted = ctx.node().int_or("sorted", 1) != 0;
  const std::size_t axis =
      given != nullptr ? static_cast<std::size_t>(normalize_axis(*given, input.rank())) : std::size_t{0};
  const Shape shape = given != nullptr ? input.shape() : Shape{input.size()};
  const std::int64_t outer = extent(shape, 0, axis);
  const std::int64_t dim = shape[axis];
  const std::int64_t run = extent(shape, axis + 1, shape.size());
  const auto keys = order_keys(input);

  // A slice along the axis is compared as the list of its elements' keys.
  std::map<std::vector<std::uint64_t>, std::int64_t> seen;  // slice → its number by first occurrence
  std::vector<std::int64_t> first;                          // by number: where it occurred first
  std::vector<std::int64_t> count;
  std::vector<std::int64_t> inverse;
  for (std::int64_t i = 0; i < dim; ++i) {
    std::vector<std::uint64_t> slice;
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t r = 0; r < run; ++r) slice.push_back(keys[static_cast<std::size_t>((o * dim + i) * run + r)]);
    }
    const auto [entry, added] = seen.try_emplace(std::move(slice), static_cast<std::int64_t>(first.size()));
    if (added) {
      first.push_back(i);
      count.push_back(0);
    }
    ++count[static_cast<std::size_t>(entry->second)];
    inverse.push_back(entry->second);
  }
  if (sorted) {
    std::vector<std::int64_t> sorted_first;
    std::vector<std::int64_t> sorted_count;
    std::vector<std::int64_t> rank(first.size());
    for (const auto& [slice, number] : seen) {  // a map is in ascending order
      rank[static_cast<std::size_t>(number)] = static_cast<std::int64_t>(sorted_first.size());
      sorted_first.push_back(first[static_cast<std::size_t>(number)]);
      sorted_count.push_back(count[static_cast<std::size_t>(number)]);
    }
    first = std::move(sorted_first);
    count = std::move(sorted_count);
    for (std::int64_t& number : inverse) number = rank[static_cast<std::size_t>(number)];
  }

  const auto distinct = static_cast<std::int64_t>(first.size());
  Shape result = shape;
  result[axis] = distinct;
  Tensor& output = ctx.allocate(0, input.dtype(), result);
  const ElementMover mover(input, output);
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < distinct; ++i) {
      mover.move((o * dim + first[static_cast<std::size_t>(i)]) * run, (o * distinct + i) * run, run);
    }
  }
  set_integers(ctx, 1, first);
  set_integers(ctx, 2, inverse);
  set_integers(ctx, 3, count);
}

void range(Context& ctx) {
  Tensor& output = ctx.output(0);
  const bool known = visit_types<float, double, Float16, BFloat16, std::int16_t, std::int32_t, std::int64_t>(
      output.dtype(), [&]<class T>() {
        const auto out = output.data<T>();
        const T start = ctx.input(0).data<T>()[0];
        const T delta = ctx.input(2).data<T>()[0];
        for (std::size_t i = 0; i < out.size(); ++i) {
          if constexpr (std::is_integral_v<T>) {
            // Unsigned: the product may pass 64 bits on the way to an end that fits.
            out[i] = static_cast<T>(static_cast<std::uint64_t>(start) + i * static_cast<std::uint64_t>(delta));
          } else {
            const auto first = static_cast<double>(static_cast<Compute<T>>(start));
            const auto step = static_cast<double>(static_cast<Compute<T>>(delta));
            out[i] = static_cast<T>(static_cast<Compute<T>>(first + static_cast<double>(i) * step));
          }
        }
      });
  require(known, "a range of this type passed inference");
}

}  // namespace

void register_selection(Table& table) {
  table.add("TopK", top_k);
  table.add("NonZero", non_zero);
  table.add("Unique", unique);
  table.add("Range", range);
}

}  // namespace sparse_run::reference
