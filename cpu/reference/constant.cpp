// Reference kernels: constants, tensors made from a shape, and Identity.
#include <cstring>

#include "cpu/reference/subfamilies.hpp"
#include "cpu/reference/wide.hpp"

namespace sparse_run::reference {

namespace {

void constant(Context& context) {
  const Node& node = context.node();
  if (const auto* dense = node.find<Tensor>("value")) return context.set_output(0, *dense);
  if (const auto* sparse = node.find<SparseTensor>("sparse_value")) return context.set_output(0, sparse->to_dense());
  if (const auto* number = node.find<float>("value_float")) return context.set_output(0, Tensor::scalar(*number));
  if (const auto* number = node.find<std::int64_t>("value_int")) return context.set_output(0, Tensor::scalar(*number));
  if (const auto* text = node.find<std::string>("value_string")) return context.set_output(0, Tensor::scalar(*text));
  const auto vector = [&]<class T>(const std::vector<T>& values) {
    context.set_output(0, Tensor::of<T>(Shape{static_cast<std::int64_t>(values.size())}, values));
  };
  if (const auto* numbers = node.find<std::vector<float>>("value_floats")) return vector(*numbers);
  if (const auto* numbers = node.find<std::vector<std::int64_t>>("value_ints")) return vector(*numbers);
  vector(node.get<std::vector<std::string>>("value_strings"));
}

void constant_of_shape(Context& context) {
  Tensor& out = context.output(0);
  const auto* value = context.node().find<Tensor>("value");
  if (value == nullptr) {
    std::memset(out.raw(), 0, out.bytes());
  } else if (out.dtype() == DType::string) {
    for (std::string& element : out.data<std::string>()) element = value->data<std::string>()[0];
  } else {
    const std::size_t width = element_size(out.dtype());
    for (std::int64_t i = 0; i < out.size(); ++i) {
      std::memcpy(static_cast<char*>(out.raw()) + static_cast<std::size_t>(i) * width, value->raw(), width);
    }
  }
}

void eye_like(Context& context) {
  Tensor& out = context.output(0);
  const std::int64_t diagonal = context.node().int_or("k", 0);
  const std::int64_t rows = out.dim(0);
  const std::int64_t columns = out.dim(1);
  std::vector<double> values(static_cast<std::size_t>(out.size()), 0);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t column = 0; column < columns; ++column) {
      if (column - row == diagonal) values[static_cast<std::size_t>(row * columns + column)] = 1;
    }
  }
  store_doubles(values, out);
}

void identity(Context& context) { context.set_output(0, context.input_value(0)); }

}  // namespace

void register_constant(Table& table) {
  table.add("Constant", constant);
  table.add("ConstantOfShape", constant_of_shape);
  table.add("EyeLike", eye_like);
  table.add("Identity", identity);
}

}  // namespace sparse_run::reference
