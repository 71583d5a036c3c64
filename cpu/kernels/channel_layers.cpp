// Layer normalisation and attention in f32 on operands [channel][token]: tokens are the lanes of vectors.
#include <algorithm>
#include <vector>

#include "cpu/column/kernels.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/kernels/attention_shape.hpp"
#include "cpu/kernels/sparse_split.hpp"
#include "cpu/parallel.hpp"
#include "cpu/row/row_kernels.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::int64_t kLaneBlock = 64;  // lanes of a task: what sparse products take at once
constexpr std::int64_t kQueryBlock = 64;
constexpr double kTypicalEntries = 0.1;  // share of non-zeros in the weights around

class ChannelNormStep final : public Step {
 public:
  explicit ChannelNormStep(float epsilon) : epsilon_(epsilon) {}

  void run(const StepArguments& arguments) const override {
    const Shape& shape = arguments.input(0).shape();
    const std::int64_t channels = shape[1], lanes = shape[2];
    const auto* x = arguments.in<float>(0);
    const auto* gamma = arguments.in<float>(1);
    const float* beta = arguments.has_input(2) ? arguments.in<float>(2) : nullptr;
    auto* y = arguments.out<float>(0);
    const std::int64_t blocks = (lanes + kLaneBlock - 1) / kLaneBlock;
    const auto body = [&](std::int64_t task) {
      const std::int64_t lane = task % blocks * kLaneBlock, at = task / blocks * channels * lanes + lane;
      const auto stride = static_cast<std::size_t>(lanes);
      row_kernels().lane_norm(x + at, stride, gamma, beta, epsilon_, y + at, stride, static_cast<std::size_t>(channels),
                              static_cast<std::size_t>(std::min(kLaneBlock, lanes - lane)));
    };
    parallel_tasks(shape[0] * blocks, body);
  }

 private:
  float epsilon_;
};

Verdict check_norm(const NodeView& view, const Environment&) {
  if (!view.all_f32()) return Verdict::reject("operands are not all f32");
  if (element_count(view.input_shape(0)) == 0) return Verdict::reject("the operand is empty");
  return Verdict::accept();
}

std::unique_ptr<Step> build_norm(const NodeView& view, const Environment&) {
  return std::make_unique<ChannelNormStep>(view.node().float_or("epsilon", 1e-5f));
}

/// Q [heads·width][batch·queries], K [heads·width][batch·keys], V [heads·value_width][batch·keys].
std::optional<std::string> describe(const NodeView& view, AttentionShape& shape) {
  if (!view.all_f32()) return "operands are not all f32";
  const Shape& q = view.input_shape(0);
  const Shape& k = view.input_shape(1);
  const Shape& v = view.input_shape(2);
  if (element_count(q) == 0 || element_count(k) == 0 || element_count(v) == 0) return "an operand is empty";
  shape.heads = view.node().int_or("num_heads", 1);
  shape.batch = view.node().int_or("batch", 1);
  shape.queries = q[2] / shape.batch;
  shape.keys = k[2] / shape.batch;
  shape.width = q[1] / shape.heads;
  shape.value_width = v[1] / shape.heads;
  return describe_mask(view, shape);
}

/// Tasks are (batch, head, block of queries). Scores are held as [key][query]: the softmax runs down the rows without
/// any sum across a vector, and the weighted sum is a product with V as it lies in memory.
class ChannelAttentionStep final : public Step {
 public:
  ChannelAttentionStep(const AttentionShape& shape, int threads)
      : shape_(shape), threads_(threads), block_(std::min(kQueryBlock, shape.queries)) {
    slot_floats_ = ((shape.keys + shape.width + 1) * block_ + 15) / 16 * 16;
    // Stay with what this thread computed in the products before: rows, and with them heads, or lanes.
    const std::int64_t width = column_kernels(active_isa()).width;
    const SparseWork product{.rows = shape.heads * shape.width,
                             .vectors = (shape.batch * shape.queries + width - 1) / width,
                             .entries = kTypicalEntries * static_cast<double>(shape.heads * shape.width),
                             .collected = static_cast<double>(shape.heads * shape.width)};
    by_heads_ = split_sparse(product, threads).row_slices > 1;
  }

  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(slot_floats_) * sizeof(float) * static_cast<std::size_t>(threads_ + 1);
  }
  double flops() const override {
    return 2.0 * static_cast<double>(shape_.batch * shape_.heads) * static_cast<double>(shape_.queries) *
           static_cast<double>(shape_.keys) * static_cast<double>(shape_.width + shape_.value_width);
  }

  void run(const StepArguments& arguments) const override {
    const AttentionShape& s = shape_;
    const auto* q = arguments.in<float>(0);
    const auto* k = arguments.in<float>(1);
    const auto* v = arguments.in<float>(2);
    const float* mask = s.masked ? arguments.in<float>(3) : nullptr;
    auto* y = arguments.out<float>(0);
    auto* const scratch = reinterpret_cast<float*>(arguments.scratch);
    const std::int64_t blocks = (s.queries + block_ - 1) / block_;
    const std::int64_t query_pitch = s.batch * s.queries, key_pitch = s.batch * s.keys;
    const std::int64_t parts = s.batch * blocks;
    const RowKernels& rows = row_kernels();
    parallel_tasks(s.heads * parts, [&](std::int64_t task) {
      const std::int64_t head = by_heads_ ? task / parts % s.heads : task % s.heads,
                         part = by_heads_ ? task % parts : task / s.heads;
      const std::int64_t batch = part / blocks, first = part % blocks * block_;
      const std::int64_t count = std::min(block_, s.queries - first);
      const int slot = std::clamp(tbb::this_task_arena::current_thread_index(), 0, threads_);
      float* const inverse = scratch + slot * slot_floats_;
      float* const scores = inverse + block_;
      float* const own_queries = scores + s.keys * block_;  // contiguous: rows a power of two apart share cache sets
      const float* const from = q + head * s.width * query_pitch + batch * s.queries + first;
      for (std::int64_t row = 0; row < s.width; ++row) {
        std::copy_n(from + row * query_pitch, count, own_queries + row * count);
      }
      const auto lanes = static_cast<std::size_t>(count);
      LaneProduct product;
      product.a = k + head * s.width * key_pitch + batch * s.keys;
      product.a_row = 1;
      product.a_k = static_cast<std::size_t>(key_pitch);
      product.b = own_queries;
      product.b_k = product.c_row = product.lanes = lanes;
      product.c = scores;
      product.rows = static_cast<std::size_t>(s.keys);
      product.k = static_cast<std::size_t>(s.width);
      rows.lane_product(product);
      const float* own_mask =
          mask == nullptr ? nullptr : mask + batch * s.mask_batch + head * s.mask_head + first * s.mask_query;
      rows.lane_softmax(scores, lanes, s.scale, own_mask, 1, static_cast<std::size_t>(s.mask_query), inverse,
                        static_cast<std::size_t>(s.keys), lanes);
      product.a = v + head * s.value_width * key_pitch + batch * s.keys;
      product.a_row = static_cast<std::size_t>(key_pitch);
      product.a_k = 1;
      product.b = scores;
      product.c = y + head * s.value_width * query_pitch + batch * s.queries + first;
      product.c_row = static_cast<std::size_t>(query_pitch);
      product.factor = inverse;
      product.rows = static_cast<std::size_t>(s.value_width);
      product.k = static_cast<std::size_t>(s.keys);
      rows.lane_product(product);
    });
  }

 private:
  AttentionShape shape_;
  int threads_;
  bool by_heads_ = false;
  std::int64_t block_;
  std::int64_t slot_floats_;
};

Verdict check_attention(const NodeView& view, const Environment&) {
  AttentionShape shape;
  auto reason = describe(view, shape);
  return reason ? Verdict::reject(std::move(*reason)) : Verdict::accept();
}

std::unique_ptr<Step> build_attention(const NodeView& view, const Environment& environment) {
  AttentionShape shape;
  describe(view, shape);
  return std::make_unique<ChannelAttentionStep>(shape, environment.threads);
}

}  // namespace

void register_channel_kernels(KernelTable& table) {
  table.add("ChannelNormalization", {"cpu.layernorm.lanes.f32", check_norm, build_norm, 0}, kInternalDomain);
  table.add("ChannelAttention", {"cpu.attention.lanes.f32", check_attention, build_attention}, kInternalDomain);
}

}  // namespace sparse_run::cpu
