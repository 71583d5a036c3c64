// Which kernels exist for an operator, what they are expected to cost, and why a kernel refuses a node.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/selection/estimate.hpp"
#include "cpu/step.hpp"

namespace sparse_run::cpu {

/// Whether a kernel takes a node; when not, the reason a person reads in --explain and --profile.
class Verdict {
 public:
  static Verdict accept() { return Verdict(std::nullopt); }
  static Verdict reject(std::string reason) { return Verdict(std::move(reason)); }
  /// Rejects a node of the kind that other kernels are for: nothing a person would want to read about.
  static Verdict pass_over() { return Verdict(std::string()); }
  bool accepted() const noexcept { return !reason_; }
  const std::string& reason() const { return *reason_; }

 private:
  explicit Verdict(std::optional<std::string> reason) : reason_(std::move(reason)) {}
  std::optional<std::string> reason_;
};

/// A kernel for one operator. Its functions are only called for nodes that are concrete(), all but `check` only for
/// those it accepts.
///
/// Candidates are asked in the order they were added. When the first that accepts has no `estimate`, it is used.
/// Otherwise it competes with all others that accept and have one: ranked by estimate, and the best few, in each of
/// their variants, timed on the operands' real shapes and weights. Results may differ between competitors by rounding
/// only.
struct KernelEntry {
  std::string_view name;  ///< device.op.format.dtype.isa
  Verdict (*check)(const NodeView& node, const Environment& environment);
  std::unique_ptr<Step> (*build)(const NodeView& node, const Environment& environment);
  /// Operand whose memory the first result may take over when nothing reads it afterwards; -1: none.
  int in_place_operand = -1;
  /// True when the kernel reads sparse constants as they are; otherwise they are made dense for it.
  bool takes_sparse = false;
  /// Predicted time; nullptr: does not compete.
  Estimate (*estimate)(const NodeView& node, const Environment& environment) = nullptr;
  /// Names of the ways to build it, the one expected to be fastest first ("v4k128"); build finds the name in
  /// Environment::variant. nullptr: one way.
  std::vector<std::string> (*variants)(const NodeView& node, const Environment& environment) = nullptr;
};

/// Kernels by (domain, operator), in order of preference. Const once built.
class KernelTable {
 public:
  void add(std::string_view op, KernelEntry entry, std::string_view domain = "");
  const std::vector<KernelEntry>& candidates(const Node& node) const;  ///< empty when there are none

  /// Every CPU kernel beyond the reference ones, built on first use.
  static const KernelTable& standard();

 private:
  std::map<std::pair<std::string_view, std::string_view>, std::vector<KernelEntry>> entries_;
};

// One registration function per kernel family.
void register_convolution_kernels(KernelTable& table);
void register_sparse_convolution_kernels(KernelTable& table);  ///< called by the former: tried first
void register_blocked_convolution_kernels(KernelTable& table);
void register_blocked_plane_kernels(KernelTable& table);
void register_matmul_kernels(KernelTable& table);
void register_sparse_matmul_kernels(KernelTable& table);  ///< called by the former: tried first
void register_sparse_rows_product_kernels(KernelTable& table);  ///< called by the former: few rows
void register_bitmap_product_kernels(KernelTable& table);       ///< called by sparse products: few rows
void register_group_product_kernels(KernelTable& table);        ///< called by sparse products: N:M weights, few rows
void register_sparse_left_product_kernels(KernelTable& table);  ///< called by the former
void register_blocked_matmul_kernels(KernelTable& table);  ///< called by the former: weights packed once
void register_bf16_product_kernels(KernelTable& table);   ///< called by the former: only when bf16 is allowed
void register_sparse_left_kernels(KernelTable& table);    ///< called by sparse products
void register_attention_kernels(KernelTable& table);
void register_channel_kernels(KernelTable& table);  ///< operands whose tokens are lanes
void register_elementwise_kernels(KernelTable& table);
void register_normalization_kernels(KernelTable& table);
void register_pooling_kernels(KernelTable& table);
void register_movement_kernels(KernelTable& table);
void register_aggregate_kernels(KernelTable& table);
void register_recurrent_kernels(KernelTable& table);
void register_conv_transpose_kernels(KernelTable& table);
void register_quantization_kernels(KernelTable& table);
void register_reduce_kernels(KernelTable& table);
void register_pad_kernels(KernelTable& table);
void register_resize_kernels(KernelTable& table);
void register_fourier_kernels(KernelTable& table);
void register_pointwise_kernels(KernelTable& table);

}  // namespace sparse_run::cpu
