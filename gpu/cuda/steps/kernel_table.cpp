// Looking up kernels, and choosing the first that accepts.
#include "gpu/cuda/steps/kernel_table.hpp"

#include <algorithm>
#include <array>

namespace sparse_run::gpu::cuda {

namespace {

std::string key_of(std::string_view domain, std::string_view op) { return fmt::format("{}/{}", domain, op); }

void append(std::string& list, std::string_view name, std::string_view reason) {
  if (!list.empty()) list += "; ";
  list += fmt::format("{}: {}", name, reason);
}

/// Operators whose operands may be rounded when a lower precision is allowed.
bool multiplies(const Node& node) {
  constexpr std::array kOperators = {"Conv",        "FusedConv",          "MatMul",          "Gemm",
                                     "FusedMatMul", "MultiHeadAttention", "ChannelAttention"};
  return std::find(kOperators.begin(), kOperators.end(), node.op) != kOperators.end();
}

}  // namespace

const KernelTable& KernelTable::standard() {
  static const KernelTable table = [] {
    KernelTable built;
    register_pointwise(built);
    register_movement(built);
    register_resize(built);
    register_rows(built);
    register_windows(built);
    register_dnn_convolution(built);  // preferred to the plain kernel
    register_plain_convolution(built);
    register_products(built);
    register_attention(built);
    register_aggregate(built);
    return built;
  }();
  return table;
}

void KernelTable::add(std::string_view op, KernelEntry entry, std::string_view domain) {
  entries_[key_of(domain, op)].push_back(entry);
}

const std::vector<KernelEntry>& KernelTable::find(const Node& node) const {
  static const std::vector<KernelEntry> none;
  const auto found = entries_.find(key_of(node.domain, node.op));
  return found == entries_.end() ? none : found->second;
}

std::string refusal_of(const NodeView& view, const Gpu& gpu) {
  const auto& entries = KernelTable::standard().find(view.node());
  if (entries.empty()) return fmt::format("the GPU has no kernel for {}", view.node().op);
  std::string refusals;
  for (const KernelEntry& entry : entries) {
    if (!allows(gpu.options().precision, entry.precision)) continue;
    const std::string reason = entry.refusal(view, gpu);
    if (reason.empty()) return {};
    append(refusals, entry.name, reason);
  }
  return refusals;
}

BuiltStep build_step(const NodeView& view, const std::shared_ptr<Gpu>& gpu, std::string_view wanted) {
  BuiltStep built;
  bool known = false;
  for (const KernelEntry& entry : KernelTable::standard().find(view.node())) {
    if (!wanted.empty() && entry.name != wanted) continue;
    known = true;
    const Precision lowest = gpu->options().precision;
    if (!allows(lowest, entry.precision)) {
      if (!wanted.empty()) {
        append(built.refusals, entry.name, fmt::format("it needs --precision {}", to_string(entry.precision)));
      }
      continue;
    }
    std::string reason = entry.refusal(view, *gpu);
    if (reason.empty()) {
      built.step = entry.build(view, gpu);
      if (built.step) {
        if (lowest != Precision::f32 && entry.precision != lowest && multiplies(view.node())) {
          append(built.refusals, entry.name,
                 fmt::format("it multiplies in {}, not in {}", to_string(entry.precision), to_string(lowest)));
        }
        return built;
      }
      reason = "the library has no engine for it";
    }
    append(built.refusals, entry.name, reason);
  }
  if (!wanted.empty()) {
    throw_error(ErrorKind::usage, "{}: kernel {} {}", view.node().describe(), wanted,
                known ? "cannot run it: " + built.refusals : "is none of " + gpu->facts().name + "'s for it");
  }
  throw_error(ErrorKind::unsupported, "{}: {}: {}", gpu->facts().name, view.node().describe(),
              built.refusals.empty() ? "the GPU has no kernel for it" : built.refusals);
}

std::string unless_f32(const NodeView& view, std::size_t operands) {
  const auto complaint = [](const ValueDef& value) {
    return fmt::format("it computes in f32, '{}' is {}", value.name, to_string(value.type.dtype));
  };
  for (std::size_t i = 0; i < operands; ++i) {
    if (view.has(i) && view.in_type(i) != DType::f32) return complaint(view.in(i));
  }
  if (view.out_type() != DType::f32) return complaint(view.out());
  return {};
}

bool only_reshapes(const NodeView& view) {
  const Node& node = view.node();
  if (!node.domain.empty()) return false;
  const bool is_reshape = node.op == "Reshape" || node.op == "Squeeze" || node.op == "Unsqueeze" ||
                          node.op == "Flatten" || node.op == "Identity";
  return is_reshape && view.has(0) && view.in_type(0) == view.out_type();
}

}  // namespace sparse_run::gpu::cuda
