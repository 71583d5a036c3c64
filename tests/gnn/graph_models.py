"""Graph neural networks as ONNX models, spelled the way exporters of PyTorch Geometric's layers spell them."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 18


class Writer:
    """Collects nodes; every method returns the name of what it adds."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(seed)

    def op(self, name: str, *inputs: str, outputs: int = 1, **attributes: object) -> str:
        results = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(name, list(inputs), results, **attributes))
        return results[0]

    def constant(self, value: object, dtype: type = np.int64) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def weight(self, *shape: int) -> str:
        scale = 1.0 / np.sqrt(shape[-1])
        return self.constant(self.random.uniform(-scale, scale, shape), np.float32)

    def number(self, value: float) -> str:
        return self.constant(value, np.float32)

    def linear(self, x: str, inputs: int, outputs: int, bias: bool = True) -> str:
        """torch.nn.Linear over a matrix."""
        operands = [x, self.weight(outputs, inputs)] + ([self.weight(outputs)] if bias else [])
        return self.op("Gemm", *operands, transB=1)

    def model(self, inputs: list[tuple], output: str, classes: list) -> onnx.ModelProto:
        self.nodes.append(helper.make_node("Identity", [output], ["y"]))
        graph = helper.make_graph(
            self.nodes,
            "graph_network",
            [helper.make_tensor_value_info(*one) for one in inputs],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, classes)],
            self.initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 9
        return model


@dataclasses.dataclass
class Spelling:
    """How one exporter or author writes gathering and scattering."""

    scatter: str = "elements"  # or "nd"
    index: str = "expand"  # "expand" by a computed shape, "reshape" then Expand, "tile"
    ends: str = "gather"  # how edge_index is taken apart: "gather", "split", "slice"


SPELLINGS = {
    "script": Spelling(),
    "dynamo": Spelling(index="reshape", ends="gather"),
    "hand": Spelling(scatter="nd", ends="split"),
    "slices": Spelling(index="tile", ends="slice"),
}


class Messages:
    """What torch_geometric.nn.MessagePassing does, in one spelling."""

    def __init__(self, w: Writer, spelling: Spelling, edge_index: str = "edge_index", nodes_of: str = "x") -> None:
        self.w, self.spelling = w, spelling
        self.node_count = w.op("Gather", w.op("Shape", nodes_of), w.constant([0]), axis=0)  # [1]
        self.source, self.target = self.ends(edge_index)

    def ends(self, edge_index: str) -> tuple[str, str]:
        w = self.w
        if self.spelling.ends == "gather":
            return w.op("Gather", edge_index, w.constant(0), axis=0), w.op("Gather", edge_index, w.constant(1), axis=0)
        if self.spelling.ends == "split":
            w.nodes.append(helper.make_node("Split", [edge_index], ["source_row", "target_row"], axis=0, num_outputs=2))
            flat = w.constant([-1])
            return w.op("Reshape", "source_row", flat), w.op("Reshape", "target_row", flat)
        parts = []
        for i in (0, 1):
            part = w.op("Slice", edge_index, w.constant([i]), w.constant([i + 1]), w.constant([0]))
            parts.append(w.op("Squeeze", part, w.constant([0])))
        return parts[0], parts[1]

    def with_self_loops(self) -> None:
        """add_self_loops: one edge from every node to itself at the end of the list."""
        w = self.w
        count = w.op("Squeeze", self.node_count, w.constant([0]))
        loops = w.op("Range", w.constant(0), count, w.constant(1))
        self.source = w.op("Concat", self.source, loops, axis=0)
        self.target = w.op("Concat", self.target, loops, axis=0)

    def gather(self, x: str, index: str) -> str:
        return self.w.op("Gather", x, index, axis=0)

    def column(self, x: str) -> str:
        return self.w.op("Unsqueeze", x, self.w.constant([1]))

    def fill(self, shape: str, value: float) -> str:
        return self.w.op("ConstantOfShape", shape, value=helper.make_tensor("value", TensorProto.FLOAT, [1], [value]))

    def scatter(self, messages: str, width: list[int], reduction: str = "add", initial: float = 0.0) -> str:
        """messages: [edges] + width, to [nodes] + width."""
        w = self.w
        shape = w.op("Concat", self.node_count, w.constant(width), axis=0) if width else self.node_count
        zeros = self.fill(shape, initial)
        if self.spelling.scatter == "nd":
            return w.op("ScatterND", zeros, self.column(self.target), messages, reduction=reduction)
        index = self.target
        if width:
            ones = [1] * len(width)
            if self.spelling.index == "tile":
                index = w.op("Tile", w.op("Reshape", index, w.constant([-1] + ones)), w.constant([1] + width))
            else:
                if self.spelling.index == "reshape":
                    index = w.op("Reshape", index, w.constant([-1] + ones))
                else:
                    index = w.op("Unsqueeze", index, w.constant(list(range(1, 1 + len(width)))))
                index = w.op("Expand", index, w.op("Shape", messages))
        return w.op("ScatterElements", zeros, index, messages, axis=0, reduction=reduction)

    def ones_per_edge(self) -> str:
        return self.fill(self.w.op("Shape", self.target), 1.0)

    def mean(self, messages: str, width: int) -> str:
        """Sum ÷ count, the count at least 1 and expanded to the sum's shape as scatter() does."""
        w = self.w
        total = self.scatter(messages, [width])
        count = w.op("Clip", self.scatter(self.ones_per_edge(), []), w.number(1.0), "")
        return w.op("Div", total, w.op("Expand", self.column(count), w.op("Shape", total)))

    def symmetric_norm(self, weight: str | None = None) -> str:
        """gcn_norm: deg(source)^-1/2 · weight · deg(target)^-1/2, per edge."""
        w = self.w
        weight = weight or self.ones_per_edge()
        degree = self.scatter(weight, [])
        inverse = w.op("Pow", degree, w.number(-0.5))
        infinite = w.op("IsInf", inverse)
        inverse = w.op("Where", infinite, w.number(0.0), inverse)
        left = w.op("Mul", self.gather(inverse, self.source), weight)
        return w.op("Mul", left, self.gather(inverse, self.target))


def inputs_of(features: int, weighted: bool = False) -> list[tuple]:
    inputs = [("x", TensorProto.FLOAT, ["nodes", features]), ("edge_index", TensorProto.INT64, [2, "edges"])]
    return inputs + ([("edge_weight", TensorProto.FLOAT, ["edges"])] if weighted else [])


def gcn(sizes: list[int], spelling: Spelling, seed: int = 0) -> onnx.ModelProto:
    w = Writer(seed)
    m = Messages(w, spelling)
    m.with_self_loops()
    norm = m.symmetric_norm()
    x = "x"
    for layer, (a, b) in enumerate(zip(sizes, sizes[1:])):
        x = w.linear(x, a, b, bias=False)
        x = m.scatter(w.op("Mul", m.column(norm), m.gather(x, m.source)), [b])
        x = w.op("Add", x, w.weight(b))
        if layer + 2 < len(sizes):
            x = w.op("Relu", x)
    return w.model(inputs_of(sizes[0]), x, ["nodes", sizes[-1]])


def sage(sizes: list[int], spelling: Spelling, seed: int = 0, aggregation: str = "mean") -> onnx.ModelProto:
    w = Writer(seed)
    m = Messages(w, spelling)
    x = "x"
    for layer, (a, b) in enumerate(zip(sizes, sizes[1:])):
        messages = m.gather(x, m.source)
        gathered = m.mean(messages, a) if aggregation == "mean" else m.scatter(messages, [a], aggregation)
        x = w.op("Add", w.linear(gathered, a, b), w.linear(x, a, b, bias=False))
        if layer + 2 < len(sizes):
            x = w.op("Relu", x)
    return w.model(inputs_of(sizes[0]), x, ["nodes", sizes[-1]])


def gin(sizes: list[int], spelling: Spelling, seed: int = 0) -> onnx.ModelProto:
    w = Writer(seed)
    m = Messages(w, spelling)
    x = "x"
    for layer, (a, b) in enumerate(zip(sizes, sizes[1:])):
        total = m.scatter(m.gather(x, m.source), [a])
        x = w.op("Add", total, w.op("Mul", w.number(1.1), x))
        x = w.op("Relu", w.linear(x, a, b))
        x = w.linear(x, b, b)
        if layer + 2 < len(sizes):
            x = w.op("Relu", x)
    return w.model(inputs_of(sizes[0]), x, ["nodes", sizes[-1]])


def gat(sizes: list[int], spelling: Spelling, seed: int = 0, heads: int = 4) -> onnx.ModelProto:
    """GATConv: softmax over the edges of a target, spelled as scatter-max, exp, scatter-add and division."""
    w = Writer(seed)
    m = Messages(w, spelling)
    m.with_self_loops()
    x = "x"
    for layer, (a, b) in enumerate(zip(sizes, sizes[1:])):
        last = layer + 2 == len(sizes)
        h = 1 if last else heads
        c = b if last else b // heads
        x = w.op("Reshape", w.linear(x, a, h * c, bias=False), w.constant([-1, h, c]))
        scores = []
        for index in (m.source, m.target):
            score = w.op("ReduceSum", w.op("Mul", x, w.weight(1, h, c)), w.constant([-1]), keepdims=0)
            scores.append(m.gather(score, index))
        alpha = w.op("LeakyRelu", w.op("Add", *scores), alpha=0.2)
        largest = m.scatter(alpha, [h], "max", -3.4e38)
        alpha = w.op("Exp", w.op("Sub", alpha, m.gather(largest, m.target)))
        total = w.op("Add", m.scatter(alpha, [h]), w.number(1e-16))
        alpha = w.op("Div", alpha, m.gather(total, m.target))
        messages = w.op("Mul", w.op("Unsqueeze", alpha, w.constant([-1])), m.gather(x, m.source))
        x = w.op("Reshape", m.scatter(messages, [h, c]), w.constant([-1, h * c]))
        x = w.op("Add", x, w.weight(h * c))
        if not last:
            x = w.op("Relu", x)
    return w.model(inputs_of(sizes[0]), x, ["nodes", sizes[-1]])


def tag(sizes: list[int], spelling: Spelling, seed: int = 0, hops: int = 3) -> onnx.ModelProto:
    """TAGConv: a sum over powers of the normalised adjacency, with weights on the edges."""
    w = Writer(seed)
    m = Messages(w, spelling)
    norm = m.symmetric_norm("edge_weight")
    x = "x"
    for layer, (a, b) in enumerate(zip(sizes, sizes[1:])):
        total = w.linear(x, a, b, bias=False)
        for _ in range(hops):
            x = m.scatter(w.op("Mul", m.column(norm), m.gather(x, m.source)), [a])
            total = w.op("Add", total, w.linear(x, a, b, bias=False))
        x = w.op("Add", total, w.weight(b))
        if layer + 2 < len(sizes):
            x = w.op("Relu", x)
    return w.model(inputs_of(sizes[0], weighted=True), x, ["nodes", sizes[-1]])


def pna(sizes: list[int], spelling: Spelling, seed: int = 0) -> onnx.ModelProto:
    """PNAConv without towers: mean, max, min and sum of a network over both ends of an edge, scaled by the degree."""
    w = Writer(seed)
    m = Messages(w, spelling)
    degree = w.op("Clip", m.scatter(m.ones_per_edge(), []), w.number(1.0), "")
    scale = m.column(w.op("Div", w.op("Log", w.op("Add", degree, w.number(1.0))), w.number(1.7)))
    x = "x"
    for layer, (a, b) in enumerate(zip(sizes, sizes[1:])):
        pair = w.op("Concat", m.gather(x, m.target), m.gather(x, m.source), axis=-1)
        messages = w.linear(pair, 2 * a, a)
        mean = m.mean(messages, a)
        parts = [mean, m.scatter(messages, [a]), m.scatter(messages, [a], "max"), m.scatter(messages, [a], "min")]
        total = w.op("Concat", *parts, axis=-1)
        scaled = [total, w.op("Mul", total, scale), w.op("Div", total, scale)]
        x = w.linear(w.op("Concat", x, *scaled, axis=-1), 13 * a, b)
        if layer + 2 < len(sizes):
            x = w.op("Relu", x)
    return w.model(inputs_of(sizes[0]), x, ["nodes", sizes[-1]])


MODELS = {"gcn": gcn, "sage": sage, "gin": gin, "gat": gat, "tag": tag, "pna": pna}


def power_law_edges(random: np.random.Generator, nodes: int, edges: int, exponent: float = 0.8) -> np.ndarray:
    """[2, edges]: both ends drawn with probability ∝ rank^-exponent, ranks shuffled among the nodes."""
    weights = np.arange(1, nodes + 1, dtype=np.float64) ** -exponent
    cumulative = np.cumsum(weights / weights.sum())
    cumulative[-1] = 1.0
    drawn = np.searchsorted(cumulative, random.random((2, edges)), side="right")
    return random.permutation(nodes)[np.minimum(drawn, nodes - 1)].astype(np.int64)
