// The table of CPU kernels.
#include "cpu/kernel_table.hpp"

#include <algorithm>

namespace sparse_run::cpu {

const WeightFacts* NodeView::weight(std::size_t i) const {
  if (!has_input(i)) return nullptr;
  const WeightFacts& facts = weights_.try_emplace(i, graph_.value(node_.inputs[i])).first->second;
  return facts.usable() ? &facts : nullptr;
}

bool NodeView::concrete() const {
  const auto known = [&](ValueId id) { return id == kNoValue || graph_.value(id).type.is_concrete(); };
  return std::all_of(node_.inputs.begin(), node_.inputs.end(), known) &&
         std::all_of(node_.outputs.begin(), node_.outputs.end(), known) && node_.captures.empty();
}

bool NodeView::all_f32() const {
  const auto f32 = [&](ValueId id) { return id == kNoValue || graph_.value(id).type.dtype == DType::f32; };
  return concrete() && std::all_of(node_.inputs.begin(), node_.inputs.end(), f32) &&
         std::all_of(node_.outputs.begin(), node_.outputs.end(), f32);
}

void KernelTable::add(std::string_view op, KernelEntry entry, std::string_view domain) {
  entries_[{domain, op}].push_back(entry);
}

const std::vector<KernelEntry>& KernelTable::candidates(const Node& node) const {
  static const std::vector<KernelEntry> none;
  const auto found = entries_.find({node.domain, node.op});
  return found == entries_.end() ? none : found->second;
}

const KernelTable& KernelTable::standard() {
  static const KernelTable table = [] {
    KernelTable built;
    register_convolution_kernels(built);
    register_blocked_convolution_kernels(built);
    register_blocked_plane_kernels(built);
    register_matmul_kernels(built);
    register_attention_kernels(built);
    register_channel_kernels(built);
    register_elementwise_kernels(built);
    register_normalization_kernels(built);
    register_pooling_kernels(built);
    register_movement_kernels(built);
    register_aggregate_kernels(built);
    register_recurrent_kernels(built);
    register_conv_transpose_kernels(built);
    register_quantization_kernels(built);
    register_reduce_kernels(built);
    register_pad_kernels(built);
    register_resize_kernels(built);
    register_fourier_kernels(built);
    register_pointwise_kernels(built);
    return built;
  }();
  return table;
}

}  // namespace sparse_run::cpu
