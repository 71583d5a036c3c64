// Finding chains of elementwise operators and writing their kernels.
#include "gpu/cuda/steps/chain.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <unordered_set>

#include "gpu/cuda/steps/activation.hpp"
#include "gpu/cuda/steps/broadcasting.hpp"
#include "gpu/cuda/steps/kernel_table.hpp"

namespace sparse_run::gpu::cuda {

namespace {

/// Operands that the generated code reads; none for an operator that is no elementwise one.
std::vector<ValueId> chain_operands(const NodeView& view) {
  if (view.outputs() != 1 || view.out_type() != DType::f32) return {};
  const std::size_t count = unary_call(view) ? 1 : binary_call(view) ? 2 : 0;
  std::vector<ValueId> operands;
  for (std::size_t i = 0; i < count; ++i) {
    if (!view.has(i) || view.in_type(i) != DType::f32 || !view.in(i).type.is_concrete()) return {};
    if (!broadcasting_of<1>(view.out_shape(), {view.in_shape(i)})) return {};
    operands.push_back(view.node().inputs[i]);
  }
  return operands;
}

/// A number that the compiler reads back exactly.
std::string literal(float value) {
  if (std::isnan(value)) return "(0.0f / 0.0f)";
  if (std::isinf(value)) return value > 0 ? "(1.0f / 0.0f)" : "(-1.0f / 0.0f)";
  const std::string digits = fmt::format("{:.9e}f", value);
  return value < 0 ? "(" + digits + ")" : digits;
}

/// Where element i of the result lies in an operand.
std::string offset(const Shape& result, const Shape& operand) {
  const auto shape = *broadcasting_of<1>(result, {operand});
  std::string text;
  Index inner = 1;
  for (int axis = shape.rank - 1; axis >= 0; --axis) {
    if (shape.step[0][axis] != 0) {
      std::string at = inner == 1 ? "i" : fmt::format("i / {}", inner);
      if (axis > 0) at += fmt::format(" % {}", shape.size[axis]);
      if (shape.step[0][axis] != 1) at += fmt::format(" * {}", shape.step[0][axis]);
      text += text.empty() ? at : " + " + at;
    }
    inner *= shape.size[axis];
  }
  return text.empty() ? "0" : text;
}

class ChainStep final : public Step {
 public:
  ChainStep(const Graph& graph, const Chain& chain, const std::shared_ptr<Gpu>& gpu)
      : count_(element_count(*graph.value(graph.node(chain.nodes.back()).outputs[0]).type.shape)),
        length_(chain.nodes.size()),
        function_(gpu->generated(chain_source(graph, chain), "chain")) {}
  std::string_view kernel() const override { return "gpu.chain.f32"; }
  double flops() const override { return static_cast<double>(count_) * static_cast<double>(length_); }
  void enqueue(const StepLaunch& launch) const override {
    if (count_ == 0) return;
    ChainOperands operands{};
    for (std::size_t i = 0; i < launch.operands.size(); ++i) operands.x[i] = launch.in<float>(i);
    operands.y = launch.out<float>();
    launch.gpu.launch_raw(function_, "chain", shape_for_items(count_), launch.stream, &operands);
  }

 private:
  Index count_;
  std::size_t length_;
  FunctionHandle function_;
};

}  // namespace

std::vector<Chain> find_chains(const Graph& graph, std::span<const NodeId> nodes,
                               const std::function<bool(ValueId)>& leaves) {
  const std::unordered_set<NodeId> inside(nodes.begin(), nodes.end());
  std::unordered_set<NodeId> taken;
  std::vector<Chain> chains;
  for (const NodeId first : nodes) {
    if (taken.contains(first) || chain_operands({graph, graph.node(first)}).empty()) continue;
    Chain chain;
    const auto take = [&](NodeId id, ValueId from_chain) {
      std::vector<ValueId> added;
      for (const ValueId operand : chain_operands({graph, graph.node(id)})) {
        const auto known = [&](const auto& list) { return std::find(list.begin(), list.end(), operand) != list.end(); };
        if (operand != from_chain && !known(chain.operands) && !known(added)) added.push_back(operand);
      }
      if (chain.operands.size() + added.size() > kMostChainOperands) return false;
      chain.operands.insert(chain.operands.end(), added.begin(), added.end());
      chain.nodes.push_back(id);
      return true;
    };
    take(first, kNoValue);
    while (true) {
      const ValueId result = graph.node(chain.nodes.back()).outputs[0];
      const auto readers = graph.consumers(result);
      if (leaves(result) || readers.size() != 1 || !inside.contains(readers[0]) || taken.contains(readers[0])) break;
      const NodeView next(graph, graph.node(readers[0]));
      if (chain_operands(next).empty() || next.out_shape() != *graph.value(result).type.shape) break;
      if (!take(readers[0], result)) break;
    }
    if (chain.nodes.size() < 2) continue;
    taken.insert(chain.nodes.begin(), chain.nodes.end());
    chains.push_back(std::move(chain));
  }
  return chains;
}

std::string chain_source(const Graph& graph, const Chain& chain) {
  const Shape& shape = *graph.value(graph.node(chain.nodes.back()).outputs[0]).type.shape;
  std::string text = fmt::format(
      "#include \"scalar_math.hpp\"\n"
      "using namespace sparse_run::gpu::cuda;\n"
      "struct ChainOperands {{\n  const float* x[{}];\n  float* y;\n}};\n"
      "extern \"C\" __global__ void chain(const ChainOperands p) {{\n"
      "  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;\n"
      "  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < {}; i += stride) {{\n",
      kMostChainOperands, element_count(shape));
  std::vector<std::string> names;  // of results so far, by node of the chain
  const auto read = [&](ValueId operand) -> std::string {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (graph.node(chain.nodes[i]).outputs[0] == operand) return names[i];
    }
    const auto at = std::find(chain.operands.begin(), chain.operands.end(), operand) - chain.operands.begin();
    return fmt::format("p.x[{}][{}]", at, offset(shape, *graph.value(operand).type.shape));
  };
  for (const NodeId id : chain.nodes) {
    const NodeView view(graph, graph.node(id));
    std::string call;
    if (const auto unary = unary_call(view)) {
      call = fmt::format("apply(static_cast<Unary>({}), {}, {}, {})", static_cast<int>(unary->function),
                         read(view.node().inputs[0]), literal(unary->a), literal(unary->b));
    } else {
      call = fmt::format("apply(static_cast<Binary>({}), {}, {})", static_cast<int>(*binary_call(view)),
                         read(view.node().inputs[0]), read(view.node().inputs[1]));
    }
    names.push_back(fmt::format("v{}", names.size()));
    text += fmt::format("    const float {} = {};  // {}\n", names.back(), call, view.node().op);
  }
  return text + fmt::format("    p.y[i] = {};\n  }}\n}}\n", names.back());
}

std::unique_ptr<Step> build_chain(const Graph& graph, const Chain& chain, const std::shared_ptr<Gpu>& gpu) {
  return std::make_unique<ChainStep>(graph, chain, gpu);
}

}  // namespace sparse_run::gpu::cuda
