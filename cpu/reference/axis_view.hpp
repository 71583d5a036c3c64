// A row-major tensor seen as outer × extent × inner around a run of axes.
#pragma once

#include <cstdint>
#include <span>

#include "base/shape.hpp"

namespace sparse_run::reference {

/// Element (o, e, i) lies at (o * extent + e) * inner + i.
struct AxisView {
  std::size_t outer = 1;
  std::size_t extent = 1;
  std::size_t inner = 1;

  /// Axes [first, last) form the extent.
  AxisView(const Shape& shape, std::int64_t first, std::int64_t last) {
    const std::span<const std::int64_t> dims(shape);
    const auto begin = static_cast<std::size_t>(first);
    const auto end = static_cast<std::size_t>(last);
    outer = static_cast<std::size_t>(element_count(dims.first(begin)));
    extent = static_cast<std::size_t>(element_count(dims.subspan(begin, end - begin)));
    inner = static_cast<std::size_t>(element_count(dims.subspan(end)));
  }
  AxisView(const Shape& shape, std::int64_t axis) : AxisView(shape, axis, axis + 1) {}

  std::size_t at(std::size_t o, std::size_t e, std::size_t i) const noexcept { return (o * extent + e) * inner + i; }

  /// body(o, i) for every line along the extent that has elements.
  template <class Body>
  void for_each_line(Body&& body) const {
    if (extent == 0) return;
    for (std::size_t o = 0; o < outer; ++o) {
      for (std::size_t i = 0; i < inner; ++i) body(o, i);
    }
  }
};

}  // namespace sparse_run::reference
