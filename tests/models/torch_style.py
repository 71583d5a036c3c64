"""Small BERT and ResNet graphs spelled the ways that generations of PyTorch exporters spell them."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from bench.models import Builder, prune

IR_VERSION_OF_OPSET = {11: 6, 13: 7, 17: 8, 20: 9, 23: 11}


class Exporter(Builder):
    """A builder that knows what changed between opsets and which operators an exporter of that time had."""

    def __init__(self, seed: int, opset: int, *, half_weights: bool = False) -> None:
        super().__init__(seed, opset, IR_VERSION_OF_OPSET[opset])
        self.half_weights = half_weights

    def weight(self, value: np.ndarray) -> str:
        """An initializer; stored as f16 and widened by a Cast where that was asked for."""
        if not self.half_weights:
            return self.constant(value)
        return self.node("Cast", self.constant(value.astype(np.float16)), to=TensorProto.FLOAT)

    def integers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def scalar(self, value: float) -> str:
        return self.constant(np.float32(value))

    def unsqueeze(self, x: str, *axes: int) -> str:
        if self.opset < 13:
            return self.node("Unsqueeze", x, axes=list(axes))
        return self.node("Unsqueeze", x, self.integers(*axes))

    def mean(self, x: str, *axes: int, keepdims: int = 1) -> str:
        if self.opset < 18:
            return self.node("ReduceMean", x, axes=list(axes), keepdims=keepdims)
        return self.node("ReduceMean", x, self.integers(*axes), keepdims=keepdims)

    def dimension(self, x: str, axis: int) -> str:
        """One dimension of x as a tensor [1], the way tracing records x.size(axis)."""
        index = self.node("Constant", value=onnx.numpy_helper.from_array(np.array(axis, np.int64)))
        return self.unsqueeze(self.node("Gather", self.node("Shape", x), index, axis=0), 0)

    def layer_norm(self, x: str, width: int) -> str:
        """LayerNormalization from opset 17 on, primitives before."""
        scale = self.weight(1 + self.normal(width, scale=0.1))
        shift = self.weight(self.normal(width, scale=0.1))
        if self.opset >= 17:
            return self.node("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-5)
        centered = self.node("Sub", x, self.mean(x, -1))
        variance = self.mean(self.node("Pow", centered, self.scalar(2)), -1)
        deviation = self.node("Sqrt", self.node("Add", variance, self.scalar(1e-5)))
        return self.node("Add", self.node("Mul", self.node("Div", centered, deviation), scale), shift)

    def gelu(self, x: str) -> str:
        """Gelu from opset 20 on, primitives before."""
        if self.opset >= 20:
            return self.node("Gelu", x)
        erf = self.node("Erf", self.node("Div", x, self.scalar(np.sqrt(2))))
        return self.node("Mul", self.node("Mul", x, self.node("Add", erf, self.scalar(1))), self.scalar(0.5))

    def linear(self, x: str, inputs: int, outputs: int, zeros: float) -> str:
        weights = prune(self.normal(inputs, outputs, scale=1 / np.sqrt(inputs)), zeros)
        return self.node("Add", self.node("MatMul", x, self.weight(weights)), self.weight(self.normal(outputs, scale=0.1)))


def bert(
    opset: int, *, seed=1, zeros=0.8, layers=2, width=64, heads=4, vocabulary=101, positions=64, half_weights=False
) -> onnx.ModelProto:
    """From token ids and an attention mask (both [batch, tokens]) to hidden states and the pooled first token."""
    e = Exporter(seed, opset, half_weights=half_weights)
    depth = width // heads
    words = e.node("Gather", e.weight(e.normal(vocabulary, width, scale=0.5)), "input_ids", axis=0)
    tokens = e.dimension("input_ids", 1)
    slots = e.constant(np.arange(positions, dtype=np.int64)[np.newaxis])
    position_ids = e.node("Slice", slots, e.integers(0), tokens, e.integers(1), e.integers(1))
    places = e.node("Gather", e.weight(e.normal(positions, width, scale=0.1)), position_ids, axis=0)
    x = e.layer_norm(e.node("Add", words, places), width)

    mask = e.node("Cast", e.unsqueeze("attention_mask", 1, 2), to=TensorProto.FLOAT)
    mask = e.node("Mul", e.node("Sub", e.scalar(1), mask), e.scalar(-10000))

    def heads_of(y: str, permutation: list[int]) -> str:
        shape = e.node("Concat", e.dimension(y, 0), e.dimension(y, 1), e.integers(heads), e.integers(depth), axis=0)
        return e.node("Transpose", e.node("Reshape", y, shape), perm=permutation)

    for _ in range(layers):
        query = heads_of(e.linear(x, width, width, zeros), [0, 2, 1, 3])
        key = heads_of(e.linear(x, width, width, zeros), [0, 2, 3, 1])
        value = heads_of(e.linear(x, width, width, zeros), [0, 2, 1, 3])
        scores = e.node("Div", e.node("MatMul", query, key), e.scalar(np.sqrt(depth)))
        shares = e.node("Softmax", e.node("Add", scores, mask), axis=3)
        context = e.node("Transpose", e.node("MatMul", shares, value), perm=[0, 2, 1, 3])
        shape = e.node("Concat", e.dimension(context, 0), e.dimension(context, 1), e.integers(width), axis=0)
        attended = e.linear(e.node("Reshape", context, shape), width, width, zeros)
        x = e.layer_norm(e.node("Add", attended, x), width)
        hidden = e.linear(e.gelu(e.linear(x, width, 4 * width, zeros)), 4 * width, width, zeros)
        x = e.layer_norm(e.node("Add", hidden, x), width)

    first = e.node("Gather", x, e.constant(np.array(0, np.int64)), axis=1)
    weights = prune(e.normal(width, width, scale=1 / np.sqrt(width)), zeros)
    pooled = e.node("Tanh", e.node("Gemm", first, e.weight(weights), e.weight(e.normal(width, scale=0.1)), transB=1))
    return e.model(
        "bert",
        [(name, ["batch", "tokens"], TensorProto.INT64) for name in ("input_ids", "attention_mask")],
        [(x, ["batch", "tokens", width]), (pooled, ["batch", width])],
    )


def resnet(opset: int, *, seed=2, zeros=0.8, width=16, blocks=(2, 2, 2), classes=10, batch_norm=True, half_weights=False):
    """ResNet of basic blocks, BatchNormalization unfused, [batch, 3, height, width] to logits."""
    e = Exporter(seed, opset, half_weights=half_weights)

    def convolution(x: str, inputs: int, outputs: int, kernel: int, stride: int, share: float) -> str:
        weights = e.weight(prune(e.normal(outputs, inputs, kernel, kernel, scale=np.sqrt(2 / (inputs * kernel**2))), share))
        attributes = {
            "dilations": [1, 1], "group": 1, "kernel_shape": [kernel] * 2,
            "pads": [kernel // 2] * 4, "strides": [stride] * 2,
        }
        if not batch_norm:
            return e.node("Conv", x, weights, e.weight(e.normal(outputs, scale=0.1)), **attributes)
        y = e.node("Conv", x, weights, **attributes)
        scale = 1 + e.normal(outputs, scale=0.1)
        shift, mean = e.normal(outputs, scale=0.1), e.normal(outputs, scale=0.1)
        variance = 1 + e.random.random(outputs, dtype=np.float32)
        statistics = [e.weight(value) for value in (scale, shift, mean, variance)]
        return e.node("BatchNormalization", y, *statistics, epsilon=1e-5, momentum=0.9)

    x = e.node("Relu", convolution("input", 3, width, 7, 2, 0.0))
    x = e.node("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2])
    channels = width
    for stage, count in enumerate(blocks):
        for index in range(count):
            outputs, stride = width << stage, 2 if index == 0 and stage > 0 else 1
            y = e.node("Relu", convolution(x, channels, outputs, 3, stride, zeros))
            y = convolution(y, outputs, outputs, 3, 1, zeros)
            if outputs != channels:
                x = convolution(x, channels, outputs, 1, stride, zeros)
            x = e.node("Relu", e.node("Add", y, x))
            channels = outputs
    # Newer exporters write adaptive pooling to 1x1 as a mean.
    x = e.node("GlobalAveragePool", x) if opset < 18 else e.mean(x, -1, -2)
    weights = e.weight(prune(e.normal(classes, channels, scale=1 / np.sqrt(channels)), zeros))
    bias = e.weight(e.normal(classes, scale=0.1))
    logits = e.node("Gemm", e.node("Flatten", x, axis=1), weights, bias, transB=1, alpha=1.0, beta=1.0)
    return e.model("resnet", [("input", ["batch", 3, "height", "width"])], [(logits, ["batch", classes])])
