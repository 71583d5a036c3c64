"""Graph networks as exporters spell them: agreement with ONNX Runtime, what is recognised, and bad graphs."""

from __future__ import annotations

import os
import pathlib

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

import executable
from gnn import graph_models
from models.agreement import assert_agreement, largest_error

TOLERANCE = 1e-5
GRAPHS = int(os.environ.get("SPARSE_RUN_TEST_GRAPHS", "500"))
FEATURES = 20


def saved(model: onnx.ModelProto, folder: pathlib.Path) -> pathlib.Path:
    onnx.checker.check_model(model)
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


def graph_of(random: np.random.Generator, kind: str) -> tuple[int, np.ndarray]:
    """Number of nodes and edges [2, count] of one kind of graph."""
    nodes = int(random.integers(2, 120))
    if kind == "power law":
        return nodes, graph_models.power_law_edges(random, nodes, int(random.integers(1, 900)))
    if kind == "empty":
        return nodes, np.zeros((2, 0), np.int64)
    if kind == "one node":
        return 1, np.zeros((2, int(random.integers(0, 6))), np.int64)
    edges = random.integers(0, nodes, (2, int(random.integers(1, 300))))
    if kind == "self loops":
        edges[1, ::2] = edges[0, ::2]
    if kind == "duplicates":
        edges = np.repeat(edges, 3, axis=1)
    if kind == "sorted":
        edges = edges[:, np.argsort(edges[1], kind="stable")]
    return nodes, edges.astype(np.int64)


KINDS = ["power law", "empty", "one node", "self loops", "duplicates", "sorted"]


def inputs_for(name: str, random: np.random.Generator, nodes: int, edges: np.ndarray) -> dict[str, np.ndarray]:
    inputs = {"x": random.standard_normal((nodes, FEATURES)).astype(np.float32), "edge_index": edges}
    if name == "tag":
        inputs["edge_weight"] = random.uniform(0.1, 1, edges.shape[1]).astype(np.float32)
    return inputs


@pytest.mark.parametrize("spelling", graph_models.SPELLINGS)
@pytest.mark.parametrize("name", graph_models.MODELS)
def test_networks_agree_in_every_spelling_and_nothing_is_scattered(name, spelling, tmp_path):
    random = np.random.default_rng(7)
    nodes, edges = 300, graph_models.power_law_edges(np.random.default_rng(3), 300, 2500)
    model = saved(graph_models.MODELS[name]([FEATURES, 16, 5], graph_models.SPELLINGS[spelling]), tmp_path)
    assert_agreement(model, inputs_for(name, random, nodes, edges), tmp_path, TOLERANCE)
    dims = ["--dim", "nodes=300", "--dim", "edges=2500"]
    explained = executable.run("--explain", "--dry-run", *dims, model)
    assert explained.exit_code == executable.OK, explained.describe()
    kernels = [line.split() for line in explained.stdout.splitlines()]
    assert any("cpu.aggregate.csr.f32" in words and "SparseAggregate" in words for words in kernels)
    assert not any(words[1:2] in (["ScatterElements"], ["ScatterND"]) for words in kernels)


@pytest.mark.slow
def test_random_graphs_agree(tmp_path):
    seed = int(np.random.default_rng().integers(2**32))
    print(f"seed {seed}")
    random = np.random.default_rng(seed)
    models = {}
    worst = 0.0
    for i in range(GRAPHS):
        name = list(graph_models.MODELS)[i % len(graph_models.MODELS)]
        spelling = list(graph_models.SPELLINGS)[int(random.integers(len(graph_models.SPELLINGS)))]
        if (name, spelling) not in models:
            folder = tmp_path / f"{name}_{spelling}"
            folder.mkdir()
            path = saved(graph_models.MODELS[name]([FEATURES, 16, 5], graph_models.SPELLINGS[spelling]), folder)
            models[name, spelling] = path, onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        path, session = models[name, spelling]
        kind = KINDS[int(random.integers(len(KINDS)))]
        inputs = inputs_for(name, random, *graph_of(random, kind))
        expected = session.run(None, inputs)[0]
        np.savez(tmp_path / "inputs.npz", **inputs)
        result = executable.run(path, "--input", tmp_path / "inputs.npz", "--output", tmp_path / "y.npz", "--threads", 2)
        assert result.exit_code == executable.OK, f"graph {i}, {name} {spelling} {kind}: {result.describe()}"
        with np.load(tmp_path / "y.npz") as produced:
            error = largest_error(produced["y"], expected)
        assert error <= TOLERANCE, f"graph {i}, {name} {spelling} {kind}: {error:.1e}"
        worst = max(worst, error)
    print(f"{GRAPHS} graphs: largest relative error {worst:.1e}")


def test_passes_switched_off_give_the_same(tmp_path):
    random = np.random.default_rng(5)
    model = saved(graph_models.gat([FEATURES, 16, 5], graph_models.SPELLINGS["script"]), tmp_path)
    inputs = inputs_for("gat", random, *graph_of(random, "power law"))
    assert_agreement(model, inputs, tmp_path, TOLERANCE, "--disable-pass", "recognise-aggregate")


def test_what_is_not_recognised_runs_and_is_explained(tmp_path):
    w = graph_models.Writer(0)
    m = graph_models.Messages(w, graph_models.SPELLINGS["script"])
    product = m.scatter(m.gather("x", m.source), [FEATURES], "mul", 1.0)
    model = saved(w.model(graph_models.inputs_of(FEATURES), product, ["nodes", FEATURES]), tmp_path)
    random = np.random.default_rng(5)
    assert_agreement(model, inputs_for("gin", random, *graph_of(random, "duplicates")), tmp_path, TOLERANCE)
    explained = executable.run("--explain", "--dry-run", "--dim", "nodes=9", "--dim", "edges=20", model)
    assert "its reduction is mul" in explained.stdout, explained.describe()


def test_self_loops_removed_and_added_again(tmp_path):
    """add_remaining_self_loops: how many edges are left depends on the edges."""
    w = graph_models.Writer(0)
    m = graph_models.Messages(w, graph_models.SPELLINGS["script"])
    kept = w.op("NonZero", w.op("Not", w.op("Equal", m.source, m.target)))
    kept = w.op("Reshape", kept, w.constant([-1]))
    m.source, m.target = m.gather(m.source, kept), m.gather(m.target, kept)
    m.with_self_loops()
    norm = m.symmetric_norm()
    x = m.scatter(w.op("Mul", m.column(norm), m.gather("x", m.source)), [FEATURES])
    model = saved(w.model(graph_models.inputs_of(FEATURES), w.op("Relu", x), ["nodes", FEATURES]), tmp_path)
    random = np.random.default_rng(6)
    assert_agreement(model, inputs_for("gcn", random, *graph_of(random, "self loops")), tmp_path, TOLERANCE)


def sage_model(folder: pathlib.Path) -> pathlib.Path:
    return saved(graph_models.sage([FEATURES, 4], graph_models.SPELLINGS["script"]), folder)


def run_on(model: pathlib.Path, folder: pathlib.Path, **inputs: np.ndarray) -> executable.Result:
    np.savez(folder / "inputs.npz", **inputs)
    return executable.run(model, "--input", folder / "inputs.npz", "--output", folder / "y.npz", "--threads", 2)


def test_negative_ends_count_from_the_last_node(tmp_path):
    random = np.random.default_rng(2)
    nodes, edges = graph_of(random, "duplicates")
    edges[:, ::2] -= nodes
    assert_agreement(sage_model(tmp_path), inputs_for("sage", random, nodes, edges), tmp_path, TOLERANCE)


@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize("bad", [10, -11, 2**40, -(2**63)])
def test_ends_out_of_range_are_refused(bad, end, tmp_path):
    edges = np.zeros((2, 5), np.int64)
    edges[end, 3] = bad
    result = run_on(sage_model(tmp_path), tmp_path, x=np.zeros((10, FEATURES), np.float32), edge_index=edges)
    assert result.exit_code not in (executable.OK, executable.INTERNAL) and result.exit_code > 0, result.describe()
    assert f"index {bad} is outside [-10, 10)" in result.stderr


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_edges_of_another_type_are_refused(dtype, tmp_path):
    x = np.zeros((10, FEATURES), np.float32)
    result = run_on(sage_model(tmp_path), tmp_path, x=x, edge_index=np.zeros((2, 5), dtype))
    assert result.exit_code not in (executable.OK, executable.INTERNAL) and result.exit_code > 0, result.describe()
    assert "edge_index" in result.stderr


@pytest.mark.parametrize("edges", [2**31 + 1, 5 * 10**9, 2**40, 2**62])
def test_more_edges_than_memory_holds_are_refused(edges, tmp_path):
    result = executable.run(sage_model(tmp_path), "--dim", "nodes=10", "--dim", f"edges={edges}", "--memory-limit", "cpu=1GiB")
    assert result.exit_code == executable.LIMIT, result.describe()


def test_counts_of_edges_and_weights_that_differ_are_refused(tmp_path):
    model = saved(graph_models.tag([FEATURES, 4], graph_models.SPELLINGS["script"]), tmp_path)
    x = np.zeros((10, FEATURES), np.float32)
    result = run_on(model, tmp_path, x=x, edge_index=np.zeros((2, 5), np.int64), edge_weight=np.zeros(4, np.float32))
    assert result.exit_code not in (executable.OK, executable.INTERNAL) and result.exit_code > 0, result.describe()


@pytest.mark.parametrize("nodes, edges", [(0, 0), (5, 0), (0, 3)])
def test_graphs_without_nodes_or_edges(nodes, edges, tmp_path):
    x = np.zeros((nodes, FEATURES), np.float32)
    result = run_on(sage_model(tmp_path), tmp_path, x=x, edge_index=np.zeros((2, edges), np.int64))
    if nodes == 0 and edges > 0:  # no end of an edge is in range
        assert result.exit_code not in (executable.OK, executable.INTERNAL) and result.exit_code > 0, result.describe()
        return
    assert result.exit_code == executable.OK, result.describe()
    with np.load(tmp_path / "y.npz") as produced:
        assert produced["y"].shape == (nodes, 4)


def test_a_constant_sparse_adjacency(tmp_path):
    random = np.random.default_rng(4)
    places = np.sort(random.choice(30 * 30, 80, replace=False)).astype(np.int64)
    values = random.standard_normal(80).astype(np.float32)
    sparse = onnx.helper.make_sparse_tensor(
        onnx.numpy_helper.from_array(values, "a"), onnx.numpy_helper.from_array(places, "a_places"), [30, 30]
    )
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["a", "x"], ["y"])],
        "adjacency",
        [onnx.helper.make_tensor_value_info("x", TensorProto.FLOAT, [30, 7])],
        [onnx.helper.make_tensor_value_info("y", TensorProto.FLOAT, [30, 7])],
        sparse_initializer=[sparse],
    )
    model = tmp_path / "model.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9), model)
    x = random.standard_normal((30, 7)).astype(np.float32)
    result = run_on(model, tmp_path, x=x)
    assert result.exit_code == executable.OK, result.describe()
    dense = np.zeros(900, np.float32)
    dense[places] = values
    with np.load(tmp_path / "y.npz") as produced:
        assert largest_error(produced["y"], dense.reshape(30, 30) @ x) <= TOLERANCE
