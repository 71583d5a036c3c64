// Walks a tensor in the order of a larger shape that it broadcasts to.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.hpp"
#include "base/shape.hpp"

namespace sparse_run::reference {

/// The position in an operand of shape `from` that belongs to each element of shape `to`, in row-major order of
/// `to`. `from` must broadcast to `to` (Error(internal) otherwise: type inference has checked it).
/// Used the other way round it tells which element of a reduced tensor each input element falls into.
class BroadcastIterator {
 public:
  BroadcastIterator(const Shape& from, const Shape& to) : extents_(to), index_(to.size(), 0), strides_(to.size(), 0) {
    require(from.size() <= to.size(), "broadcast to a smaller rank");
    if (element_count(to) == 0) return;  // nothing to walk
    const std::vector<std::int64_t> strides = row_major_strides(from);
    const std::size_t shift = to.size() - from.size();
    for (std::size_t d = 0; d < from.size(); ++d) {
      require(from[d] == 1 || from[d] == to[d + shift], "broadcast to a shape that does not fit");
      strides_[d + shift] = from[d] == 1 ? 0 : strides[d];
    }
  }

  std::size_t operator*() const noexcept { return static_cast<std::size_t>(offset_); }

  BroadcastIterator& operator++() noexcept {
    for (std::size_t d = extents_.size(); d-- > 0;) {
      offset_ += strides_[d];
      if (++index_[d] < extents_[d]) return *this;
      offset_ -= strides_[d] * extents_[d];
      index_[d] = 0;
    }
    return *this;
  }

 private:
  Shape extents_;
  std::vector<std::int64_t> index_;
  std::vector<std::int64_t> strides_;
  std::int64_t offset_ = 0;
};

}  // namespace sparse_run::reference
