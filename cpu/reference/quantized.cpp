// Reference kernels: integer and quantised convolutions and matrix products.
#include "cpu/reference/quantized.hpp"

#include <algorithm>
#include <cmath>

#include "cpu/reference/convolve.hpp"
#include "cpu/reference/families.hpp"
#include "cpu/reference/matmul.hpp"

namespace sparse_run::reference {

std::int64_t requantize(double value, std::int64_t zero_point, DType dtype) {
  const double least = dtype == DType::u8 ? 0 : -128;
  const double most = dtype == DType::u8 ? 255 : 127;
  if (std::isnan(value)) return zero_point;
  const double shifted = std::nearbyint(value) + static_cast<double>(zero_point);
  return static_cast<std::int64_t>(std::clamp(shifted, least, most));
}

std::vector<double> spread(const Context& context, std::size_t p, const Shape& shape, std::int64_t axis) {
  const std::vector<double> values = to_doubles(context.input(p));
  const Shape& given = context.input(p).shape();
  std::vector<double> result(static_cast<std::size_t>(element_count(shape)));
  if (values.size() == 1) {
    std::fill(result.begin(), result.end(), values[0]);
    return result;
  }
  Shape aligned(shape.size(), 1);
  if (given.size() == 1 && axis >= 0 && axis < static_cast<std::int64_t>(shape.size())) {
    aligned[static_cast<std::size_t>(axis)] = given[0];
  } else if (given.size() == shape.size()) {
    aligned = given;
  }
  if (element_count(aligned) != static_cast<std::int64_t>(values.size()) || broadcast(aligned, shape) != shape) {
    throw_error(ErrorKind::model, "input {} is {}: it fits neither a scalar nor an axis of {}", p, to_string(given),
                to_string(shape));
  }
  if (result.empty()) return result;
  auto strides = row_major_strides(aligned);
  std::vector<std::int64_t> index(shape.size(), 0);
  std::size_t at = 0;
  do {
    std::int64_t offset = 0;
    for (std::size_t d = 0; d < shape.size(); ++d) offset += aligned[d] == 1 ? 0 : index[d] * strides[d];
    result[at++] = values[static_cast<std::size_t>(offset)];
  } while (next_index(index, shape));
  return result;
}

std::vector<std::int64_t> centred(const Context& context, std::size_t i, std::size_t zero, std::int64_t axis) {
  std::vector<std::int64_t> values = to_integers(context.input(i));
  if (!context.has_input(zero)) return values;
  const std::vector<double> zeros = spread(context, zero, context.input(i).shape(), axis);
  for (std::size_t k = 0; k < values.size(); ++k) values[k] -= static_cast<std::int64_t>(zeros[k]);
  return values;
}

namespace {

double scalar_of(const Context& context, std::size_t i) {
  const std::vector<double> values = to_doubles(context.input(i));
  if (values.size() != 1) {
    throw_error(ErrorKind::model, "input {} is {}: a scalar expected", i, to_string(context.input(i).shape()));
  }
  return values[0];
}

void conv_integer(Context& context) {
  const auto geometry = ConvGeometry::forward(context.node(), context.input(0).shape(), context.input(1).shape());
  store_integers(context.output(0),
                 convolve<std::int64_t>(geometry, centred(context, 0, 2, 1), centred(context, 1, 3, 0)));
}

void qlinear_conv(Context& context) {
  const auto geometry = ConvGeometry::forward(context.node(), context.input(0).shape(), context.input(3).shape());
  auto y = convolve<std::int64_t>(geometry, centred(context, 0, 2, 1), centred(context, 3, 5, 0));
  if (context.has_input(8)) add_bias<std::int64_t>(geometry, to_integers(context.input(8)), y);
  Tensor& output = context.output(0);
  const std::vector<double> w_scale = spread(context, 4, output.shape(), 1);
  const double x_scale = scalar_of(context, 1);
  const double y_scale = scalar_of(context, 6);
  const auto y_zero = static_cast<std::int64_t>(scalar_of(context, 7));
  for (std::size_t i = 0; i < y.size(); ++i) {
    y[i] = requantize(static_cast<double>(y[i]) * x_scale * w_scale[i] / y_scale, y_zero, output.dtype());
  }
  store_integers(output, y);
}

std::int64_t row_axis(const Tensor& tensor) { return static_cast<std::int64_t>(tensor.rank()) - 2; }
std::int64_t column_axis(const Tensor& tensor) { return static_cast<std::int64_t>(tensor.rank()) - 1; }

void matmul_integer(Context& context) {
  const Tensor& a = context.input(0);
  const Tensor& b = context.input(1);
  store_integers(context.output(0), matmul<std::int64_t>(a.shape(), b.shape(), centred(context, 0, 2, row_axis(a)),
                                                         centred(context, 1, 3, column_axis(b))));
}

void qlinear_matmul(Context& context) {
  const Tensor& a = context.input(0);
  const Tensor& b = context.input(3);
  auto y = matmul<std::int64_t>(a.shape(), b.shape(), centred(context, 0, 2, row_axis(a)),
                                centred(context, 3, 5, column_axis(b)));
  Tensor& output = context.output(0);
  const std::int64_t row = a.rank() == 1 ? -1 : static_cast<std::int64_t>(output.rank()) - (b.rank() == 1 ? 1 : 2);
  const std::int64_t column = b.rank() == 1 ? -1 : column_axis(output);
  const std::vector<double> a_scale = spread(context, 1, output.shape(), row);
  const std::vector<double> b_scale = spread(context, 4, output.shape(), column);
  const std::vector<double> y_scale = spread(context, 6, output.shape(), row);
  const std::vector<double> y_zero = spread(context, 7, output.shape(), row);
  for (std::size_t i = 0; i < y.size(); ++i) {
    y[i] = requantize(static_cast<double>(y[i]) * a_scale[i] * b_scale[i] / y_scale[i],
                      static_cast<std::int64_t>(y_zero[i]), output.dtype());
  }
  store_integers(output, y);
}

}  // namespace

void register_quantized(Table& table) {
  table.add("ConvInteger", conv_integer);
  table.add("QLinearConv", qlinear_conv);
  table.add("MatMulInteger", matmul_integer);
  table.add("QLinearMatMul", qlinear_matmul);
}

}  // namespace sparse_run::reference
