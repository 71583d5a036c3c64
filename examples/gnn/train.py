#!/usr/bin/env python3
"""Trains a GCN on the karate club and a GraphSAGE on generated communities with plain NumPy, and writes both as ONNX."""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import graphs

OPSET = 18
IR_VERSION = 9


def mean_matrix(graph: graphs.Graph) -> np.ndarray:
    """Row n averages over the sources of the edges that end at n."""
    count = len(graph.features)
    matrix = np.zeros((count, count), np.float32)
    np.add.at(matrix, (graph.edges[1], graph.edges[0]), 1)
    return matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)


def symmetric_matrix(graph: graphs.Graph) -> np.ndarray:
    """D^-1/2 (A + 1) D^-1/2 of graph convolution."""
    count = len(graph.features)
    matrix = np.eye(count, dtype=np.float32)
    np.add.at(matrix, (graph.edges[1], graph.edges[0]), 1)
    scale = 1 / np.sqrt(matrix.sum(axis=1))
    return matrix * scale[:, None] * scale[None, :]


def softmax(x: np.ndarray) -> np.ndarray:
    x = np.exp(x - x.max(axis=1, keepdims=True))
    return x / x.sum(axis=1, keepdims=True)


class TwoLayers:
    """relu(A x W + x R + b) twice without the second relu; R is absent in a GCN. Trained by Adam with weight decay."""

    def __init__(self, sizes: list[int], rooted: bool, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.weights: list[np.ndarray] = []  # W1 b1 W2 b2, then R1 R2 when rooted
        for a, b in zip(sizes, sizes[1:]):
            self.weights += [random.standard_normal((a, b)) * np.sqrt(2 / a), np.zeros(b)]
        if rooted:
            for a, b in zip(sizes, sizes[1:]):
                self.weights.append(random.standard_normal((a, b)) * np.sqrt(1 / a))
        self.rooted = rooted
        self.moments = [[np.zeros_like(w), np.zeros_like(w)] for w in self.weights]
        self.steps = 0

    def layer(self, x: np.ndarray, mixed: np.ndarray, i: int) -> np.ndarray:
        y = mixed @ self.weights[2 * i] + self.weights[2 * i + 1]
        return y + x @ self.weights[4 + i] if self.rooted else y

    def step(self, x: np.ndarray, matrix: np.ndarray, labels: np.ndarray, seen: np.ndarray, rate: float) -> None:
        mixed = matrix @ x
        hidden = np.maximum(self.layer(x, mixed, 0), 0)
        mixed_hidden = matrix @ hidden
        error = softmax(self.layer(hidden, mixed_hidden, 1))
        error[np.arange(len(x)), labels] -= 1
        error *= seen[:, None] / seen.sum()
        back = matrix.T @ (error @ self.weights[2].T)
        if self.rooted:
            back += error @ self.weights[5].T
        back *= hidden > 0
        gradients = [mixed.T @ back, back.sum(0), mixed_hidden.T @ error, error.sum(0)]
        if self.rooted:
            gradients += [x.T @ back, hidden.T @ error]
        self.steps += 1
        for weight, gradient, moment in zip(self.weights, gradients, self.moments):
            moment[0] += 0.1 * (gradient - moment[0])
            moment[1] += 0.001 * (gradient**2 - moment[1])
            first = moment[0] / (1 - 0.9**self.steps)
            second = moment[1] / (1 - 0.999**self.steps)
            weight -= rate * (first / (np.sqrt(second) + 1e-8) + 5e-3 * weight)


class Writer:
    """Collects nodes and weights of an ONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def op(self, name: str, *inputs: str, **attributes: object) -> str:
        result = f"{name}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(name, inputs, [result], **attributes))
        return result

    def constant(self, value: object, dtype: type = np.int64) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def fill(self, shape: str, value: float) -> str:
        tensor = helper.make_tensor("value", TensorProto.FLOAT, [1], [value])
        return self.op("ConstantOfShape", shape, value=tensor)

    def scatter_add(self, nodes: str, target: str, messages: str, width: int | None) -> str:
        """Adds a row (or, without a width, a number) per edge to the row of its target."""
        if width is None:
            return self.op("ScatterElements", self.fill(nodes, 0), target, messages, axis=0, reduction="add")
        zeros = self.fill(self.op("Concat", nodes, self.constant([width]), axis=0), 0)
        index = self.op("Expand", self.op("Unsqueeze", target, self.constant([1])), self.op("Shape", messages))
        return self.op("ScatterElements", zeros, index, messages, axis=0, reduction="add")

    def save(self, path: pathlib.Path, width: int, classes: int) -> None:
        graph = helper.make_graph(
            self.nodes,
            path.stem,
            [
                helper.make_tensor_value_info("x", TensorProto.FLOAT, ["nodes", width]),
                helper.make_tensor_value_info("edge_index", TensorProto.INT64, [2, "edges"]),
            ],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["nodes", classes])],
            self.initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        onnx.save(model, path)


def write_model(path: pathlib.Path, network: TwoLayers, width: int, classes: int) -> None:
    """The network over any graph: edges are an input, and every sum over them is spelled with Gather and Scatter."""
    w = Writer()
    nodes = w.op("Shape", "x", start=0, end=1)
    source = w.op("Gather", "edge_index", w.constant(0), axis=0)
    target = w.op("Gather", "edge_index", w.constant(1), axis=0)
    if not network.rooted:  # a GCN: self loops, and edges weighted by the degrees of both ends
        loops = w.op("Range", w.constant(0), w.op("Squeeze", nodes, w.constant([0])), w.constant(1))
        source = w.op("Concat", source, loops, axis=0)
        target = w.op("Concat", target, loops, axis=0)
    ones = w.fill(w.op("Shape", target), 1)
    degree = w.scatter_add(nodes, target, ones, None)
    if network.rooted:
        divisor = w.op("Unsqueeze", w.op("Clip", degree, w.constant(1, np.float32)), w.constant([1]))
    else:
        scale = w.op("Reciprocal", w.op("Sqrt", degree))
        norm = w.op("Mul", w.op("Gather", scale, source), w.op("Gather", scale, target))
        norm = w.op("Unsqueeze", norm, w.constant([1]))
    x = "x"
    for i in range(2):
        inputs, outputs = network.weights[2 * i].shape
        if network.rooted:
            total = w.scatter_add(nodes, target, w.op("Gather", x, source), inputs)
            mean = w.op("Div", total, divisor)
            y = w.op("Gemm", mean, w.constant(network.weights[2 * i], np.float32))
            y = w.op("Add", y, w.op("Gemm", x, w.constant(network.weights[4 + i], np.float32)))
        else:
            y = w.op("MatMul", x, w.constant(network.weights[2 * i], np.float32))
            y = w.scatter_add(nodes, target, w.op("Mul", norm, w.op("Gather", y, source)), outputs)
        x = w.op("Add", y, w.constant(network.weights[2 * i + 1], np.float32))
        if i == 0:
            x = w.op("Relu", x)
    w.nodes[-1].output[0] = "scores"
    w.save(path, width, classes)


def build(folder: pathlib.Path, name: str, graph: graphs.Graph, hidden: int, rooted: bool, steps: int) -> None:
    classes = int(graph.labels.max()) + 1
    width = graph.features.shape[1]
    network = TwoLayers([width, hidden, classes], rooted, seed=3)
    matrix = mean_matrix(graph) if rooted else symmetric_matrix(graph)
    for _ in range(steps):
        network.step(graph.features, matrix, graph.labels, graph.seen, rate=0.01)
    write_model(folder / f"{name}.onnx", network, width, classes)
    np.savez_compressed(folder / f"{name}.npz", x=graph.features, edge_index=graph.edges)
    np.savez_compressed(folder / f"{name}_labels.npz", labels=graph.labels.astype(np.int64), seen=graph.seen)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent)
    chosen = parser.parse_args()
    build(chosen.out, "karate", graphs.karate_club(), hidden=8, rooted=False, steps=300)
    build(chosen.out, "communities", graphs.communities(), hidden=32, rooted=True, steps=200)
