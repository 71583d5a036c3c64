// Attention of several heads in one kernel: scores never leave the multiprocessor.
#include "gpu/cuda/kernels/products.hpp"
#include "gpu/cuda/steps/broadcasting.hpp"
#include "gpu/cuda/steps/kernel_table.hpp"

namespace sparse_run::gpu::cuda {

namespace {

constexpr unsigned kThreads = 128;

/// MultiHeadAttention has operands [batch][token][head · width], ChannelAttention [1][head · width][batch · token].
class AttentionStep final : public Step {
 public:
  explicit AttentionStep(const NodeView& view) {
    const Node& node = view.node();
    const bool by_channel = node.op == "ChannelAttention";
    attention_.heads = node.get<std::int64_t>("num_heads");
    attention_.scale = node.float_or("scale", 1);
    attention_.batches = by_channel ? node.get<std::int64_t>("batch") : view.in_shape(0)[0];
    struct Extent {
      Index tokens;
      Index width;
    };
    const auto layout = [&](const Shape& shape, AttentionOperand& operand) {
      const Extent extent{by_channel ? shape[2] / attention_.batches : shape[1],
                          (by_channel ? shape[1] : shape[2]) / attention_.heads};
      operand.batch = by_channel ? extent.tokens : extent.tokens * shape[2];
      operand.head = by_channel ? extent.width * shape[2] : extent.width;
      operand.token = by_channel ? 1 : shape[2];
      operand.channel = by_channel ? shape[2] : 1;
      return extent;
    };
    AttentionOperand y{};
    const Extent queries = layout(view.in_shape(0), attention_.q);
    attention_.queries = queries.tokens;
    attention_.width = queries.width;
    attention_.keys = layout(view.in_shape(1), attention_.k).tokens;
    attention_.value_width = layout(view.in_shape(2), attention_.v).width;
    layout(view.out_shape(), y);
    attention_.y_batch = y.batch;
    attention_.y_head = y.head;
    attention_.y_token = y.token;
    attention_.y_channel = y.channel;
    if (view.has(3)) read_mask(view.in_shape(3));
  }
  std::string_view kernel() const override { return "gpu.attention.f32"; }
  double flops() const override {
    return 2.0 * static_cast<double>(rows()) * static_cast<double>(attention_.keys) *
           static_cast<double>(attention_.width + attention_.value_width);
  }
  void enqueue(const StepLaunch& launch) const override {
    if (rows() == 0 || attention_.keys == 0) return;
    Attention one = attention_;
    one.q.data = launch.in<float>(0);
    one.k.data = launch.in<float>(1);
    one.v.data = launch.in<float>(2);
    one.mask = launch.in<float>(3);
    one.y = launch.out<float>();
    launch.gpu.launch("attention", shape_for_rows(rows(), shared_bytes(attention_.keys), kThreads), launch.stream, one);
  }

  static std::size_t shared_bytes(Index keys) { return (static_cast<std::size_t>(keys) + kThreads) * sizeof(float); }

 private:
  Index rows() const { return attention_.batches * attention_.heads * attention_.queries; }

  void read_mask(const Shape& mask) {
    Index* const steps[] = {&attention_.mask_batch, &attention_.mask_head, &attention_.mask_query,
                            &attention_.mask_key};
    Index running = 1;
    for (std::size_t back = 0; back < mask.size() && back < 4; ++back) {
      const Index extent = mask[mask.size() - 1 - back];
      *steps[3 - back] = extent == 1 ? 0 : running;
      running *= extent;
    }
  }

  Attention attention_{};
};

std::string refuse_attention(const NodeView& view, const Gpu& gpu) {
  if (std::string reason = unless_f32(view, 4); !reason.empty()) return reason;
  if (view.has(3) && view.in_shape(3).size() > 4) return "its mask has too many axes";
  const Shape& keys = view.in_shape(1);
  const Index tokens =
      view.node().op == "ChannelAttention" ? keys[2] / view.node().get<std::int64_t>("batch") : keys[1];
  if (AttentionStep::shared_bytes(tokens) > gpu.facts().shared_bytes) {
    return fmt::format("scores of {} keys do not fit into the {} bytes of shared memory", tokens,
                       gpu.facts().shared_bytes);
  }
  return tokens == 0 ? "it has no keys" : "";
}

std::unique_ptr<Step> build_attention(const NodeView& view, const std::shared_ptr<Gpu>&) {
  return std::make_unique<AttentionStep>(view);
}

}  // namespace

void register_attention(KernelTable& table) {
  for (const char* op : {"MultiHeadAttention", "ChannelAttention"}) {
    table.add(op, {"gpu.attention.f32", refuse_attention, build_attention}, kInternalDomain);
  }
}

}  // namespace sparse_run::gpu::cuda
