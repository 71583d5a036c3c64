// Folds y = scale · x + shift, one pair per channel, into the convolution or product that computes x.
#pragma once

#include <optional>
#include <vector>

#include "graph/ir/graph.hpp"

namespace sparse_run {

/// One scale and shift per channel, or a single pair for all channels.
struct ChannelAffine {
  std::vector<double> scale{1};
  std::vector<double> shift{0};

  double scale_at(std::size_t channel) const { return scale.size() == 1 ? scale[0] : scale[channel]; }
  double shift_at(std::size_t channel) const { return shift.size() == 1 ? shift[0] : shift[channel]; }
  bool shifts() const;
  /// False when a scale or shift is infinite or NaN: folding it would turn zeros of weights into something else.
  bool finite() const;
};

/// The axis of `value` that holds the channels of its producer: 1 for Conv and ConvTranspose, the last for MatMul and
/// Gemm; nullopt for other producers.
std::optional<std::size_t> channel_axis(const GraphBuilder& graph, ValueId value);

/// Rewrites the Conv, ConvTranspose, Gemm or MatMul that computes `inner` so that it computes `outer`, an affine
/// function of `inner` over the channel axis, at once; the caller removes the node that computed `outer` before.
/// Weights and bias must be constants; sparse weights stay sparse. Returns false, having changed nothing, when it
/// cannot be done, for instance because something else reads `inner`.
bool fold_into_producer(GraphBuilder& graph, ValueId inner, ValueId outer, const ChannelAffine& affine);

/// A constant of `like`'s element type (a 16-, 32- or 64-bit float).
Tensor float_tensor(DType dtype, Shape shape, std::span<const double> values);
/// Elements of a float constant; nullopt for other types and for nullptr.
std::optional<std::vector<double>> float_values(const Tensor* tensor);

}  // namespace sparse_run
