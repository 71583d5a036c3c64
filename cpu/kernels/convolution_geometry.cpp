// Reading a convolution node for column kernels.
#include "cpu/kernels/convolution.hpp"
#include "cpu/kernels/fused_activation.hpp"
#include "graph/ops/window.hpp"

namespace sparse_run::cpu {

Workload Convolution::workload() const {
  const auto matrices = static_cast<double>(images * groups);
  const auto weights = static_cast<double>(groups * out_channels) * static_cast<double>(k());
  Workload work;
  work.flops = 2.0 * static_cast<double>(images) * weights * static_cast<double>(window.lanes());
  work.bytes = 4.0 * (matrices * static_cast<double>(in_channels * in_plane + out_channels * out_plane * (residual ? 2 : 1)) + weights);
  work.sparse_bytes = 6.0 * weights;
  return work;
}

std::optional<std::string> describe_convolution(const NodeView& view, Convolution& conv) {
  if (!view.all_f32()) return "operands are not all f32";
  return describe_convolution(view, view.input_shape(0), conv);
}

std::optional<std::string> describe_convolution(const NodeView& view, const Shape& input, Convolution& conv) {
  if (!view.all_f32()) return "operands are not all f32";
  const WeightFacts* weights = view.weight(1);
  if (weights == nullptr) return "the weights are computed at run time";
  const ConvGeometry geometry = ConvGeometry::forward(view.node(), input, weights->shape());
  if (geometry.axes.empty() || geometry.axes.size() > 2) return "only one or two spatial dimensions";
  if (element_count(view.output_shape(0)) == 0 || weights->elements() == 0) return "an operand is empty";
  if (element_count(view.input_shape(0)) == 0) return "the input is empty";
  WindowAxis height;  // a single row for one-dimensional convolutions
  height.input = height.kernel = height.output = 1;
  if (geometry.axes.size() == 2) height = geometry.axes[0];
  const WindowAxis& width = geometry.axes.back();
  constexpr std::int64_t kLargest = 1 << 30;
  for (const WindowAxis* axis : {static_cast<const WindowAxis*>(&height), &width}) {
    for (const std::int64_t size : {axis->input, axis->kernel, axis->stride, axis->dilation, axis->output}) {
      if (size > kLargest) return "a size exceeds 2^30";
    }
    if (axis->pad_begin < -kLargest || axis->pad_begin > kLargest) return "a padding exceeds 2^30";
  }
  const auto activation = fused_activation(view.node());
  if (!activation) return "no kernel for activation " + view.node().string_or("activation", "");
  conv.activation = *activation;
  conv.bias = view.has_input(2);
  conv.residual = view.has_input(3);
  if (conv.residual && view.input_shape(3) != view.output_shape(0)) return "the residual broadcasts";
  conv.images = geometry.batch;
  conv.groups = geometry.group;
  conv.in_channels = geometry.in_channels / geometry.group;
  conv.out_channels = geometry.out_channels / geometry.group;
  conv.in_plane = height.input * width.input;
  conv.out_plane = height.output * width.output;
  Window& window = conv.window;
  window.height = static_cast<int>(height.input);
  window.width = static_cast<int>(width.input);
  window.out_height = static_cast<int>(height.output);
  window.out_width = static_cast<int>(width.output);
  window.kernel_height = static_cast<int>(height.kernel);
  window.kernel_width = static_cast<int>(width.kernel);
  window.stride_height = static_cast<int>(height.stride);
  window.stride_width = static_cast<int>(width.stride);
  window.dilation_height = static_cast<int>(height.dilation);
  window.dilation_width = static_cast<int>(width.dilation);
  window.pad_top = static_cast<int>(height.pad_begin);
  window.pad_left = static_cast<int>(width.pad_begin);
  window.channel_stride = conv.in_plane;
  window.image_stride = 0;
  window.row_stride = width.input;
  return std::nullopt;
}

}  // namespace sparse_run::cpu
