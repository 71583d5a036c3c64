// Host tensors: constants, inputs, outputs and the values the oracle computes with.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/dtype.hpp"
#include "base/error.hpp"
#include "base/shape.hpp"

namespace sparse_run {

/// A dense row-major tensor in host memory: element type, concrete shape, and a handle to memory that it owns,
/// shares (a mapped model file) or merely views (a planned arena; the giver keeps it alive). Copies are shallow.
/// Memory from allocate() is 64-byte aligned; viewed memory is aligned to its element at least.
/// Thread-safe to read from several threads; writes need the caller's ordering.
class Tensor {
 public:
  Tensor() = default;

  /// Owned, 64-byte aligned, uninitialised memory (strings are constructed empty). Throws Error(unsupported) for
  /// sub-byte types, Error(limit) when the size overflows or memory is exhausted.
  static Tensor allocate(DType dtype, Shape shape);
  /// A view of `data`; `owner`, when given, keeps the memory alive.
  static Tensor view(DType dtype, Shape shape, void* data, std::shared_ptr<const void> owner = nullptr);
  /// A tensor owning a copy of `values`, whose count must be that of `shape`.
  template <class T>
  static Tensor of(Shape shape, std::span<const T> values);
  template <class T>
  static Tensor of(Shape shape, std::initializer_list<T> values) {
    return of<T>(std::move(shape), std::span<const T>(values.begin(), values.size()));
  }
  /// A rank-0 tensor.
  template <class T>
  static Tensor scalar(T value) {
    return of<T>(Shape{}, std::span<const T>(&value, 1));
  }

  bool empty_handle() const noexcept { return dtype_ == DType::undefined; }  ///< default-constructed
  DType dtype() const noexcept { return dtype_; }
  const Shape& shape() const noexcept { return shape_; }
  std::size_t rank() const noexcept { return shape_.size(); }
  std::int64_t size() const noexcept { return size_; }  ///< number of elements
  std::size_t bytes() const noexcept { return static_cast<std::size_t>(size_) * element_size(dtype_); }
  std::int64_t dim(std::int64_t axis) const { return shape_[static_cast<std::size_t>(normalize_axis(axis, rank()))]; }

  void* raw() noexcept { return data_; }
  const void* raw() const noexcept { return data_; }
  /// Typed elements; T must be the tensor's type (Error(internal) otherwise).
  template <class T>
  std::span<T> data() {
    require(dtype_of<T> == dtype_, "tensor accessed with another element type");
    return {static_cast<T*>(data_), static_cast<std::size_t>(size_)};
  }
  template <class T>
  std::span<const T> data() const {
    require(dtype_of<T> == dtype_, "tensor accessed with another element type");
    return {static_cast<const T*>(data_), static_cast<std::size_t>(size_)};
  }

  /// The same memory under another shape of equal element count.
  Tensor reshaped(Shape shape) const;
  /// A deep copy into owned memory.
  Tensor clone() const;
  /// Copies elements from `source`: equal type and element count.
  void copy_from(const Tensor& source);
  /// Integer tensor (i32 or i64) as 64-bit integers; Error(model) for another type.
  std::vector<std::int64_t> to_int64() const;
  const std::shared_ptr<const void>& owner() const noexcept { return owner_; }

 private:
  DType dtype_ = DType::undefined;
  Shape shape_;
  std::int64_t size_ = 0;
  void* data_ = nullptr;
  std::shared_ptr<const void> owner_;  // shared: constants are referenced by graphs of several shape signatures
};

template <class T>
Tensor Tensor::of(Shape shape, std::span<const T> values) {
  Tensor tensor = allocate(dtype_of<T>, std::move(shape));
  require(tensor.size() == static_cast<std::int64_t>(values.size()), "Tensor::of: value count differs from shape");
  std::copy(values.begin(), values.end(), tensor.data<T>().begin());
  return tensor;
}

/// COO, as ONNX's sparse_initializer: `values` holds the nnz entries, `indices` (i64) either [nnz] linear row-major
/// positions or [nnz, rank] coordinates, sorted and unique (the importer checks both).
struct SparseTensor {
  Shape shape;
  Tensor values;
  Tensor indices;

  std::int64_t nnz() const noexcept { return values.size(); }
  DType dtype() const noexcept { return values.dtype(); }
  /// The dense equivalent. Throws Error(limit) above `max_bytes`.
  Tensor to_dense(std::size_t max_bytes = std::size_t{1} << 40) const;
};

}  // namespace sparse_run
