// Softmax, normalisations and reductions.
#include "gpu/cuda/kernels/rows.hpp"

#include <algorithm>
#include <array>

#include "gpu/cuda/steps/kernel_table.hpp"
#include "graph/ops/reduce.hpp"

namespace sparse_run::gpu::cuda {

namespace {

constexpr unsigned kThreads = 256;
constexpr std::size_t kScratchBytes = kThreads * sizeof(float);

class SoftmaxStep final : public Step {
 public:
  explicit SoftmaxStep(const NodeView& view) {
    const Shape& shape = view.in_shape(0);
    const auto axis = static_cast<std::size_t>(softmax_axis(view.node(), shape.size()));
    const std::span<const std::int64_t> sizes(shape);
    softmax_.outer = element_count(sizes.first(axis));
    if (view.node().opset < 13) {  // everything from the axis on is one row
      softmax_.length = element_count(sizes.subspan(axis));
      softmax_.inner = 1;
    } else {
      softmax_.length = axis < shape.size() ? shape[axis] : 1;
      softmax_.inner = axis < shape.size() ? element_count(sizes.subspan(axis + 1)) : 1;
    }
    softmax_.logarithm = view.node().op == "LogSoftmax";
  }
  std::string_view kernel() const override { return "gpu.softmax.f32"; }
  double flops() const override { return 4.0 * static_cast<double>(softmax_.outer * softmax_.length * softmax_.inner); }
  void enqueue(const StepLaunch& launch) const override {
    Softmax softmax = softmax_;
    softmax.x = launch.in<float>(0);
    softmax.y = launch.out<float>();
    const Index rows = softmax.outer * softmax.inner;
    if (rows * softmax.length == 0) return;
    launch.gpu.launch("softmax", shape_for_rows(rows, kScratchBytes), launch.stream, softmax);
  }

 private:
  Softmax softmax_{};
};

std::string refuse_f32(const NodeView& view, const Gpu&) { return unless_f32(view, 1); }

std::unique_ptr<Step> build_softmax(const NodeView& view, const std::shared_ptr<Gpu>&) {
  return std::make_unique<SoftmaxStep>(view);
}

/// LayerNormalization and RMSNormalization over the last axes, ChannelNormalization over axis 1 of three.
class NormalizationStep final : public Step {
 public:
  explicit NormalizationStep(const NodeView& view) {
    const Node& node = view.node();
    const Shape& shape = view.in_shape(0);
    const std::span<const std::int64_t> sizes(shape);
    normalization_.inner = 1;
    normalization_.centred = node.op != "RMSNormalization";
    normalization_.epsilon = node.float_or("epsilon", 1e-5f);
    if (node.domain == kInternalDomain) {
      normalization_.outer = shape[0];
      normalization_.length = shape[1];
      normalization_.inner = shape[2];
    } else {
      const auto axis = static_cast<std::size_t>(normalize_axis(node.int_or("axis", -1), shape.size()));
      normalization_.outer = element_count(sizes.first(axis));
      normalization_.length = element_count(sizes.subspan(axis));
    }
    wants_ = {view.wants(1), view.wants(2)};
  }
  std::string_view kernel() const override { return "gpu.normalization.f32"; }
  double flops() const override {
    return 7.0 * static_cast<double>(normalization_.outer * normalization_.length * normalization_.inner);
  }
  void enqueue(const StepLaunch& launch) const override {
    Normalization one = normalization_;
    one.x = launch.in<float>(0);
    one.scale = launch.in<float>(1);
    one.bias = launch.in<float>(2);
    one.y = launch.out<float>();
    one.means = wants_[0] ? launch.out<float>(1) : nullptr;
    one.deviations = wants_[1] ? launch.out<float>(2) : nullptr;
    const Index rows = one.outer * one.inner;
    if (rows * one.length == 0) return;
    launch.gpu.launch("normalization", shape_for_rows(rows, kScratchBytes), launch.stream, one);
  }

 private:
  Normalization normalization_{};
  std::array<bool, 2> wants_{};
};

std::string refuse_normalization(const NodeView& view, const Gpu&) {
  if (std::string reason = unless_f32(view, 3); !reason.empty()) return reason;
  const Shape& shape = view.in_shape(0);
  std::int64_t length = 0;
  if (view.node().domain == kInternalDomain) {
    length = shape[1];
  } else {
    const auto axis = static_cast<std::size_t>(normalize_axis(view.node().int_or("axis", -1), shape.size()));
    length = element_count(std::span(shape).subspan(axis));
  }
  for (const std::size_t operand : {1u, 2u}) {
    if (view.has(operand) && element_count(view.in_shape(operand)) != length) return "its scale or bias is repeated";
  }
  return {};
}

std::unique_ptr<Step> build_normalization(const NodeView& view, const std::shared_ptr<Gpu>&) {
  return std::make_unique<NormalizationStep>(view);
}

struct NamedReduction {
  std::string_view op;
  Reduction kind;
};

constexpr std::array kReductions = {
    NamedReduction{"ReduceSum", Reduction::sum},        NamedReduction{"ReduceMean", Reduction::mean},
    NamedReduction{"ReduceMin", Reduction::minimum},    NamedReduction{"ReduceMax", Reduction::maximum},
    NamedReduction{"ReduceProd", Reduction::product},   NamedReduction{"ReduceSumSquare", Reduction::sum_of_squares},
    NamedReduction{"ReduceL1", Reduction::l1},          NamedReduction{"ReduceL2", Reduction::l2},
    NamedReduction{"ReduceLogSum", Reduction::log_sum}, NamedReduction{"ReduceLogSumExp", Reduction::log_sum_exp},
};

/// The reduced axes; nullopt when they depend on data. Global poolings reduce all spatial ones.
std::optional<std::vector<std::int64_t>> axes_of(const NodeView& view) {
  const std::size_t rank = view.in_shape(0).size();
  if (view.node().op.starts_with("Global")) {
    std::vector<std::int64_t> axes;
    for (std::size_t axis = 2; axis < rank; ++axis) axes.push_back(static_cast<std::int64_t>(axis));
    return axes;
  }
  std::optional<std::vector<std::int64_t>> operand;
  if (axes_are_operand(view.node()) && view.has(1)) {
    const Tensor* constant = view.constant(1);
    if (constant == nullptr) return std::nullopt;
    operand = constant->to_int64();
  }
  return reduced_axes(view.node(), operand, rank);
}

class ReduceStep final : public Step {
 public:
  explicit ReduceStep(const NodeView& view) {
    const Shape& shape = view.in_shape(0);
    const auto strides = row_major_strides(shape);
    const auto axes = *axes_of(view);
    reduce_.rows = 1;
    reduce_.length = 1;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      const bool reduced = std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(axis)) != axes.end();
      int& rank = reduced ? reduce_.reduced_rank : reduce_.kept_rank;
      (reduced ? reduce_.reduced_size : reduce_.kept_size)[rank] = shape[axis];
      (reduced ? reduce_.reduced_step : reduce_.kept_step)[rank] = strides[axis];
      ++rank;
      (reduced ? reduce_.length : reduce_.rows) *= shape[axis];
    }
    if (view.node().op == "GlobalAveragePool") reduce_.kind = Reduction::mean;
    if (view.node().op == "GlobalMaxPool") reduce_.kind = Reduction::maximum;
    for (const NamedReduction& entry : kReductions) {
      if (entry.op == view.node().op) reduce_.kind = entry.kind;
    }
  }
  std::string_view kernel() const override { return "gpu.reduce.f32"; }
  bool reads(std::size_t operand) const override { return operand == 0; }
  double flops() const override { return static_cast<double>(reduce_.rows * reduce_.length); }
  void enqueue(const StepLaunch& launch) const override {
    Reduce reduce = reduce_;
    reduce.x = launch.in<float>(0);
    reduce.y = launch.out<float>();
    if (reduce.rows == 0) return;
    launch.gpu.launch("reduce", shape_for_rows(reduce.rows, kScratchBytes), launch.stream, reduce);
  }

 private:
  Reduce reduce_{};
};

std::string refuse_reduce(const NodeView& view, const Gpu&) {
  if (std::string reason = unless_f32(view, 1); !reason.empty()) return reason;
  if (view.in_shape(0).size() > kMaxRank) return "it has too many axes";
  if (element_count(view.in_shape(0)) == 0) return "it reduces nothing";
  return axes_of(view) ? "" : "its axes depend on data";
}

std::unique_ptr<Step> build_reduce(const NodeView& view, const std::shared_ptr<Gpu>&) {
  return std::make_unique<ReduceStep>(view);
}

}  // namespace

void register_rows(KernelTable& table) {
  for (const char* op : {"Softmax", "LogSoftmax"}) table.add(op, {"gpu.softmax.f32", refuse_f32, build_softmax});
  const KernelEntry normalization{"gpu.normalization.f32", refuse_normalization, build_normalization};
  table.add("LayerNormalization", normalization);
  table.add("RMSNormalization", normalization);
  table.add("ChannelNormalization", normalization, kInternalDomain);
  const KernelEntry reduction{"gpu.reduce.f32", refuse_reduce, build_reduce};
  for (const NamedReduction& entry : kReductions) table.add(entry.op, reduction);
  table.add("GlobalAveragePool", reduction);
  table.add("GlobalMaxPool", reduction);
}

}  // namespace sparse_run::gpu::cuda
