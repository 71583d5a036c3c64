// Which kernels the GPU has for an operator, best first, and why each is refused.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "device/precision.hpp"
#include "gpu/cuda/steps/step.hpp"

namespace sparse_run::gpu::cuda {

/// A way to run an operator.
struct KernelEntry {
  std::string_view name;  ///< "gpu.softmax.f32"
  /// Why it cannot run this node, in words a user understands; empty when it can.
  std::string (*refusal)(const NodeView&, const Gpu&) = nullptr;
  /// nullptr when only trying shows that it cannot (an engine that no library has): the next entry is used.
  std::unique_ptr<Step> (*build)(const NodeView&, const std::shared_ptr<Gpu>&) = nullptr;
  /// What it multiplies in. Below f32 it is passed over, unless the options of the GPU allow it.
  Precision precision = Precision::f32;
};

/// Whether products may be computed in `precision` when `lowest` was allowed: that itself, and what is more precise.
constexpr bool allows(Precision lowest, Precision precision) {
  return precision == Precision::f32 || precision == lowest ||
         (precision == Precision::tf32 && lowest != Precision::f32);
}

/// Immutable once built.
class KernelTable {
 public:
  static const KernelTable& standard();

  void add(std::string_view op, KernelEntry entry, std::string_view domain = "");
  /// In order of preference; empty when there are none.
  const std::vector<KernelEntry>& find(const Node& node) const;

 private:
  std::unordered_map<std::string, std::vector<KernelEntry>> entries_;
};

/// Why no kernel can run the node; empty when one can. Values must be tensors of known size.
std::string refusal_of(const NodeView& view, const Gpu& gpu);

struct BuiltStep {
  std::unique_ptr<Step> step;
  std::string refusals;  ///< why kernels before it were refused: "NAME: reason; …"
};

/// By the first kernel that accepts, or by the one called `wanted` unless that is empty: Error(usage) when it refuses
/// or there is none. Error(unsupported) when none accepts.
BuiltStep build_step(const NodeView& view, const std::shared_ptr<Gpu>& gpu, std::string_view wanted = {});

/// True for nodes whose result is operand 0 under another shape.
bool only_reshapes(const NodeView& view);

// One registration per family.
void register_pointwise(KernelTable& table);
void register_movement(KernelTable& table);
void register_resize(KernelTable& table);
void register_rows(KernelTable& table);
void register_windows(KernelTable& table);
void register_dnn_convolution(KernelTable& table);
void register_plain_convolution(KernelTable& table);
void register_products(KernelTable& table);
void register_attention(KernelTable& table);
void register_aggregate(KernelTable& table);

/// "it computes in f32, 'x' is f64" for the first operand or result of another type; empty when all are f32.
std::string unless_f32(const NodeView& view, std::size_t operands);

}  // namespace sparse_run::gpu::cuda
