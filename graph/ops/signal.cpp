// Schemas and type inference: Fourier transforms, window functions and mel filters.
#include "graph/ops/convolution.hpp"
#include "graph/ops/operand_rules.hpp"
#include "graph/ops/window.hpp"

namespace sparse_run {

namespace {

std::optional<std::int64_t> scalar_at(const InferContext& context, std::size_t i) {
  const auto values = context.integers(i);
  if (!values) return std::nullopt;
  if (values->size() != 1) throw_error(ErrorKind::model, "input {} has {} elements, one expected", i, values->size());
  return values->front();
}

void infer_dft(InferContext& context) {
  expect_float(context, 0);
  const Node& node = context.node();
  const bool onesided = node.int_or("onesided", 0) != 0;
  const bool inverse = node.int_or("inverse", 0) != 0;
  const Shape* input = context.shape(0);
  if (input == nullptr) return context.set_tensor(0, context.dtype(0));
  if (input->size() < 2) throw_error(ErrorKind::model, "input {}: rank 2 or more expected", to_string(*input));
  if (input->back() >= 0 && input->back() != 1 && input->back() != 2) {
    throw_error(ErrorKind::model, "input {}: the last dimension is 1 (real) or 2 (complex)", to_string(*input));
  }
  Shape shape = *input;
  shape.back() = onesided && inverse ? 1 : 2;
  std::optional<std::int64_t> axis;
  if (context.opset() < 20) {
    axis = node.int_or("axis", 1);
  } else {
    axis = context.has_input(2) ? scalar_at(context, 2) : -2;
  }
  if (!axis) {  // any of the dimensions may change
    for (std::size_t d = 0; d + 1 < shape.size(); ++d) shape[d] = kUnknownDim;
    return context.set_tensor(0, context.dtype(0), shape);
  }
  const auto d = static_cast<std::size_t>(normalize_axis(*axis, shape.size()));
  if (d + 1 == shape.size()) throw_error(ErrorKind::model, "axis {} is that of the complex parts", *axis);
  std::int64_t length = kUnknownDim;
  if (context.has_input(1)) {
    if (const auto given = scalar_at(context, 1)) {
      length = *given;
      if (length < 1) throw_error(ErrorKind::model, "dft_length is {}: 1 or more expected", length);
    }
  } else if (shape[d] >= 0) {
    length = onesided && inverse ? checked_multiply(shape[d] - 1, 2) : shape[d];
    if (length < 1) throw_error(ErrorKind::model, "input {}: nothing to transform along axis {}", to_string(*input), d);
  }
  shape[d] = length >= 0 && onesided && !inverse ? length / 2 + 1 : length;
  context.set_tensor(0, context.dtype(0), shape);
}

void infer_stft(InferContext& context) {
  expect_float(context, 0);
  // [batch, length, 1 or 2]; exporters also write a real signal as [batch, length].
  const Shape* signal = context.shape(0);
  if (signal != nullptr && signal->size() != 2) signal = expect_rank(context, 0, 3);
  const bool onesided = context.node().int_or("onesided", 1) != 0;
  std::int64_t frame = kUnknownDim;
  if (context.has_input(2)) {
    expect_same_dtype(context, 0, 2);
    if (const Shape* window = expect_rank(context, 2, 1)) frame = (*window)[0];
  }
  if (context.has_input(3)) {
    if (const auto length = scalar_at(context, 3)) frame = expect_same_dim(frame, *length, "window and frame_length");
  } else if (!context.has_input(2)) {
    throw_error(ErrorKind::model, "neither window nor frame_length is given");
  }
  if (frame == 0 || frame < kUnknownDim) throw_error(ErrorKind::model, "frame length is {}: 1 or more expected", frame);
  const auto step = scalar_at(context, 1);
  if (step && *step < 1) throw_error(ErrorKind::model, "frame_step is {}: 1 or more expected", *step);
  Shape shape(4, kUnknownDim);
  shape[3] = 2;
  if (frame > 0) shape[2] = onesided ? frame / 2 + 1 : frame;
  if (signal != nullptr) {
    shape[0] = (*signal)[0];
    const std::int64_t length = (*signal)[1];
    if (signal->size() == 3 && (*signal)[2] >= 0 && (*signal)[2] != 1 && (*signal)[2] != 2) {
      throw_error(ErrorKind::model, "signal {}: the last dimension is 1 (real) or 2 (complex)", to_string(*signal));
    }
    if (length >= 0 && frame > length) {
      throw_error(ErrorKind::model, "signal {} is shorter than a frame of {}", to_string(*signal), frame);
    }
    if (length >= 0 && frame > 0 && step) shape[1] = (length - frame) / *step + 1;
  }
  context.set_tensor(0, context.dtype(0), shape);
}

DType output_datatype(const Node& node) {
  const auto dtype = static_cast<DType>(node.int_or("output_datatype", static_cast<std::int64_t>(DType::f32)));
  if (!is_float(dtype) && !is_integer(dtype)) {
    throw_error(ErrorKind::model, "attribute 'output_datatype' is {}: a numeric type expected",
                node.int_or("output_datatype", 1));
  }
  return dtype;
}

void infer_window_function(InferContext& context) {
  expect_dtype(context, 0, {DType::i32, DType::i64});
  const auto size = scalar_at(context, 0);
  if (size && *size < 0) throw_error(ErrorKind::model, "window size is {}", *size);
  context.set_tensor(0, output_datatype(context.node()), Shape{size ? *size : kUnknownDim});
}

void infer_mel_weight_matrix(InferContext& context) {
  for (std::size_t i = 0; i < 3; ++i) expect_dtype(context, i, {DType::i32, DType::i64});
  const auto bins = scalar_at(context, 0);
  const auto length = scalar_at(context, 1);
  if (bins && *bins < 0) throw_error(ErrorKind::model, "num_mel_bins is {}", *bins);
  if (length && *length < 0) throw_error(ErrorKind::model, "dft_length is {}", *length);
  context.set_tensor(0, output_datatype(context.node()),
                     Shape{length ? *length / 2 + 1 : kUnknownDim, bins ? *bins : kUnknownDim});
}

}  // namespace

void register_signal_ops(OpRegistry& registry) {
  registry.add({"", "DFT", 17, 1, 2, 1, 1, infer_dft});
  registry.add({"", "DFT", 20, 1, 3, 1, 1, infer_dft});
  registry.add({"", "STFT", 17, 2, 4, 1, 1, infer_stft});
  for (const std::string_view name : {"HannWindow", "HammingWindow", "BlackmanWindow"}) {
    registry.add({"", name, 17, 1, 1, 1, 1, infer_window_function});
  }
  registry.add({"", "MelWeightMatrix", 17, 5, 5, 1, 1, infer_mel_weight_matrix});
}

}  // namespace sparse_run
