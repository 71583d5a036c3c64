// Multi-head attention in f32: per head and block of queries, scores, softmax and the weighted sum stay in cache.
#include <algorithm>
#include <vector>

#include "cpu/dense/onednn_matmul.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/kernels/attention_shape.hpp"
#include "cpu/parallel.hpp"
#include "cpu/row/row_kernels.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::int64_t kQueryBlock = 64;

/// Q [batch, queries, heads·width], K and V [batch, keys, heads·width].
std::optional<std::string> describe(const NodeView& view, AttentionShape& shape) {
  if (!view.all_f32()) return "operands are not all f32";
  const Shape& q = view.input_shape(0);
  const Shape& k = view.input_shape(1);
  const Shape& v = view.input_shape(2);
  if (q.size() != 3 || k.size() != 3 || v.size() != 3) return "operands are not of rank 3";
  shape.heads = view.node().int_or("num_heads", 1);
  shape.batch = q[0];
  shape.queries = q[1];
  shape.keys = k[1];
  if (shape.heads <= 0 || q[2] % shape.heads != 0 || v[2] % shape.heads != 0) return "heads do not divide the width";
  shape.width = q[2] / shape.heads;
  shape.value_width = v[2] / shape.heads;
  if (element_count(q) == 0 || element_count(k) == 0 || element_count(v) == 0) return "an operand is empty";
  return describe_mask(view, shape);
}

class AttentionStep final : public Step {
 public:
  AttentionStep(const AttentionShape& shape, int threads) : shape_(shape), threads_(threads) {
    block_ = std::min(kQueryBlock, shape.queries);
    tail_ = shape.queries % block_;
    whole_ = make(block_);
    if (tail_ != 0) short_ = make(tail_);
    // one score block per task that can run at once; tasks take theirs by index of the thread's slot
    slot_floats_ = (block_ * shape.keys + 15) / 16 * 16;
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
    const RowKernels& rows = row_kernels();
    parallel_tasks(s.batch * s.heads * blocks, [&](std::int64_t task) {
      const std::int64_t batch = task / (s.heads * blocks);
      const std::int64_t head = task / blocks % s.heads;
      const std::int64_t first = task % blocks * block_;
      const std::int64_t count = std::min(block_, s.queries - first);
      const Products& products = count == block_ ? whole_ : short_;
      const int slot = std::clamp(tbb::this_task_arena::current_thread_index(), 0, threads_);
      float* const scores = scratch + slot * slot_floats_;
      products.scores->run(q + (batch * s.queries + first) * s.heads * s.width + head * s.width,
                           k + batch * s.keys * s.heads * s.width + head * s.width, scores);
      for (std::int64_t row = 0; row < count; ++row) {
        const float* mask_row = mask == nullptr ? nullptr
                                                : mask + batch * s.mask_batch + head * s.mask_head +
                                                      (first + row) * s.mask_query;
        float* line = scores + row * s.keys;
        rows.softmax(line, s.scale, mask_row, line, static_cast<std::size_t>(s.keys));
      }
      products.weighted->run(scores, v + batch * s.keys * s.heads * s.value_width + head * s.value_width,
                             y + (batch * s.queries + first) * s.heads * s.value_width + head * s.value_width);
    });
  }

 private:
  struct Products {
    std::unique_ptr<OnednnMatmul> scores, weighted;
  };

  Products make(std::int64_t queries) const {
    const AttentionShape& s = shape_;
    OnednnMatmul::Shape scores{queries, s.keys, s.width, s.heads * s.width, 1, 1, s.heads * s.width, s.keys};
    OnednnMatmul::Shape weighted{queries, s.value_width, s.keys, s.keys, 1, s.heads * s.value_width, 1,
                                 s.heads * s.value_width};
    return {std::make_unique<OnednnMatmul>(scores), std::make_unique<OnednnMatmul>(weighted)};
  }

  AttentionShape shape_;
  int threads_;
  std::int64_t block_ = 0;
  std::int64_t tail_ = 0;
  std::int64_t slot_floats_ = 0;
  Products whole_, short_;
};

Verdict check_attention(const NodeView& view, const Environment&) {
  AttentionShape shape;
  auto reason = describe(view, shape);
  return reason ? Verdict::reject(std::move(*reason)) : Verdict::accept();
}

std::unique_ptr<Step> build_attention(const NodeView& view, const Environment& environment) {
  AttentionShape shape;
  describe(view, shape);
  return std::make_unique<AttentionStep>(shape, environment.threads);
}

}  // namespace

void register_attention_kernels(KernelTable& table) {
  table.add("MultiHeadAttention", {"cpu.attention.blocked.f32", check_attention, build_attention}, kInternalDomain);
}

}  // namespace sparse_run::cpu
