// Schemas and inference of random generators.
#include <algorithm>

#include "graph/ops/control.hpp"
#include "graph/ops/operand_rules.hpp"

namespace sparse_run {

namespace {

DType chosen_dtype(const InferContext& ctx, DType fallback, std::initializer_list<DType> allowed) {
  const auto dtype = static_cast<DType>(ctx.node().int_or("dtype", static_cast<std::int64_t>(fallback)));
  if (dtype != DType::undefined && std::find(allowed.begin(), allowed.end(), dtype) == allowed.end()) {
    throw_error(ErrorKind::model, "random numbers of type {} are not defined", to_string(dtype));
  }
  return dtype;
}

void infer_random(InferContext& ctx) {
  Shape shape = ctx.node().get<std::vector<std::int64_t>>("shape");
  for (const std::int64_t dim : shape) {
    if (dim < 0) throw_error(ErrorKind::model, "shape has dimension {}", dim);
  }
  const DType dtype = chosen_dtype(ctx, DType::f32, {DType::f32, DType::f64, DType::f16, DType::bf16});
  ctx.set_tensor(0, dtype, std::move(shape));
}

void infer_random_like(InferContext& ctx) {
  const DType dtype = chosen_dtype(ctx, ctx.dtype(0), {DType::f32, DType::f64, DType::f16, DType::bf16});
  ctx.set_output(0, Type::tensor(dtype, ctx.input(0).shape));
}

void infer_bernoulli(InferContext& ctx) {
  expect_float(ctx, 0);
  const DType dtype = chosen_dtype(ctx, ctx.dtype(0),
                                   {DType::f32, DType::f64, DType::f16, DType::bf16, DType::u8, DType::u16, DType::u32,
                                    DType::u64, DType::i8, DType::i16, DType::i32, DType::i64, DType::boolean});
  ctx.set_output(0, Type::tensor(dtype, ctx.input(0).shape));
}

void infer_multinomial(InferContext& ctx) {
  expect_float(ctx, 0);
  const DType dtype = chosen_dtype(ctx, DType::i32, {DType::i32, DType::i64});
  const std::int64_t samples = ctx.node().int_or("sample_size", 1);
  if (samples < 0) throw_error(ErrorKind::model, "sample_size is {}", samples);
  const Shape* input = expect_rank(ctx, 0, 2);
  ctx.set_tensor(0, dtype, Shape{input != nullptr ? input->front() : kUnknownDim, samples});
}

}  // namespace

void register_random_ops(OpRegistry& registry) {
  for (const std::string_view name : {"RandomNormal", "RandomUniform"}) {
    registry.add({.name = name, .max_inputs = 0, .infer = infer_random, .deterministic = false});
  }
  for (const std::string_view name : {"RandomNormalLike", "RandomUniformLike"}) {
    registry.add({.name = name, .min_inputs = 1, .max_inputs = 1, .infer = infer_random_like, .deterministic = false});
  }
  registry.add({.name = "Bernoulli",
                .since = 15,
                .min_inputs = 1,
                .max_inputs = 1,
                .infer = infer_bernoulli,
                .deterministic = false});
  registry.add({.name = "Multinomial",
                .since = 7,
                .min_inputs = 1,
                .max_inputs = 1,
                .infer = infer_multinomial,
                .deterministic = false});
}

}  // namespace sparse_run
