// Sizes of an Attention, resolved from 3-D or 4-D operands and attributes.
#pragma once

#include "graph/ops/schema.hpp"

namespace sparse_run {

/// Of the operator Attention (opset 23 on). 4-D operands are [batch, heads, sequence, size]; 3-D ones
/// [batch, sequence, heads x size]. -1: not known yet.
struct AttentionSizes {
  bool packed = false;  ///< operands are 3-D
  std::int64_t batch = kUnknownDim;
  std::int64_t query_heads = kUnknownDim;
  std::int64_t key_heads = kUnknownDim;  ///< of keys and values; query_heads is a multiple of it
  std::int64_t query_length = kUnknownDim;
  std::int64_t key_length = kUnknownDim;   ///< of K and V alone
  std::int64_t past_length = kUnknownDim;  ///< 0 without a cache
  std::int64_t total_length = kUnknownDim;
  std::int64_t head_size = kUnknownDim;
  std::int64_t value_size = kUnknownDim;

  Shape output_shape() const;
};

/// Shapes of Q, K, V and, where given, past_key and past_value; null where the rank is not known. nullopt when no
/// operand's rank is known. Error(model) when they contradict each other or the attributes.
struct AttentionShapes {
  const Shape* query = nullptr;
  const Shape* key = nullptr;
  const Shape* value = nullptr;
  const Shape* past_key = nullptr;
  const Shape* past_value = nullptr;
  bool has_past = false;
};
std::optional<AttentionSizes> attention_sizes(const Node& node, const AttentionShapes& shapes);

}  // namespace sparse_run
