// What a node costs anywhere: operations, bytes and zeros, before any device is looked at.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "graph/ir/graph.hpp"

namespace sparse_run {

/// Kinds of layers that behave alike on a device.
enum class LayerClass {
  convolution,
  depthwise,
  product,       ///< by constant weights
  pair_product,  ///< of two computed operands, and attention
  recurrent,
  rows,    ///< softmax, normalisations, reductions
  curves,  ///< elementwise with exp, tanh, erf …
  elementwise,
  movement,  ///< copies: Transpose, Concat, Gather …
  view,      ///< costs nothing: Reshape, Identity …
  other,
};
std::string_view layer_class_name(LayerClass layer);

/// Work of one node for its resolved shapes. Sizes that depend on data count as zero, and `known` is false.
struct NodeWork {
  LayerClass layer = LayerClass::other;
  double dense_flops = 0;       ///< as if no weight were zero
  double zeros = 0;             ///< share of zeros of the constant weight
  double weights = 0;           ///< elements of the constant weight
  double weight_element = 4;    ///< bytes of one
  double columns = 0;           ///< results per output channel: what weights are reused for
  double activation_bytes = 0;  ///< computed operands read and results written
  bool known = true;
  bool movable = true;  ///< false where a value is no tensor of numbers of known shape, or bodies are run

  double flops() const { return dense_flops * (1 - zeros); }
  double dense_weight_bytes() const { return weights * weight_element; }
  /// Values with 16-bit positions, as sparse formats keep them.
  double sparse_weight_bytes() const { return weights * (1 - zeros) * (weight_element + 2); }
  /// The same layer for `factor` times the batch.
  NodeWork for_batch(double factor) const;
  NodeWork with_zeros(double share) const;
};

/// Shares of zeros by constant, counted once. Thread-safe; keep it for as long as the constants live.
class ZeroCounts {
 public:
  double share(const Constant& constant);

 private:
  std::mutex mutex_;
  std::unordered_map<const void*, double> shares_;
};

NodeWork work_of(const Graph& graph, const Node& node, ZeroCounts& zeros);

/// "convolution 64x3x3x64 1x64x56x56 f32 zeros=0.90": equal for layers that take equally long on one device.
std::string layer_key(const Graph& graph, const Node& node, const NodeWork& work);

}  // namespace sparse_run
