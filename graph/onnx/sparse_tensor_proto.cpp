// Reading sparse constants and checking their indices.
#include "base/error.hpp"
#include "graph/onnx/tensor_proto.hpp"

namespace sparse_run::onnx {

namespace {

void check_linear(std::span<const std::int64_t> indices, std::int64_t count) {
  std::int64_t previous = -1;
  for (const std::int64_t index : indices) {
    if (index < 0 || index >= count) {
      throw_error(ErrorKind::model, "index {} is outside the {} elements of the dense shape", index, count);
    }
    if (index == previous) throw_error(ErrorKind::model, "index {} appears twice", index);
    if (index < previous) throw_error(ErrorKind::model, "indices are not sorted: {} after {}", index, previous);
    previous = index;
  }
}

void check_coordinates(std::span<const std::int64_t> indices, const Shape& shape) {
  const std::size_t rank = shape.size();
  for (std::size_t begin = 0; begin < indices.size(); begin += rank) {
    const auto row = indices.subspan(begin, rank);
    for (std::size_t axis = 0; axis < rank; ++axis) {
      if (row[axis] < 0 || row[axis] >= shape[axis]) {
        throw_error(ErrorKind::model, "index {} on axis {} is outside [0, {})", row[axis], axis, shape[axis]);
      }
    }
    if (begin == 0) continue;
    const auto before = indices.subspan(begin - rank, rank);
    const auto order = std::lexicographical_compare_three_way(row.begin(), row.end(), before.begin(), before.end());
    const std::string at = to_string(Shape(row.begin(), row.end()));
    if (order == 0) throw_error(ErrorKind::model, "index {} appears twice", at);
    if (order < 0) throw_error(ErrorKind::model, "indices are not sorted at {}", at);
  }
}

}  // namespace

SparseTensor TensorReader::read(const onnx_wire::SparseTensorProto& proto) {
  if (!proto.has_values()) throw_error(ErrorKind::model, "the sparse tensor has no values");
  SparseTensor sparse;
  sparse.shape = read_shape(proto.dims());
  if (sparse.shape.empty()) throw_error(ErrorKind::model, "a sparse tensor needs at least one dimension");
  sparse.values = read(proto.values());
  if (sparse.values.rank() != 1) {
    throw_error(ErrorKind::model, "values have rank {}, expected 1", sparse.values.rank());
  }
  if (sparse.values.dtype() == DType::string) {
    throw_error(ErrorKind::unsupported, "sparse tensors of strings are not supported");
  }
  // An empty sparse tensor may leave its indices out.
  sparse.indices = proto.has_indices() ? read(proto.indices()) : Tensor::allocate(DType::i64, {0});
  if (sparse.indices.dtype() != DType::i64) {
    throw_error(ErrorKind::model, "indices are {}, expected i64", to_string(sparse.indices.dtype()));
  }
  const std::int64_t nnz = sparse.nnz();
  const auto rank = static_cast<std::int64_t>(sparse.shape.size());
  if (sparse.indices.shape() == Shape{nnz}) {
    check_linear(sparse.indices.data<std::int64_t>(), element_count(sparse.shape));
  } else if (sparse.indices.shape() == Shape{nnz, rank}) {
    check_coordinates(sparse.indices.data<std::int64_t>(), sparse.shape);
  } else {
    throw_error(ErrorKind::model, "indices have shape {}, expected {} or {} for {} values and rank {}",
                to_string(sparse.indices.shape()), to_string(Shape{nnz}), to_string(Shape{nnz, rank}), nnz, rank);
  }
  return sparse;
}

}  // namespace sparse_run::onnx
