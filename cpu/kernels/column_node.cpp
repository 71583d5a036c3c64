// Reading nodes for strips.
#include "cpu/kernels/column_node.hpp"

#include <algorithm>
#include <limits>

#include "cpu/column/row_ops.hpp"
#include "cpu/column/strip_convolution.hpp"
#include "cpu/kernels/convolution.hpp"
#include "cpu/kernels/elementwise.hpp"
#include "graph/ops/window.hpp"

namespace sparse_run::cpu {

namespace {

/// Share of zeros from which the sparse kernel is the faster one.
constexpr double kSparseStripsFrom = 0.6;
constexpr std::int64_t kLargest = 1 << 20;  // of any size, so that places in a row fit 32 bits

bool is_plane(const Type& type) {
  if (type.dtype != DType::f32 || !type.is_concrete() || type.shape->size() != 4) return false;
  return std::all_of(type.shape->begin(), type.shape->end(),
                     [](std::int64_t size) { return size >= 1 && size <= kLargest; });
}

RowWindow rows_of(const Window& window) {
  return {window.kernel_height, window.stride_height, window.dilation_height, window.pad_top};
}
RowWindow columns_of(const Window& window) {
  return {window.kernel_width, window.stride_width, window.dilation_width, window.pad_left};
}

void add_operand(ColumnNode& node, ValueId id, const RowWindow& rows = {}, const RowWindow& columns = {}) {
  node.operands.push_back(id);
  node.rows.push_back(rows);
  node.columns.push_back(columns);
}

/// A convolution as column kernels see it, when strips can run it.
std::optional<std::string> describe_conv(const NodeView& view, Convolution& conv) {
  if (auto reason = describe_convolution(view, conv)) return reason;
  if (conv.window.pad_top < 0 || conv.window.pad_left < 0) return "a padding is negative";
  if (conv.bias && view.constant(2) == nullptr) return "the bias is computed at run time";
  if (conv.residual && view.graph().value(view.node().inputs[3]).constant) return "the residual is constant";
  if (view.graph().value(view.node().inputs[0]).constant) return "the operand is constant";
  const std::int64_t row =
      (conv.groups * conv.in_channels) * (conv.window.width + 2 * std::int64_t{conv.window.pad_left} +
                                          std::int64_t{conv.window.kernel_width} * conv.window.dilation_width);
  if (row * conv.window.kernel_height * conv.window.dilation_height > (std::int64_t{1} << 26))
    return "the window is too large";
  return std::nullopt;
}

std::optional<std::string> describe_pool(const NodeView& view, Window& window) {
  if (view.has_output(1)) return "indices are asked for";
  const PoolGeometry geometry = PoolGeometry::sliding(view.node(), view.input_shape(0));
  if (geometry.axes.size() != 2) return "only two spatial dimensions";
  for (const WindowAxis& axis : geometry.axes) {
    if (axis.kernel < 1 || axis.kernel > kLargest || axis.stride > kLargest || axis.dilation > kLargest)
      return "a size is too large";
    if (axis.pad_begin < 0 || axis.pad_begin > kLargest) return "a padding is negative or too large";
    // every window must cover something, as an average over nothing has its own rules
    if (axis.position(axis.output - 1, 0) >= axis.input || axis.pad_begin >= axis.extent())
      return "a window lies in the padding";
  }
  const bool average = view.node().op == "AveragePool";
  if (average && view.node().int_or("ceil_mode", 0) != 0 && view.node().int_or("count_include_pad", 0) != 0) {
    return "windows beyond the padding";
  }
  const WindowAxis& height = geometry.axes[0];
  const WindowAxis& width = geometry.axes[1];
  window.kernel_height = static_cast<int>(height.kernel);
  window.kernel_width = static_cast<int>(width.kernel);
  window.stride_height = static_cast<int>(height.stride);
  window.stride_width = static_cast<int>(width.stride);
  window.dilation_height = static_cast<int>(height.dilation);
  window.dilation_width = static_cast<int>(width.dilation);
  window.pad_top = static_cast<int>(height.pad_begin);
  window.pad_left = static_cast<int>(width.pad_begin);
  window.out_height = static_cast<int>(height.output);
  window.out_width = static_cast<int>(width.output);
  if (!PoolRows::fits(window)) return "the window is too high";
  return std::nullopt;
}

StripConvolutionSpec spec_of(const NodeView& view, const Convolution& conv) {
  StripConvolutionSpec spec;
  spec.window = conv.window;
  spec.groups = static_cast<int>(conv.groups);
  spec.in_channels = static_cast<int>(conv.in_channels);
  spec.out_channels = static_cast<int>(conv.out_channels);
  if (conv.bias) {
    const auto bias = view.constant(2)->data<float>();
    spec.bias.assign(bias.begin(), bias.end());
  }
  spec.residual = conv.residual;
  spec.activation = conv.activation;
  return spec;
}

std::unique_ptr<RowOp> make_convolution(const NodeView& view, const StripShape& input, Isa isa, std::string& kernel) {
  Convolution conv;
  describe_conv(view, conv);
  const WeightFacts& weights = *view.weight(1);
  const bool depthwise =
      conv.in_channels == 1 && conv.out_channels == 1 && DepthwiseStripConvolution::fits(conv.window);
  if (!depthwise && weights.zeros() >= kSparseStripsFrom && SparseStripConvolution::fits(conv.window, input)) {
    kernel = "cpu.conv.sparse_strip.f32";
    std::vector<Csr> groups;
    const auto rows = static_cast<std::size_t>(conv.out_channels);
    for (std::size_t g = 0; g < static_cast<std::size_t>(conv.groups); ++g) {
      groups.push_back(weights.by_rows().slice_rows(g * rows, (g + 1) * rows));
    }
    return std::make_unique<SparseStripConvolution>(spec_of(view, conv), groups, input, isa);
  }
  const Tensor dense = weights.dense();
  if (depthwise) {
    kernel = "cpu.conv.depthwise_strip.f32";
    return std::make_unique<DepthwiseStripConvolution>(spec_of(view, conv), dense.data<float>(), isa);
  }
  kernel = "cpu.conv.strip.f32";
  return std::make_unique<DenseStripConvolution>(spec_of(view, conv), dense.data<float>(), input, isa);
}

}  // namespace

std::optional<std::string> describe_column_node(const NodeView& view, ColumnNode& node) {
  const Node& n = view.node();
  if (!view.concrete() || n.outputs.empty() || !view.has_output(0) || !view.has_input(0))
    return "shapes depend on data";
  if (!is_plane(view.input_type(0)) || !is_plane(view.output_type(0))) return "tensors are not planes of f32";
  if (view.input_shape(0)[0] != view.output_shape(0)[0]) return "the number of images changes";
  const auto is_constant = [&](std::size_t i) { return view.graph().value(n.inputs[i]).constant.has_value(); };
  if (is_constant(0)) return "the operand is constant";
  if (n.is("Conv") || n.is("FusedConv", kInternalDomain)) {
    Convolution conv;
    if (auto reason = describe_conv(view, conv)) return reason;
    node.kind = ColumnNode::Kind::convolution;
    add_operand(node, n.inputs[0], rows_of(conv.window), columns_of(conv.window));
    if (conv.residual) add_operand(node, n.inputs[3]);
    return std::nullopt;
  }
  if (n.is("MaxPool") || n.is("AveragePool")) {
    Window window;
    if (auto reason = describe_pool(view, window)) return reason;
    node.kind = ColumnNode::Kind::pool;
    add_operand(node, n.inputs[0], rows_of(window), columns_of(window));
    return std::nullopt;
  }
  if (n.is("GlobalAveragePool")) {
    node.kind = ColumnNode::Kind::global_average;
    const int height = static_cast<int>(view.input_shape(0)[2]);
    add_operand(node, n.inputs[0], {height, 1, 1, 0}, {});
    return std::nullopt;
  }
  if (n.domain.empty() && map_activation(view)) {
    node.kind = ColumnNode::Kind::map;
    add_operand(node, n.inputs[0]);
    return std::nullopt;
  }
  if (n.domain.empty() && binary_named(n.op)) {
    if (n.inputs.size() != 2 || is_constant(1)) return "not two computed operands";
    if (view.input_type(1).dtype != DType::f32 || view.input_shape(0) != view.input_shape(1))
      return "an operand broadcasts";
    node.kind = ColumnNode::Kind::binary;
    add_operand(node, n.inputs[0]);
    add_operand(node, n.inputs[1]);
    return std::nullopt;
  }
  if (n.is("Concat")) {
    const std::int64_t axis = n.int_or("axis", 1);
    if (axis != 1 && axis != -3) return "not along channels";
    if (n.inputs.size() > 64) return "too many operands";
    for (std::size_t i = 0; i < n.inputs.size(); ++i) {
      if (!view.has_input(i) || !is_plane(view.input_type(i)) || is_constant(i))
        return "an operand is constant or empty";
      add_operand(node, n.inputs[i]);
    }
    node.kind = ColumnNode::Kind::concat;
    return std::nullopt;
  }
  return "no kernel on strips";
}

std::unique_ptr<RowOp> make_row_op(const NodeView& view, const ColumnNode& node, const StripShape& input,
                                   std::size_t output, Isa isa, std::string& kernel) {
  switch (node.kind) {
    case ColumnNode::Kind::convolution:
      return make_convolution(view, input, isa, kernel);
    case ColumnNode::Kind::pool: {
      Window window;
      describe_pool(view, window);
      kernel = "cpu.pool.strip.f32";
      return std::make_unique<PoolRows>(window, view.node().op == "AveragePool",
                                        view.node().int_or("count_include_pad", 0) != 0, isa);
    }
    case ColumnNode::Kind::global_average:
      kernel = "cpu.pool.global_strip.f32";
      return std::make_unique<GlobalAverageRows>(output, isa);
    case ColumnNode::Kind::map:
      kernel = "cpu.map.strip.f32";
      return std::make_unique<MapRows>(*map_activation(view), isa);
    case ColumnNode::Kind::binary:
      kernel = "cpu.binary.strip.f32";
      return std::make_unique<BinaryRows>(*binary_named(view.node().op), isa);
    case ColumnNode::Kind::concat:
      kernel = "cpu.concat.strip.f32";
      return std::make_unique<ConcatRows>();
  }
  throw_error(ErrorKind::internal, "a node kind without an operation on strips");
}

}  // namespace sparse_run::cpu
