// Shared rules of type inference.
#include "graph/ops/operand_rules.hpp"

#include <algorithm>

namespace sparse_run {

bool is_narrow(DType dtype) noexcept {
  return static_cast<int>(dtype) >= static_cast<int>(DType::f8e4m3fn) &&
         static_cast<int>(dtype) <= static_cast<int>(DType::i2);
}

void require_kernels_for(DType dtype) {
  if (is_narrow(dtype)) {
    throw_error(ErrorKind::unsupported, "element type {} is not supported: convert the model to a wider type",
                to_string(dtype));
  }
}

DType expect_dtype(const InferContext& context, std::size_t i, const DTypeClass& accepted) {
  const Type& type = context.input(i);
  if (type.kind != ValueKind::tensor) {
    throw_error(ErrorKind::model, "input {} must be a tensor, it is {}", i, to_string(type));
  }
  if (type.dtype == DType::undefined) return type.dtype;
  require_kernels_for(type.dtype);
  if (!accepted.contains(type.dtype)) {
    throw_error(ErrorKind::model, "input {} has element type {}, expected {}", i, to_string(type.dtype), accepted.name);
  }
  return type.dtype;
}

DType expect_dtype(const InferContext& context, std::size_t i, std::initializer_list<DType> accepted) {
  const DType dtype = context.dtype(i);
  if (dtype == DType::undefined || std::find(accepted.begin(), accepted.end(), dtype) != accepted.end()) return dtype;
  std::string names;
  for (const DType one : accepted) {
    if (!names.empty()) names += ", ";
    names += to_string(one);
  }
  throw_error(ErrorKind::model, "input {} is {}: {} expected", i, to_string(dtype), names);
}

void expect_float(const InferContext& context, std::size_t i) {
  expect_dtype(context, i, {DType::f32, DType::f16, DType::bf16, DType::f64});
}

DType expect_same_dtype(const InferContext& context, std::size_t i, std::size_t j) {
  const DType a = context.dtype(i);
  const DType b = context.dtype(j);
  if (a != DType::undefined && b != DType::undefined && a != b) {
    throw_error(ErrorKind::model, "input {} is {} but input {} is {}", i, to_string(a), j, to_string(b));
  }
  return a == DType::undefined ? b : a;
}

DType expect_same_dtype(const InferContext& context, std::size_t first, std::size_t last, const DTypeClass& accepted) {
  DType common = DType::undefined;
  std::size_t witness = first;
  for (std::size_t i = first; i < last; ++i) {
    if (!context.has_input(i)) continue;
    const DType dtype = expect_dtype(context, i, accepted);
    if (dtype == DType::undefined) continue;
    if (common == DType::undefined) {
      common = dtype;
      witness = i;
    } else if (dtype != common) {
      throw_error(ErrorKind::model, "inputs {} and {} have element types {} and {}, they must be equal", witness, i,
                  to_string(common), to_string(dtype));
    }
  }
  return common;
}

std::optional<Shape> broadcast_operands(const InferContext& context, std::size_t first, std::size_t last) {
  std::optional<Shape> result = Shape{};
  for (std::size_t i = first; i < last; ++i) {
    const Shape* shape = context.shape(i);
    if (shape == nullptr) return std::nullopt;
    const std::optional<Shape> wider = broadcast(*result, *shape);
    if (!wider) {
      std::string shapes;
      for (std::size_t j = first; j <= i; ++j) {
        shapes += (j == first ? "" : (j == i ? " and " : ", ")) + to_string(*context.shape(j));
      }
      throw_error(ErrorKind::model, "input shapes {} do not broadcast", shapes);
    }
    result = wider;
  }
  return result;
}

void expect_broadcast_to(const InferContext& context, std::size_t i, const Shape& target) {
  const Shape* shape = context.shape(i);
  if (shape == nullptr) return;
  bool fits = shape->size() <= target.size();
  for (std::size_t d = 0; fits && d < shape->size(); ++d) {
    const std::int64_t have = (*shape)[d];
    const std::int64_t want = target[target.size() - shape->size() + d];
    fits = have == 1 || have == want || have == kUnknownDim || want == kUnknownDim;
  }
  if (!fits) {
    throw_error(ErrorKind::model, "input {} of shape {} does not broadcast to {}", i, to_string(*shape),
                to_string(target));
  }
}

const Shape* expect_rank(const InferContext& context, std::size_t i, std::size_t rank) {
  const Shape* shape = context.shape(i);
  if (shape != nullptr && shape->size() != rank) {
    throw_error(ErrorKind::model, "input {} is {}: rank {} expected", i, to_string(*shape), rank);
  }
  return shape;
}

std::int64_t expect_same_dim(std::int64_t a, std::int64_t b, std::string_view what) {
  if (a >= 0 && b >= 0 && a != b) throw_error(ErrorKind::model, "{}: {} and {} differ", what, a, b);
  return a >= 0 ? a : b;
}

void expect_vector(const InferContext& context, std::size_t i, std::int64_t length, std::string_view what) {
  const Shape* shape = context.shape(i);
  if (shape == nullptr) return;
  const bool fits =
      shape->size() == 1 && ((*shape)[0] == length || (*shape)[0] == kUnknownDim || length == kUnknownDim);
  if (!fits) {
    throw_error(ErrorKind::model, "input {}{} has shape {}, expected {}", i,
                what.empty() ? "" : fmt::format(" ({})", what), to_string(*shape), to_string(Shape{length}));
  }
}

DType dtype_attribute(const Node& node, std::string_view attribute, DType fallback) {
  const auto* number = node.find<std::int64_t>(attribute);
  if (number == nullptr) return fallback;
  if (*number < 1 || *number > static_cast<std::int64_t>(DType::i2)) {
    throw_error(ErrorKind::model, "attribute '{}' is {}, which is no element type", attribute, *number);
  }
  const auto dtype = static_cast<DType>(*number);
  require_kernels_for(dtype);
  return dtype;
}

std::vector<std::int64_t> normalize_axes(std::vector<std::int64_t> axes, std::size_t rank) {
  for (std::int64_t& axis : axes) axis = normalize_axis(axis, rank);
  std::sort(axes.begin(), axes.end());
  const auto twice = std::adjacent_find(axes.begin(), axes.end());
  if (twice != axes.end()) throw_error(ErrorKind::model, "axis {} is named twice", *twice);
  return axes;
}

void infer_like_input(InferContext& context, const DTypeClass& accepted) {
  context.set_tensor(0, expect_dtype(context, 0, accepted), context.input(0).shape);
}

}  // namespace sparse_run
