// Schemas and type inference: matrix products and determinants, and the registration of the matrix family.
#include "graph/ops/matrix.hpp"

#include "graph/ops/operand_rules.hpp"

namespace sparse_run {

Shape matmul_shape(const Shape& a, const Shape& b) {
  if (a.empty() || b.empty()) {
    throw_error(ErrorKind::model, "a matrix product of {} and {}: scalars have no product", to_string(a), to_string(b));
  }
  Shape left = a;
  Shape right = b;
  if (a.size() == 1) left.insert(left.begin(), 1);
  if (b.size() == 1) right.push_back(1);
  const std::int64_t inner = left.back();
  const std::int64_t outer = right[right.size() - 2];
  if (inner >= 0 && outer >= 0 && inner != outer) {
    throw_error(ErrorKind::model, "matrix product of {} and {}: inner dimensions {} and {} differ", to_string(a),
                to_string(b), inner, outer);
  }
  const auto batch = broadcast(Shape(left.begin(), left.end() - 2), Shape(right.begin(), right.end() - 2));
  if (!batch) {
    throw_error(ErrorKind::model, "matrix product of {} and {}: batch dimensions do not broadcast", to_string(a),
                to_string(b));
  }
  Shape result = *batch;
  if (a.size() > 1) result.push_back(left[left.size() - 2]);
  if (b.size() > 1) result.push_back(right.back());
  return result;
}

namespace {

std::optional<Shape> product_shape(const InferContext& context, std::size_t a, std::size_t b) {
  const Shape* left = context.shape(a);
  const Shape* right = context.shape(b);
  if (left == nullptr || right == nullptr) return std::nullopt;
  return matmul_shape(*left, *right);
}

void infer_matmul(InferContext& context) {
  expect_dtype(context, 0,
               {DType::f32, DType::f16, DType::bf16, DType::f64, DType::i32, DType::u32, DType::i64, DType::u64});
  const DType dtype = expect_same_dtype(context, 0, 1);
  context.set_tensor(0, dtype, product_shape(context, 0, 1));
}

void infer_matmul_integer(InferContext& context) {
  for (std::size_t i = 0; i < 2; ++i) expect_dtype(context, i, {DType::u8, DType::i8});
  for (std::size_t i = 2; i < 4; ++i) {
    if (context.has_input(i)) expect_same_dtype(context, i - 2, i);
  }
  context.set_tensor(0, DType::i32, product_shape(context, 0, 1));
}

void infer_qlinear_matmul(InferContext& context) {
  for (const std::size_t i : {0, 3, 7}) expect_dtype(context, i, {DType::u8, DType::i8});
  for (const std::size_t i : {1, 4, 6}) expect_dtype(context, i, {DType::f32, DType::f16, DType::bf16});
  expect_same_dtype(context, 0, 2);
  expect_same_dtype(context, 3, 5);
  context.set_tensor(0, context.dtype(7), product_shape(context, 0, 3));
}

void infer_gemm(InferContext& context) {
  expect_dtype(context, 0,
               {DType::f32, DType::f16, DType::bf16, DType::f64, DType::i32, DType::u32, DType::i64, DType::u64});
  const DType dtype = expect_same_dtype(context, 0, 1);
  if (context.opset() < 11) context.input(2);  // required until opset 11
  const Shape* a = expect_rank(context, 0, 2);
  const Shape* b = expect_rank(context, 1, 2);
  Shape shape(2, kUnknownDim);
  std::int64_t inner_a = kUnknownDim;
  std::int64_t inner_b = kUnknownDim;
  if (a != nullptr) {
    const bool transposed = context.node().int_or("transA", 0) != 0;
    shape[0] = (*a)[transposed ? 1 : 0];
    inner_a = (*a)[transposed ? 0 : 1];
  }
  if (b != nullptr) {
    const bool transposed = context.node().int_or("transB", 0) != 0;
    shape[1] = (*b)[transposed ? 0 : 1];
    inner_b = (*b)[transposed ? 1 : 0];
  }
  if (inner_a >= 0 && inner_b >= 0 && inner_a != inner_b) {
    throw_error(ErrorKind::model, "product of A {} and B {}: inner dimensions {} and {} differ", to_string(*a),
                to_string(*b), inner_a, inner_b);
  }
  if (context.has_input(2)) {
    expect_same_dtype(context, 0, 2);
    if (const Shape* c = context.shape(2)) {
      bool fits = c->size() <= 2;
      for (std::size_t d = 0; fits && d < c->size(); ++d) {
        const std::int64_t size = (*c)[d];
        const std::int64_t target = shape[2 - c->size() + d];
        fits = size == 1 || size < 0 || target < 0 || size == target;
      }
      if (!fits) {
        throw_error(ErrorKind::model, "C {} does not broadcast to {}", to_string(*c), to_string(shape));
      }
    }
  }
  context.set_tensor(0, dtype, shape);
}

void infer_det(InferContext& context) {
  expect_float(context, 0);
  std::optional<Shape> shape;
  if (const Shape* input = context.shape(0)) {
    if (input->size() < 2) throw_error(ErrorKind::model, "input {} is not a matrix", to_string(*input));
    expect_same_dim(input->back(), (*input)[input->size() - 2], "rows and columns of a matrix with a determinant");
    shape = Shape(input->begin(), input->end() - 2);
  }
  context.set_tensor(0, context.dtype(0), shape);
}

}  // namespace

void register_matrix_ops(OpRegistry& registry) {
  registry.add({"", "MatMul", 1, 2, 2, 1, 1, infer_matmul});
  registry.add({"", "Gemm", 7, 2, 3, 1, 1, infer_gemm});
  registry.add({"", "MatMulInteger", 10, 2, 4, 1, 1, infer_matmul_integer});
  registry.add({"", "QLinearMatMul", 10, 8, 8, 1, 1, infer_qlinear_matmul});
  registry.add({"", "Det", 11, 1, 1, 1, 1, infer_det});
  register_einsum_ops(registry);
  register_attention_ops(registry);
}

}  // namespace sparse_run
