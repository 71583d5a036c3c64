"""Small models for tests of the command line."""

from __future__ import annotations

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FEATURES, CLASSES = 6, 3


def tensor(name: str, shape, element_type: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element_type, shape)


def initializer(name: str, value) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(value), name)


def model(nodes, inputs, outputs, initializers=(), *, opset=17, ir_version=8, functions=(), domains=()) -> onnx.ModelProto:
    """Unchecked: most callers want it wrong."""
    graph = helper.make_graph(list(nodes), "test", list(inputs), list(outputs), list(initializers))
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, functions=list(functions))


def weights() -> np.ndarray:
    """Half of it zeros."""
    values = np.arange(CLASSES * FEATURES, dtype=np.float32).reshape(CLASSES, FEATURES) / 10 - 0.8
    values[:, ::2] = 0
    return values


def classifier(batch="N") -> onnx.ModelProto:
    """x [batch, 6] → Gemm → Relu → y [batch, 3]: y = relu(x weightsᵀ + bias)."""
    return model(
        [
            helper.make_node("Gemm", ["x", "weight", "bias"], ["z"], name="dense", transB=1),
            helper.make_node("Relu", ["z"], ["y"], name="activation"),
        ],
        [tensor("x", [batch, FEATURES])],
        [tensor("y", [batch, CLASSES])],
        [initializer("weight", weights()), initializer("bias", np.array([0.5, -0.25, 0.125], np.float32))],
    )


def classify(x: np.ndarray) -> np.ndarray:
    """What classifier() computes."""
    return np.maximum(x @ weights().T + np.array([0.5, -0.25, 0.125], np.float32), 0)


def elementwise(operator: str = "Relu", shape=("N", 4)) -> onnx.ModelProto:
    """x → operator, named 'only' → y."""
    return model([helper.make_node(operator, ["x"], ["y"], name="only")], [tensor("x", shape)], [tensor("y", shape)])


def save(made: onnx.ModelProto, folder: pathlib.Path, name: str = "model.onnx") -> pathlib.Path:
    path = folder / name
    path.write_bytes(made.SerializeToString())
    return path
