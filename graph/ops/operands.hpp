// Checks of operand types and shapes that several operator families make during inference.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "graph/ops/schema.hpp"

namespace sparse_run {

/// Error(model) when operand i has a known element type that is none of `allowed`.
inline void expect_dtype(const InferContext& context, std::size_t i, std::initializer_list<DType> allowed) {
  const DType dtype = context.dtype(i);
  if (dtype == DType::undefined || std::find(allowed.begin(), allowed.end(), dtype) != allowed.end()) return;
  std::string names;
  for (const DType one : allowed) {
    if (!names.empty()) names += ", ";
    names += to_string(one);
  }
  throw_error(ErrorKind::model, "input {} is {}: {} expected", i, to_string(dtype), names);
}

/// f16, bf16, f32 or f64.
inline void expect_float(const InferContext& context, std::size_t i) {
  expect_dtype(context, i, {DType::f32, DType::f16, DType::bf16, DType::f64});
}

/// The element type that operands i and j share; Error(model) when they differ.
inline DType expect_same_dtype(const InferContext& context, std::size_t i, std::size_t j) {
  const DType a = context.dtype(i);
  const DType b = context.dtype(j);
  if (a != DType::undefined && b != DType::undefined && a != b) {
    throw_error(ErrorKind::model, "input {} is {} but input {} is {}", i, to_string(a), j, to_string(b));
  }
  return a == DType::undefined ? b : a;
}

/// The shape of operand i, of exactly `rank` dimensions when it is known at all; nullptr when it is not.
inline const Shape* expect_rank(const InferContext& context, std::size_t i, std::size_t rank) {
  const Shape* shape = context.shape(i);
  if (shape != nullptr && shape->size() != rank) {
    throw_error(ErrorKind::model, "input {} is {}: rank {} expected", i, to_string(*shape), rank);
  }
  return shape;
}

/// The size that two dimensions, either perhaps unknown, share; Error(model) with both when they differ.
inline std::int64_t expect_same_dim(std::int64_t a, std::int64_t b, std::string_view what) {
  if (a >= 0 && b >= 0 && a != b) throw_error(ErrorKind::model, "{}: {} and {} differ", what, a, b);
  return a >= 0 ? a : b;
}

/// Operand i must be a vector of `count` elements (or of anything where `count` is unknown).
inline void expect_vector(const InferContext& context, std::size_t i, std::int64_t count, std::string_view what) {
  const Shape* shape = expect_rank(context, i, 1);
  if (shape != nullptr && count >= 0 && (*shape)[0] >= 0 && (*shape)[0] != count) {
    throw_error(ErrorKind::model, "input {} ({}) has {} elements, {} expected", i, what, (*shape)[0], count);
  }
}

}  // namespace sparse_run
