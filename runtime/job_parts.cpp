// Cutting inputs into requests.
#include "runtime/job_parts.hpp"

#include <algorithm>
#include <utility>

#include "base/error.hpp"

namespace sparse_run {

namespace {

std::size_t stride_of_rows(const Tensor& tensor) {
  const std::size_t width = tensor.dtype() == DType::string ? sizeof(std::string) : element_size(tensor.dtype());
  const std::int64_t rows = tensor.shape()[0];
  return rows == 0 ? 0 : static_cast<std::size_t>(tensor.size() / rows) * width;
}

/// A view of rows [first, first + count).
Tensor slice_rows(const Tensor& tensor, std::int64_t first, std::int64_t count) {
  Shape shape = tensor.shape();
  shape[0] = count;
  char* data = static_cast<char*>(const_cast<void*>(tensor.raw()));
  return Tensor::view(tensor.dtype(), std::move(shape), data + static_cast<std::size_t>(first) * stride_of_rows(tensor),
                      tensor.owner());
}

/// Rows [first, first + count), read.
Tensor read_rows(const JobInput& input, std::int64_t first, std::int64_t count) {
  Shape shape = input.value.tensor.shape();
  shape[0] = count;
  Tensor rows = Tensor::allocate(input.value.tensor.dtype(), std::move(shape));
  input.read(static_cast<std::size_t>(first) * stride_of_rows(input.value.tensor),
             {static_cast<std::byte*>(rows.raw()), rows.bytes()});
  return rows;
}

/// `given` followed by copies of its last row up to `rows`: copies, not zeros, so that the filling is as legal an input
/// as the row it repeats.
Tensor padded_rows(const Tensor& given, std::int64_t rows) {
  Shape shape = given.shape();
  const std::int64_t count = std::exchange(shape[0], rows);
  Tensor padded = Tensor::allocate(given.dtype(), std::move(shape));
  for (std::int64_t row = 0; row < rows; ++row) {
    slice_rows(padded, row, 1).copy_from(slice_rows(given, std::min(row, count - 1), 1));
  }
  return padded;
}

std::int64_t length_of(std::span<const JobInput> inputs) {
  std::int64_t length = -1;
  for (const JobInput& input : inputs) {
    if (!input.split) continue;
    if (!input.value.is_tensor() || input.value.tensor.rank() == 0) {
      throw_error(ErrorKind::input, "a job splits tensors along their first dimension; an input to split has none");
    }
    const std::int64_t rows = input.value.tensor.shape()[0];
    if (length >= 0 && rows != length) {
      throw_error(ErrorKind::input,
                  "the inputs of a job have {} and {} rows; give all that are split the same leading dimension", length,
                  rows);
    }
    length = rows;
  }
  if (length < 0) throw_error(ErrorKind::input, "a job needs at least one input to split");
  return length;
}

}  // namespace

JobParts::JobParts(std::span<const JobInput> inputs, std::int64_t micro_batch, bool pad_last)
    : inputs_(inputs), micro_batch_(micro_batch), pad_last_(pad_last), rows_(length_of(inputs)) {
  if (micro_batch < 1) throw_error(ErrorKind::usage, "a job needs requests of at least one row");
}

JobParts::Rows JobParts::rows_of(std::int64_t request) const {
  const std::int64_t first = request * micro_batch_;
  return {first, std::min(micro_batch_, rows_ - first)};
}

std::vector<Value> JobParts::request(std::int64_t request) const {
  const Rows rows = rows_of(request);
  std::vector<Value> values;
  values.reserve(inputs_.size());
  for (const JobInput& input : inputs_) {
    if (!input.split) {
      values.push_back(input.value);
      continue;
    }
    Tensor given =
        input.read ? read_rows(input, rows.first, rows.count) : slice_rows(input.value.tensor, rows.first, rows.count);
    values.emplace_back(padded(request) ? padded_rows(given, micro_batch_) : std::move(given));
  }
  return values;
}

void JobParts::trim(std::int64_t request, std::vector<Value>& outputs) const {
  if (!padded(request)) return;
  for (Value& output : outputs) {
    if (!output.is_tensor() || output.tensor.rank() == 0) continue;
    const std::int64_t leading = output.tensor.shape()[0];
    if (leading % micro_batch_ == 0) {
      output.tensor = slice_rows(output.tensor, 0, leading / micro_batch_ * rows_of(request).count);
    }
  }
}

}  // namespace sparse_run
