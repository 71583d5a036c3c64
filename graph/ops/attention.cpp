// Schemas and type inference: attention in its forms, and rotary embedding.
#include "graph/ops/attention.hpp"

#include "graph/ops/matrix.hpp"
#include "graph/ops/operand_rules.hpp"
#include "graph/ops/window.hpp"

namespace sparse_run {

namespace {

std::int64_t product(std::int64_t a, std::int64_t b) { return a < 0 || b < 0 ? kUnknownDim : checked_multiply(a, b); }

std::int64_t quotient(std::int64_t size, std::int64_t heads, std::string_view what) {
  if (size < 0 || heads < 1) return kUnknownDim;
  if (size % heads != 0) throw_error(ErrorKind::model, "{} of {} cannot be divided into {} heads", what, size, heads);
  return size / heads;
}

/// An attribute that counts heads; -1 when it is absent.
std::int64_t head_count(const Node& node, std::string_view attribute) {
  if (!node.has(attribute)) return kUnknownDim;
  const std::int64_t heads = node.int_or(attribute, 0);
  if (heads < 1) throw_error(ErrorKind::model, "attribute '{}' is {}: 1 or more expected", attribute, heads);
  return heads;
}

void expect_multiple(std::int64_t query_heads, std::int64_t key_heads) {
  if (query_heads >= 0 && key_heads >= 0 && (key_heads == 0 || query_heads % key_heads != 0)) {
    throw_error(ErrorKind::model, "{} query heads are no multiple of {} key and value heads", query_heads, key_heads);
  }
}

}  // namespace

Shape AttentionSizes::output_shape() const {
  if (packed) return {batch, query_length, product(query_heads, value_size)};
  return {batch, query_heads, query_length, value_size};
}

std::optional<AttentionSizes> attention_sizes(const Node& node, const AttentionShapes& shapes) {
  std::optional<std::size_t> rank;
  for (const Shape* shape : {shapes.query, shapes.key, shapes.value}) {
    if (shape == nullptr) continue;
    if (shape->size() != 3 && shape->size() != 4) {
      throw_error(ErrorKind::model, "an operand is {}: rank 3 or 4 expected", to_string(*shape));
    }
    if (rank && *rank != shape->size()) {
      throw_error(ErrorKind::model, "query, key and value differ in rank ({} and {})", *rank, shape->size());
    }
    rank = shape->size();
  }
  if (!rank) return std::nullopt;
  AttentionSizes sizes;
  sizes.packed = *rank == 3;
  sizes.query_heads = head_count(node, "q_num_heads");
  sizes.key_heads = head_count(node, "kv_num_heads");
  if (sizes.packed && (sizes.query_heads < 0 || sizes.key_heads < 0)) {
    throw_error(ErrorKind::model, "3-D operands need the attributes q_num_heads and kv_num_heads");
  }
  const auto read = [&](const Shape* shape, std::int64_t& heads, std::int64_t& length, std::int64_t& size,
                        std::string_view what) {
    if (shape == nullptr) return;
    sizes.batch = expect_same_dim(sizes.batch, (*shape)[0], "batch of query, key and value");
    length = expect_same_dim(length, (*shape)[sizes.packed ? 1 : 2], "sequence length of key and value");
    if (!sizes.packed) heads = expect_same_dim(heads, (*shape)[1], "number of heads");
    const std::int64_t last = sizes.packed ? quotient((*shape)[2], heads, what) : (*shape)[3];
    size = expect_same_dim(size, last, "head size of query and key");
  };
  read(shapes.query, sizes.query_heads, sizes.query_length, sizes.head_size, "query");
  read(shapes.key, sizes.key_heads, sizes.key_length, sizes.head_size, "key");
  read(shapes.value, sizes.key_heads, sizes.key_length, sizes.value_size, "value");
  sizes.past_length = shapes.has_past ? kUnknownDim : 0;
  const auto read_past = [&](const Shape* past, std::int64_t& size) {
    if (past == nullptr) return;
    if (past->size() != 4) throw_error(ErrorKind::model, "a cache is {}: rank 4 expected", to_string(*past));
    sizes.batch = expect_same_dim(sizes.batch, (*past)[0], "batch of the cache");
    sizes.key_heads = expect_same_dim(sizes.key_heads, (*past)[1], "heads of the cache");
    sizes.past_length = expect_same_dim(sizes.past_length, (*past)[2], "length of past key and past value");
    size = expect_same_dim(size, (*past)[3], "head size of the cache");
  };
  if (shapes.has_past) {
    read_past(shapes.past_key, sizes.head_size);
    read_past(shapes.past_value, sizes.value_size);
  }
  if (sizes.past_length >= 0 && sizes.key_length >= 0) {
    sizes.total_length = checked_add(sizes.past_length, sizes.key_length);
  }
  expect_multiple(sizes.query_heads, sizes.key_heads);
  return sizes;
}

namespace {

void infer_attention(InferContext& context) {
  const Node& node = context.node();
  for (std::size_t i = 0; i < 3; ++i) expect_float(context, i);
  expect_same_dtype(context, 0, 1);
  const std::int64_t mode = node.int_or("qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3)
    throw_error(ErrorKind::model, "attribute 'qk_matmul_output_mode' is {}: 0 to 3 expected", mode);
  const bool past = context.has_input(4);
  if (past != context.has_input(5)) throw_error(ErrorKind::model, "past_key and past_value must be given together");
  AttentionShapes shapes{context.shape(0), context.shape(1), context.shape(2), nullptr, nullptr, past};
  if (past) {
    expect_same_dtype(context, 1, 4);
    expect_same_dtype(context, 2, 5);
    shapes.past_key = context.shape(4);
    shapes.past_value = context.shape(5);
  }
  const auto sizes = attention_sizes(node, shapes);
  if (!sizes) {
    context.set_tensor(0, context.dtype(0));
    context.set_tensor(1, context.dtype(1));
    context.set_tensor(2, context.dtype(2));
    context.set_tensor(3, context.dtype(0));
    return;
  }
  const Shape scores{sizes->batch, sizes->query_heads, sizes->query_length, sizes->total_length};
  if (context.has_input(3)) {
    if (context.dtype(3) != DType::boolean) expect_float(context, 3);
    if (const Shape* mask = context.shape(3)) {
      Shape padded = *mask;
      // A mask may end before the keys do.
      if (!padded.empty() && padded.back() >= 0 && scores.back() >= 0 && padded.back() < scores.back()) {
        padded.back() = scores.back();
      }
      const auto fits = broadcast(padded, scores);
      if (padded.empty() || padded.size() > 4 || !fits || (is_concrete(scores) && *fits != scores)) {
        throw_error(ErrorKind::model, "mask {} does not broadcast to the scores {}", to_string(*mask),
                    to_string(scores));
      }
    }
  }
  if (context.has_input(6)) {
    expect_dtype(context, 6, {DType::i64});
    expect_vector(context, 6, sizes->batch, "nonpad_kv_seqlen");
  }
  context.set_tensor(0, context.dtype(0), sizes->output_shape());
  context.set_tensor(1, context.dtype(1), Shape{sizes->batch, sizes->key_heads, sizes->total_length, sizes->head_size});
  context.set_tensor(2, context.dtype(2),
                     Shape{sizes->batch, sizes->key_heads, sizes->total_length, sizes->value_size});
  context.set_tensor(3, context.dtype(0), scores);
}

void infer_rotary_embedding(InferContext& context) {
  expect_dtype(context, 0, {DType::f32, DType::f16, DType::bf16});
  const DType dtype = expect_same_dtype(context, 0, 1);
  expect_same_dtype(context, 0, 2);
  const Node& node = context.node();
  const Shape* input = context.shape(0);
  if (input == nullptr) return context.set_tensor(0, dtype);
  if (input->size() != 3 && input->size() != 4) {
    throw_error(ErrorKind::model, "input {}: rank 3 or 4 expected", to_string(*input));
  }
  const bool packed = input->size() == 3;
  const std::int64_t heads = head_count(node, "num_heads");
  if (packed && heads < 0) throw_error(ErrorKind::model, "a 3-D input needs the attribute num_heads");
  const std::int64_t head_size = packed ? quotient((*input)[2], heads, "hidden size") : (*input)[3];
  std::int64_t rotated = node.int_or("rotary_embedding_dim", 0);
  if (rotated == 0) rotated = head_size;
  if (rotated >= 0 && head_size >= 0 && (rotated > head_size || rotated % 2 != 0)) {
    throw_error(ErrorKind::model, "{} of {} elements cannot be rotated: an even number up to the head size expected",
                rotated, head_size);
  }
  if (rotated < kUnknownDim) throw_error(ErrorKind::model, "attribute 'rotary_embedding_dim' is {}", rotated);
  const std::int64_t half = rotated < 0 ? kUnknownDim : rotated / 2;
  const std::int64_t length = (*input)[packed ? 1 : 2];
  const bool positions = context.has_input(3);
  for (std::size_t i = 1; i < 3; ++i) {
    const Shape* cache = expect_rank(context, i, positions ? 2 : 3);
    if (cache == nullptr) continue;
    expect_same_dim(cache->back(), half, "columns of the cache and half of the rotated elements");
    if (positions) continue;
    expect_same_dim((*cache)[0], (*input)[0], "batch of input and cache");
    expect_same_dim((*cache)[1], length, "sequence length of input and cache");
  }
  if (context.shape(1) != nullptr && context.shape(2) != nullptr) {
    expect_same_dim((*context.shape(1))[0], (*context.shape(2))[0], "rows of the cosine and sine caches");
  }
  if (positions) {
    expect_dtype(context, 3, {DType::i64});
    if (const Shape* ids = expect_rank(context, 3, 2)) {
      expect_same_dim((*ids)[0], (*input)[0], "batch of input and position_ids");
      expect_same_dim((*ids)[1], length, "sequence length of input and position_ids");
    }
  }
  context.set_tensor(0, dtype, *input);
}

void infer_linear_attention(InferContext& context) {
  const Node& node = context.node();
  expect_dtype(context, 0, {DType::f32, DType::f16, DType::bf16});
  const DType dtype = expect_same_dtype(context, 0, 1);
  expect_same_dtype(context, 0, 2);
  const std::string rule = node.string_or("update_rule", "gated_delta");
  if (rule != "linear" && rule != "gated" && rule != "delta" && rule != "gated_delta") {
    throw_error(ErrorKind::model, "attribute 'update_rule' is '{}': linear, gated, delta or gated_delta expected",
                rule);
  }
  const bool gated = rule == "gated" || rule == "gated_delta";
  const bool corrected = rule == "delta" || rule == "gated_delta";
  if (gated != context.has_input(4)) {
    throw_error(ErrorKind::model, "update_rule '{}' {} a decay", rule, gated ? "needs" : "takes no");
  }
  if (corrected != context.has_input(5)) {
    throw_error(ErrorKind::model, "update_rule '{}' {} a beta", rule, corrected ? "needs" : "takes no");
  }
  const std::int64_t query_heads = head_count(node, "q_num_heads");
  const std::int64_t key_heads = head_count(node, "kv_num_heads");
  if (query_heads < 0 || key_heads < 0) throw_error(ErrorKind::model, "q_num_heads and kv_num_heads are required");
  expect_multiple(query_heads, key_heads);
  std::int64_t batch = kUnknownDim;
  std::int64_t length = kUnknownDim;
  std::int64_t key_size = kUnknownDim;
  std::int64_t value_size = kUnknownDim;
  const auto read = [&](std::size_t i) -> const Shape* {
    const Shape* shape = expect_rank(context, i, 3);
    if (shape != nullptr) {
      batch = expect_same_dim(batch, (*shape)[0], "batch of the operands");
      length = expect_same_dim(length, (*shape)[1], "sequence length of the operands");
    }
    return shape;
  };
  if (const Shape* query = read(0)) key_size = quotient((*query)[2], query_heads, "query");
  if (const Shape* key = read(1)) {
    key_size = expect_same_dim(key_size, quotient((*key)[2], key_heads, "key"), "head size of query and key");
  }
  if (const Shape* value = read(2)) value_size = quotient((*value)[2], key_heads, "value");
  DType state = dtype;
  if (context.has_input(3)) {
    expect_dtype(context, 3, {DType::f32, DType::f16, DType::bf16});
    state = context.dtype(3);
    if (const Shape* past = expect_rank(context, 3, 4)) {
      batch = expect_same_dim(batch, (*past)[0], "batch of the past state");
      expect_same_dim(key_heads, (*past)[1], "heads of the past state");
      key_size = expect_same_dim(key_size, (*past)[2], "key size of the past state");
      value_size = expect_same_dim(value_size, (*past)[3], "value size of the past state");
    }
  }
  if (gated) {
    expect_same_dtype(context, 0, 4);
    const Shape* decay = read(4);
    const std::int64_t full = product(key_heads, key_size);
    if (decay != nullptr && (*decay)[2] >= 0 && (*decay)[2] != key_heads && full >= 0 && (*decay)[2] != full) {
      throw_error(ErrorKind::model, "decay {}: the last dimension is {} or {}", to_string(*decay), key_heads, full);
    }
  }
  if (corrected) {
    expect_same_dtype(context, 0, 5);
    const Shape* beta = read(5);
    if (beta != nullptr && (*beta)[2] >= 0 && (*beta)[2] != key_heads && (*beta)[2] != 1) {
      throw_error(ErrorKind::model, "beta {}: the last dimension is {} or 1", to_string(*beta), key_heads);
    }
  }
  context.set_tensor(0, dtype, Shape{batch, length, product(query_heads, value_size)});
  context.set_tensor(1, state, Shape{batch, key_heads, key_size, value_size});
}

/// The element type a FlexAttention's bodies and softmax work in.
DType score_type(const Node& node, DType operand) {
  if (!node.has("softmax_precision")) return operand == DType::f64 ? DType::f64 : DType::f32;
  const auto dtype = static_cast<DType>(node.int_or("softmax_precision", 0));
  if (!is_float(dtype)) {
    throw_error(ErrorKind::model, "attribute 'softmax_precision' is {}: a float type expected",
                node.int_or("softmax_precision", 0));
  }
  return dtype;
}

void infer_flex_attention(InferContext& context) {
  expect_float(context, 0);
  const DType dtype = expect_same_dtype(context, 0, 1);
  expect_same_dtype(context, 0, 2);
  Shape query(4, kUnknownDim);
  Shape key(4, kUnknownDim);
  Shape value(4, kUnknownDim);
  if (const Shape* shape = expect_rank(context, 0, 4)) query = *shape;
  if (const Shape* shape = expect_rank(context, 1, 4)) key = *shape;
  if (const Shape* shape = expect_rank(context, 2, 4)) value = *shape;
  const std::int64_t batch = expect_same_dim(expect_same_dim(query[0], key[0], "batch of query and key"), value[0],
                                             "batch of query and value");
  expect_multiple(query[1], expect_same_dim(key[1], value[1], "heads of key and value"));
  expect_same_dim(query[3], key[3], "head size of query and key");
  const std::int64_t length = expect_same_dim(key[2], value[2], "sequence length of key and value");
  const Shape scores{batch, query[1], query[2], length};
  for (const std::string_view body : {"score_mod", "prob_mod"}) {
    if (!context.node().has(body)) continue;
    const Type type = Type::tensor(dtype == DType::undefined ? dtype : score_type(context.node(), dtype), scores);
    const std::vector<Type> results = context.infer_body(body, std::span(&type, 1));
    if (results.size() != 1) throw_error(ErrorKind::model, "{} has {} outputs, one expected", body, results.size());
    with_context([&] { return fmt::format("output of {}", body); }, [&] { merge(type, results[0]); });
  }
  context.set_tensor(0, dtype, Shape{batch, query[1], query[2], value[3]});
}

}  // namespace

void register_attention_ops(OpRegistry& registry) {
  registry.add({"", "Attention", 23, 3, 6, 1, 4, infer_attention});
  registry.add({"", "Attention", 24, 3, 7, 1, 4, infer_attention});
  registry.add({"", "RotaryEmbedding", 23, 3, 4, 1, 1, infer_rotary_embedding});
  registry.add({"", "LinearAttention", 27, 3, 6, 2, 2, infer_linear_attention});
  registry.add({"ai.onnx.preview", "FlexAttention", 1, 3, 3, 1, 1, infer_flex_attention});
}

}  // namespace sparse_run
