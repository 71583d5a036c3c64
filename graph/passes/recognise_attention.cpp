// Recognises multi-head attention that exporters spelled out with primitives.
//
// Looked for, from the end: Reshape(Transpose(Softmax(scores) · V)) with scores = Q · Kᵀ, scaled and masked or not.
// Each of Q, K and V is followed back through factors and transposes to where the heads were split off: a Reshape of
// [B, S, H·D] to [B, S, H, D], or one part of a joint projection [B, S, 3·H·D] reshaped to [B, S, 3, H, D].
#include <algorithm>
#include <cmath>

#include "graph/passes/match.hpp"
#include "graph/passes/passes.hpp"

namespace sparse_run {

namespace {

using Permutation = std::vector<std::int64_t>;

/// Where an operand of rank 4 comes from: [batch, length, heads · width], or the `part`-th of several such.
struct HeadSplit {
  ValueId source = kNoValue;
  double factor = 1;
  Permutation permutation;  ///< from [batch, length, heads, width] to the operand's order
  std::int64_t batch = 0, length = 0, heads = 0, width = 0;
  std::optional<std::int64_t> part;
};

const Shape* concrete_shape(const GraphBuilder& graph, ValueId id) {
  const Type& type = type_of(graph, id);
  return type.is_concrete() ? &*type.shape : nullptr;
}

/// The transposition `second` of what `first` gave.
Permutation compose(const Permutation& first, const Permutation& second) {
  Permutation result;
  for (const std::int64_t axis : second) result.push_back(first[static_cast<std::size_t>(axis)]);
  return result;
}

/// A value taken from one position of the leading axis, by Gather or by Split and Squeeze: {whole, position}.
std::optional<std::pair<ValueId, std::int64_t>> leading_part(const GraphBuilder& graph, ValueId id) {
  if (const Node* gather = producer_of(graph, id, "Gather")) {
    const auto index = scalar_of(graph, gather->inputs[1]);
    const Tensor* indices = constant_of(graph, gather->inputs[1]);
    if (!index || indices->rank() != 0 || gather->int_or("axis", 0) != 0) return std::nullopt;
    return std::pair(gather->inputs[0], static_cast<std::int64_t>(*index));
  }
  const Node* squeeze = producer_of(graph, id);
  if (squeeze == nullptr || (!squeeze->is("Squeeze") && !squeeze->is("Reshape"))) return std::nullopt;
  const Shape* before = concrete_shape(graph, squeeze->inputs[0]);
  const Shape* after = concrete_shape(graph, id);
  if (before == nullptr || after == nullptr || before->size() != 5 || (*before)[0] != 1) return std::nullopt;
  if (!std::equal(after->begin(), after->end(), before->begin() + 1, before->end())) return std::nullopt;
  const Node* split = producer_of(graph, squeeze->inputs[0]);
  if (split == nullptr || !split->is("Split") || split->int_or("axis", 0) != 0) return std::nullopt;
  const Shape* whole = concrete_shape(graph, split->inputs[0]);
  if (whole == nullptr || (*whole)[0] != static_cast<std::int64_t>(split->outputs.size())) return std::nullopt;
  return std::pair(split->inputs[0], std::ranges::find(split->outputs, squeeze->inputs[0]) - split->outputs.begin());
}

/// Completes `split` when `id` is a part of Transpose[2,0,3,1,4](Reshape[B,S,3,H,D](joint projection)).
bool split_of_joint(const GraphBuilder& graph, ValueId id, const Permutation& outer, HeadSplit& split) {
  const auto part = leading_part(graph, id);
  const Node* transpose = part ? producer_of(graph, part->first, "Transpose") : nullptr;
  if (transpose == nullptr) return false;
  const Permutation perm = permutation_of(graph, *transpose);
  const Node* reshape = producer_of(graph, transpose->inputs[0], "Reshape");
  if (reshape == nullptr || perm.size() != 5 || perm[0] != 2) return false;
  const Shape* from = concrete_shape(graph, reshape->inputs[0]);
  const Shape* to = concrete_shape(graph, reshape->outputs[0]);
  if (from == nullptr || to == nullptr || from->size() != 3 || to->size() != 5) return false;
  if ((*from)[0] != (*to)[0] || (*from)[1] != (*to)[1]) return false;
  Permutation inner;  // of [B, S, H, D], once the axis of parts is gone
  for (std::size_t i = 1; i < 5; ++i) inner.push_back(perm[i] > 2 ? perm[i] - 1 : perm[i]);
  const std::int64_t position = part->second < 0 ? part->second + (*to)[2] : part->second;
  if (position < 0 || position >= (*to)[2]) return false;
  split.source = reshape->inputs[0];
  split.permutation = compose(inner, outer);
  split.batch = (*to)[0];
  split.length = (*to)[1];
  split.heads = (*to)[3];
  split.width = (*to)[4];
  split.part = position;
  return true;
}

std::optional<HeadSplit> head_split(const GraphBuilder& graph, ValueId id) {
  HeadSplit split;
  Permutation perm{0, 1, 2, 3};
  if (rank_of(graph, id) != std::size_t{4}) return std::nullopt;
  constexpr int kLongestChain = 6;
  for (int step = 0; step < kLongestChain; ++step) {
    if (split_of_joint(graph, id, perm, split)) return split;
    const Node* node = producer_of(graph, id);
    if (node == nullptr) return std::nullopt;
    if (node->is("Transpose")) {
      const Permutation inner = permutation_of(graph, *node);
      if (inner.size() != 4) return std::nullopt;
      perm = compose(inner, perm);
      id = node->inputs[0];
    } else if (node->is("Mul") || node->is("Div")) {
      const auto scaled = scalar_operand(graph, *node);
      if (!scaled) return std::nullopt;
      split.factor *= node->is("Mul") ? scaled->scalar : 1 / scaled->scalar;
      id = scaled->value;
    } else if (node->is("Reshape")) {
      const Shape* from = concrete_shape(graph, node->inputs[0]);
      const Shape* to = concrete_shape(graph, id);
      if (from == nullptr || to == nullptr || from->size() != 3 || to->size() != 4) return std::nullopt;
      if ((*from)[0] != (*to)[0] || (*from)[1] != (*to)[1]) return std::nullopt;
      split.source = node->inputs[0];
      split.permutation = perm;
      split.batch = (*to)[0];
      split.length = (*to)[1];
      split.heads = (*to)[2];
      split.width = (*to)[3];
      return split;
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

/// Q · Kᵀ with what happens to it before the softmax.
struct Scores {
  const Node* product = nullptr;
  double factor = 1;
  ValueId mask = kNoValue;
  // Where(condition, filler, scores), or with the last two exchanged: the filler is added instead.
  ValueId condition = kNoValue;
  bool kept_where_true = false;
  double filler = 0;
};

/// A number so low that adding any score to it changes nothing in f32, so that adding and replacing are the same.
bool is_masking_number(std::optional<double> number) {
  return number && (std::isinf(*number) || *number <= -1e10) && *number < 0;
}

std::optional<Scores> scores_of(const GraphBuilder& graph, ValueId id) {
  Scores scores;
  constexpr int kLongestChain = 5;
  for (int step = 0; step < kLongestChain; ++step) {
    const Node* node = read_once(graph, id) ? producer_of(graph, id) : nullptr;
    if (node == nullptr) return std::nullopt;
    const bool masked = scores.mask != kNoValue || scores.condition != kNoValue;
    const bool scaled_after = scores.factor != 1;
    if (node->is("MatMul")) {
      scores.product = node;
      return scores;
    }
    if (node->is("Mul") || node->is("Div")) {
      const auto scaled = scalar_operand(graph, *node);
      if (!scaled) return std::nullopt;
      scores.factor *= node->is("Mul") ? scaled->scalar : 1 / scaled->scalar;
      id = scaled->value;
    } else if (node->is("Add") && !masked && !scaled_after) {
      // The scores are the operand that a product computes; the other one is the mask.
      const auto computed = [&](ValueId operand) {
        const Node* producer = read_once(graph, operand) ? producer_of(graph, operand) : nullptr;
        return producer != nullptr && (producer->is("MatMul") || producer->is("Mul") || producer->is("Div")) &&
               type_of(graph, operand).shape == type_of(graph, node->outputs[0]).shape;
      };
      const std::size_t at = computed(node->inputs[0]) ? 0 : 1;
      if (!computed(node->inputs[at])) return std::nullopt;
      id = node->inputs[at];
      scores.mask = node->inputs[1 - at];
    } else if (node->is("Where") && !masked && !scaled_after) {
      scores.kept_where_true = !scalar_of(graph, node->inputs[1]);
      const std::size_t kept = scores.kept_where_true ? 1 : 2;
      const auto filler = scalar_of(graph, node->inputs[3 - kept]);
      if (!is_masking_number(filler)) return std::nullopt;
      scores.filler = *filler;
      scores.condition = node->inputs[0];
      id = node->inputs[kept];
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

/// True when a value broadcasts to [batch, heads, queries, keys] and has all keys.
bool fits_scores(const GraphBuilder& graph, ValueId id, const Shape& scores) {
  const Shape* shape = concrete_shape(graph, id);
  if (shape == nullptr || shape->empty() || shape->size() > 4 || shape->back() != scores.back()) return false;
  return broadcast(*shape, scores) == scores;
}

bool softmax_over_keys(const Node& softmax) {
  const std::int64_t axis = softmax.int_or("axis", softmax.opset >= 13 ? -1 : 1);
  return axis == -1 || axis == 3;
}

class RecogniseAttention final : public Pass {
 public:
  std::string_view name() const noexcept override { return "recognise-attention"; }
  std::string_view purpose() const noexcept override {
    return "recognises multi-head attention that was exported as primitives";
  }

  std::size_t run(GraphBuilder& graph) const override {
    std::size_t rewrites = 0;
    const std::size_t count = graph.node_count();
    for (NodeId id = 0; id < count; ++id) {
      if (!graph.removed(id) && std::as_const(graph).node(id).is("Transpose") && recognise(graph, id)) ++rewrites;
    }
    return rewrites;
  }

 private:
  /// `id`: the transpose that puts the heads side by side again.
  static bool recognise(GraphBuilder& graph, NodeId id) {
    const GraphBuilder& view = graph;
    const Node& merge = view.node(id);
    if (permutation_of(view, merge) != Permutation{0, 2, 1, 3} || !read_once(view, merge.outputs[0])) return false;
    const NodeId last = view.consumers(merge.outputs[0])[0];
    if (!view.node(last).is("Reshape")) return false;
    const Node* mixing = sole_producer_of(view, merge.inputs[0], "MatMul");
    const Node* softmax = mixing != nullptr ? sole_producer_of(view, mixing->inputs[0], "Softmax") : nullptr;
    if (softmax == nullptr || !softmax_over_keys(*softmax)) return false;
    const auto scores = scores_of(view, softmax->inputs[0]);
    if (!scores || type_of(view, softmax->inputs[0]).dtype != DType::f32) return false;
    const auto q = head_split(view, scores->product->inputs[0]);
    const auto k = head_split(view, scores->product->inputs[1]);
    const auto v = head_split(view, mixing->inputs[1]);
    if (!q || !k || !v) return false;
    if (q->permutation != Permutation{0, 2, 1, 3} || k->permutation != Permutation{0, 2, 3, 1} ||
        v->permutation != Permutation{0, 2, 1, 3}) {
      return false;
    }
    if (q->heads != k->heads || q->heads != v->heads || q->width != k->width || k->length != v->length ||
        q->batch != k->batch || q->batch != v->batch || v->factor != 1) {
      return false;
    }
    const Shape score_shape{q->batch, q->heads, q->length, k->length};
    const Shape merged{q->batch, q->length, v->heads * v->width};
    const Shape* result = concrete_shape(view, view.node(last).outputs[0]);
    if (result == nullptr || element_count(score_shape) == 0 || element_count(merged) == 0) return false;
    const ValueId masking = scores->mask != kNoValue ? scores->mask : scores->condition;
    if (masking != kNoValue && !fits_scores(view, masking, score_shape)) return false;

    const bool reshaped = *result != merged;
    const double factor = scores->factor * q->factor * k->factor;
    Node attention;
    attention.name = softmax->name + "_attention";
    attention.op = "MultiHeadAttention";
    attention.domain = kInternalDomain;
    attention.attributes["num_heads"] = q->heads;
    attention.attributes["scale"] = static_cast<float>(factor);
    attention.inputs = {operand(graph, *q), operand(graph, *k), operand(graph, *v)};
    if (scores->mask != kNoValue) attention.inputs.push_back(scores->mask);
    if (scores->condition != kNoValue) attention.inputs.push_back(additive_mask(graph, *scores));
    if (reshaped) {
      const ValueId heads_merged = graph.add_value("", Type::tensor(DType::f32, merged));
      attention.outputs = {heads_merged};
      graph.node(last).inputs[0] = heads_merged;
      graph.node(last).inputs[1] = graph.add_constant(
          "", Tensor::of<std::int64_t>(
                  {static_cast<std::int64_t>(type_of(graph, view.node(last).outputs[0]).shape->size())},
                  *type_of(graph, view.node(last).outputs[0]).shape));
      graph.node(id) = std::move(attention);
    } else {
      attention.outputs = {view.node(last).outputs[0]};
      graph.node(last) = std::move(attention);
    }
    return true;
  }

  /// The operand [batch, length, heads · width]: the source, or a slice of a joint projection.
  static ValueId operand(GraphBuilder& graph, const HeadSplit& split) {
    if (!split.part) return split.source;
    const std::int64_t width = split.heads * split.width;
    const auto list = [&](std::int64_t value) {
      return graph.add_constant("", Tensor::of<std::int64_t>({1}, {value}));
    };
    Node slice;
    slice.op = "Slice";
    slice.opset = 13;
    slice.inputs = {split.source, list(*split.part * width), list((*split.part + 1) * width), list(2)};
    const ValueId result = graph.add_value("", Type::tensor(DType::f32, Shape{split.batch, split.length, width}));
    slice.outputs = {result};
    graph.add_node(std::move(slice));
    return result;
  }

  /// 0 where a score is kept, the filler elsewhere.
  static ValueId additive_mask(GraphBuilder& graph, const Scores& scores) {
    const ValueId zero = graph.add_constant("", Tensor::scalar(0.0f));
    const ValueId filler = graph.add_constant("", Tensor::scalar(static_cast<float>(scores.filler)));
    Node where;
    where.op = "Where";
    where.opset = 16;
    where.inputs = {scores.condition, scores.kept_where_true ? zero : filler, scores.kept_where_true ? filler : zero};
    const ValueId mask = graph.add_value("", Type::tensor(DType::f32, *type_of(graph, scores.condition).shape));
    where.outputs = {mask};
    graph.add_node(std::move(where));
    return mask;
  }
};

}  // namespace

std::unique_ptr<Pass> make_recognise_attention() { return std::make_unique<RecogniseAttention>(); }

}  // namespace sparse_run
