#!/usr/bin/env python3
"""Writes the benchmark models: ResNet-50, BERT-base, MobileNetV1 and an MLP with random weights pruned by magnitude.

Run time depends on shapes and on where the zeros are, not on what the weights mean, so they are drawn from a seed.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Dimension = int | str


def prune(weights: np.ndarray, zeros: float) -> np.ndarray:
    """Zeroes the share `zeros` of entries that are smallest in magnitude."""
    count = round(zeros * weights.size)
    if count == 0:
        return weights
    flat = weights.flatten()
    flat[np.argpartition(np.abs(flat), count - 1)[:count]] = 0
    return flat.reshape(weights.shape)


class Builder:
    """Collects nodes and initializers; weights come from one generator, so equal seeds give equal files."""

    def __init__(self, seed: int, opset: int = 13, ir_version: int = 8) -> None:
        self.random = np.random.default_rng(seed)
        self.opset = opset
        self.ir_version = ir_version
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def normal(self, *shape: int, scale: float) -> np.ndarray:
        return self.random.standard_normal(shape, dtype=np.float32) * np.float32(scale)

    def constant(self, value, name: str = "") -> str:
        """An initializer; returns its name."""
        name = name or f"value_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name))
        return name

    def node(self, operator: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes):
        """Appends a node; returns its output's name, or a list of them when there are several."""
        label = f"{operator.lower()}_{len(self.nodes)}"
        names = [label + ("" if index == 0 else f"_{index}") for index in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, name=label, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def model(self, name: str, inputs: list[tuple], outputs: list[tuple]) -> onnx.ModelProto:
        """Values are (name, shape) or (name, shape, element type)."""

        def describe(value_name, shape, element_type=TensorProto.FLOAT):
            return helper.make_tensor_value_info(value_name, element_type, shape)

        graph = helper.make_graph(
            self.nodes, name, [describe(*v) for v in inputs], [describe(*v) for v in outputs], self.initializers
        )
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=self.ir_version, producer_name="sparse-run")


def convolution(
    b: Builder, x: str, inputs: int, outputs: int, kernel: int, *, stride=1, group=1, zeros=0.0, gain=2.0
) -> str:
    """Conv with bias, 'same' padding and weights of variance gain / fan-in."""
    fan_in = inputs // group * kernel * kernel
    weights = prune(b.normal(outputs, inputs // group, kernel, kernel, scale=np.sqrt(gain / fan_in)), zeros)
    return b.node(
        "Conv", x, b.constant(weights), b.constant(b.normal(outputs, scale=0.1)),
        kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4, group=group,
    )


def classifier(b: Builder, x: str, features: int, classes: int, zeros: float) -> str:
    """Global average pooling and a fully connected layer."""
    flat = b.node("Flatten", b.node("GlobalAveragePool", x), axis=1)
    weights = prune(b.normal(classes, features, scale=np.sqrt(1 / features)), zeros)
    return b.node("Gemm", flat, b.constant(weights), b.constant(b.normal(classes, scale=0.1)), transB=1)


def resnet50(
    zeros=0.0, batch: Dimension = 1, seed=0, *, blocks=(3, 4, 6, 3), width=64, size: Dimension = 224, classes=1000
) -> onnx.ModelProto:
    """Bottleneck ResNet (stride in the 3x3, as torchvision has it), BatchNorm folded; the first convolution is dense."""
    b = Builder(seed)
    x = b.node("Relu", convolution(b, "input", 3, width, 7, stride=2))
    x = b.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = width
    for stage, count in enumerate(blocks):
        inner = width << stage
        for index in range(count):
            stride = 2 if index == 0 and stage > 0 else 1
            y = b.node("Relu", convolution(b, x, channels, inner, 1, zeros=zeros))
            y = b.node("Relu", convolution(b, y, inner, inner, 3, stride=stride, zeros=zeros))
            y = convolution(b, y, inner, 4 * inner, 1, zeros=zeros, gain=0.5)
            if index == 0:
                x = convolution(b, x, channels, 4 * inner, 1, stride=stride, zeros=zeros, gain=1.0)
            x = b.node("Relu", b.node("Add", y, x))
            channels = 4 * inner
    logits = classifier(b, x, channels, classes, zeros)
    return b.model("resnet50", [("input", [batch, 3, size, size])], [(logits, [batch, classes])])


def mobilenet_v1(zeros=0.0, batch: Dimension = 1, seed=0, *, width=32, size: Dimension = 224, classes=1000) -> onnx.ModelProto:
    """Depthwise-separable convolutions; only the 1x1 ones are pruned, as practice has it."""
    b = Builder(seed)
    x = b.node("Relu", convolution(b, "input", 3, width, 3, stride=2))
    channels = width
    for factor, stride in [(2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), *[(16, 1)] * 5, (32, 2), (32, 1)]:
        x = b.node("Relu", convolution(b, x, channels, channels, 3, stride=stride, group=channels))
        x = b.node("Relu", convolution(b, x, channels, factor * width, 1, zeros=zeros))
        channels = factor * width
    logits = classifier(b, x, channels, classes, 0.0)
    return b.model("mobilenet_v1", [("input", [batch, 3, size, size])], [(logits, [batch, classes])])


def linear(b: Builder, x: str, inputs: int, outputs: int, zeros: float) -> str:
    """MatMul and Add, as exporters write a fully connected layer on sequences."""
    weights = prune(b.normal(inputs, outputs, scale=np.sqrt(1 / inputs)), zeros)
    return b.node("Add", b.node("MatMul", x, b.constant(weights)), b.constant(b.normal(outputs, scale=0.02)))


def layer_norm(b: Builder, x: str, width: int) -> str:
    """In primitive operators, as exporters wrote it before opset 17."""
    centered = b.node("Sub", x, b.node("ReduceMean", x, axes=[-1], keepdims=1))
    squared = b.node("Pow", centered, b.constant(np.float32(2)))
    variance = b.node("ReduceMean", squared, axes=[-1], keepdims=1)
    deviation = b.node("Sqrt", b.node("Add", variance, b.constant(np.float32(1e-12))))
    scale, shift = 1 + b.normal(width, scale=0.02), b.normal(width, scale=0.02)
    return b.node("Add", b.node("Mul", b.node("Div", centered, deviation), b.constant(scale)), b.constant(shift))


def gelu(b: Builder, x: str) -> str:
    """0.5 x (1 + erf(x / sqrt 2)) in primitive operators."""
    curve = b.node("Add", b.node("Erf", b.node("Div", x, b.constant(np.float32(np.sqrt(2))))), b.constant(np.float32(1)))
    return b.node("Mul", b.node("Mul", x, curve), b.constant(np.float32(0.5)))


def bert(
    zeros=0.0, batch: Dimension = 1, seed=0, *, tokens: Dimension = 128, layers=12, width=768, inner=3072, heads=12
) -> onnx.ModelProto:
    """BERT's encoder on embeddings [batch, tokens, width]; LayerNorm, GELU and attention spelled out."""
    b = Builder(seed)
    depth = width // heads
    split = b.constant(np.array([0, 0, heads, depth], np.int64))
    join = b.constant(np.array([0, 0, width], np.int64))
    x = "input"
    for _ in range(layers):
        query, key, value = (b.node("Reshape", linear(b, x, width, width, zeros), split) for _ in range(3))
        query = b.node("Transpose", query, perm=[0, 2, 1, 3])
        key = b.node("Transpose", key, perm=[0, 2, 3, 1])
        value = b.node("Transpose", value, perm=[0, 2, 1, 3])
        scores = b.node("Div", b.node("MatMul", query, key), b.constant(np.float32(np.sqrt(depth))))
        mixed = b.node("MatMul", b.node("Softmax", scores, axis=-1), value)
        context = b.node("Reshape", b.node("Transpose", mixed, perm=[0, 2, 1, 3]), join)
        x = layer_norm(b, b.node("Add", linear(b, context, width, width, zeros), x), width)
        hidden = gelu(b, linear(b, x, width, inner, zeros))
        x = layer_norm(b, b.node("Add", linear(b, hidden, inner, width, zeros), x), width)
    return b.model("bert", [("input", [batch, tokens, width])], [(x, [batch, tokens, width])])


def mlp(zeros=0.0, batch: Dimension = 1, seed=0, *, layers=4, width=2048) -> onnx.ModelProto:
    """Fully connected layers with ReLU."""
    b = Builder(seed)
    x = "input"
    for _ in range(layers):
        weights = prune(b.normal(width, width, scale=np.sqrt(2 / width)), zeros)
        x = b.node("Relu", b.node("Gemm", x, b.constant(weights), b.constant(b.normal(width, scale=0.1)), transB=1))
    return b.model("mlp", [("input", [batch, width])], [(x, [batch, width])])


MODELS = {"resnet50": resnet50, "bert": bert, "mobilenet_v1": mobilenet_v1, "mlp": mlp}


def file_name(model: str, zeros: float, batch: Dimension) -> str:
    return f"{model}-z{round(zeros * 100):02d}-b{batch}.onnx"


def write(folder: pathlib.Path, model: str, zeros: float, batch: Dimension, seed: int = 0) -> pathlib.Path:
    """Writes the model unless it is there already (the name says all that it depends on, but for the seed)."""
    path = folder / file_name(model, zeros, batch)
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".partial")
        onnx.save(MODELS[model](zeros, batch, seed), unfinished)
        unfinished.replace(path)
    return path


def dimension(text: str) -> Dimension:
    """A number, or the name of a symbolic dimension."""
    return int(text) if text.isdecimal() else text


def share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share of zeros between 0 and 1")
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, action="append", help="repeatable; all by default")
    parser.add_argument("--zeros", type=share, nargs="+", default=[0.0, 0.9], help="shares of zeros")
    parser.add_argument("--batch", type=dimension, nargs="+", default=[1], help="numbers, or a name for a symbolic batch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("build/bench/models"))
    options = parser.parse_args()
    for model in options.model or MODELS:
        for zeros in options.zeros:
            for batch in options.batch:
                print(write(options.out, model, zeros, batch, options.seed))


if __name__ == "__main__":
    main()
