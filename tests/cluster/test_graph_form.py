"""Ranks that share the nodes of a graph: results of one process, exactly the rows that edges need, clear refusals."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest

import executable
from cluster import launch
from gnn import graph_models
from models.agreement import largest_error

pytestmark = launch.needs_mpi
NODES, EDGES, FEATURES = 400, 2400, 12
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """Inputs in files; negative ends among the edges."""
    folder = tmp_path_factory.mktemp("graph")
    random = np.random.default_rng(21)
    edges = graph_models.power_law_edges(random, NODES, EDGES)
    edges[:, ::5] -= NODES
    np.save(folder / "x.npy", random.standard_normal((NODES, FEATURES)).astype(np.float32))
    np.save(folder / "edges.npy", edges)
    np.save(folder / "weights.npy", random.uniform(0.1, 1, EDGES).astype(np.float32))
    return folder, edges % NODES


def saved(model: onnx.ModelProto, folder):
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


def arguments(folder, model, name: str) -> list:
    inputs = {"x": "x", "edge_index": "edges"} | ({"edge_weight": "weights"} if name == "tag" else {})
    given = [word for port, file in inputs.items() for word in ("--input", f"{port}={folder / file}.npy")]
    return [model, *given, "--threads", 1, "--kernel-timing", 0]


def table(stderr: str) -> list[dict[str, str]]:
    """The lines of the table of ranks by the names of its columns."""
    title = "sparse-run: ranks\n"
    lines = stderr[stderr.index(title) + len(title):].splitlines()
    names = re.split(r"\s{2,}", lines[0].strip())
    found = []
    for line in lines[1:]:
        if not line.strip():
            break
        found.append(dict(zip(names, re.split(r"\s{2,}", line.strip()))))
    return found


def output_of(path) -> np.ndarray:
    with np.load(path) as arrays:
        return arrays["y"]


@pytest.mark.parametrize("name", ["sage", "gcn", "gin", "gat", "tag", "pna"])
def test_ranks_agree_with_one_process(name, graph, tmp_path):
    folder, _ = graph
    model = saved(graph_models.MODELS[name]([FEATURES, 16, 5], graph_models.SPELLINGS["script"]), tmp_path)
    common = arguments(folder, model, name)
    alone = executable.run("-q", *common, "--output", tmp_path / "one.npz")
    assert alone.exit_code == executable.OK, alone.describe()
    for ranks in (1, 2, 4):
        for cut in ("auto", "ranges"):
            result = launch.run(
                ranks, *common, "--parallel", "graph", "--node-cut", cut, "--output", tmp_path / "out.npz"
            )
            assert result.exit_code == executable.OK, result.describe()
            error = largest_error(output_of(tmp_path / "out.npz"), output_of(tmp_path / "one.npz"))
            assert error <= TOLERANCE, f"{ranks} ranks, {cut}: {error:.1e}"


def owners_by_ranges(edges: np.ndarray, ranks: int) -> np.ndarray:
    """Rank r ends with the node at which nodes and edges into them reach (r + 1) / ranks of all."""
    weight = np.cumsum(1 + np.bincount(edges[1], minlength=NODES))
    before = np.concatenate([[0], weight[:-1]])
    owner = np.zeros(NODES, np.int64)
    for rank in range(1, ranks):
        owner[before * ranks >= weight[-1] * rank] = rank
    return owner


@pytest.mark.parametrize("ranks", [2, 4])
def test_bytes_sent_are_those_of_the_rows_that_edges_need(ranks, graph, tmp_path):
    folder, edges = graph
    model = saved(graph_models.sage([FEATURES, 16, 5], graph_models.SPELLINGS["script"]), tmp_path)
    common = arguments(folder, model, "sage")
    result = launch.run(
        ranks, *common, "--parallel", "graph", "--node-cut", "ranges", "--output", tmp_path / "out.npz"
    )
    assert result.exit_code == executable.OK, result.describe()
    owner = owners_by_ranges(edges, ranks)
    crossing = owner[edges[0]] != owner[edges[1]]
    pairs = np.unique(np.stack([edges[0][crossing], owner[edges[1][crossing]]]), axis=1)
    rows = np.bincount(owner[pairs[0]], minlength=ranks)
    *lines, total = table(result.stderr)
    assert total["rank"] == "all"
    assert int(total["halo rows"]) == 2 * rows.sum()
    assert [int(line["halo rows"]) for line in lines] == list(2 * rows)  # x, and what the first layer computes
    assert [int(line["halo bytes"]) for line in lines] == list(rows * (FEATURES + 16) * 4)


def test_a_network_of_sums_is_shared_by_itself(tmp_path):
    """By predicted time, so the graph has to be large enough for sums to take most of it."""
    random = np.random.default_rng(22)
    nodes = 10_000
    np.save(tmp_path / "x.npy", random.standard_normal((nodes, FEATURES)).astype(np.float32))
    np.save(tmp_path / "edges.npy", graph_models.power_law_edges(random, nodes, 200_000))
    model = saved(graph_models.sage([FEATURES, 16, 5], graph_models.SPELLINGS["script"]), tmp_path)
    result = launch.run(2, *arguments(tmp_path, model, "sage"), "--output", tmp_path / "out.npz")
    assert result.exit_code == executable.OK, result.describe()
    assert f"{nodes} nodes over 2 ranks" in result.stderr, result.stderr


def mixed_model(folder):
    """A sum of rows that a softmax over all nodes made of sums."""
    w = graph_models.Writer(0)
    m = graph_models.Messages(w, graph_models.SPELLINGS["script"])
    first = m.scatter(m.gather("x", m.source), [FEATURES])
    second = m.scatter(m.gather(w.op("Softmax", first, axis=0), m.source), [FEATURES])
    return saved(w.model(graph_models.inputs_of(FEATURES), second, ["nodes", FEATURES]), folder)


def test_a_model_that_mixes_nodes_is_refused_with_the_node_and_not_chosen_by_itself(graph, tmp_path):
    folder, _ = graph
    common = arguments(folder, mixed_model(tmp_path), "mixed")
    refused = launch.run(2, *common, "--parallel", "graph")
    assert refused.exit_code == executable.UNSUPPORTED, refused.describe()
    assert "Softmax" in refused.stderr and "mixes what belongs to different nodes" in refused.stderr
    alone = executable.run("-q", *common, "--output", tmp_path / "one.npz")
    assert alone.exit_code == executable.OK, alone.describe()
    chosen = launch.run(2, *common, "--output", tmp_path / "out.npz")
    assert chosen.exit_code == executable.OK, chosen.describe()
    assert largest_error(output_of(tmp_path / "out.npz"), output_of(tmp_path / "one.npz")) <= TOLERANCE


def test_a_job_of_small_requests_is_no_graph(graph, tmp_path):
    folder, _ = graph
    model = saved(graph_models.sage([FEATURES, 16, 5], graph_models.SPELLINGS["script"]), tmp_path)
    result = launch.run(2, *arguments(folder, model, "sage"), "--parallel", "graph", "--micro-batch", 50)
    assert result.exit_code == executable.USAGE, result.describe()
    assert "--micro-batch" in result.stderr


def test_ends_out_of_range_end_all_ranks(graph, tmp_path):
    folder, edges = graph
    bad = edges.copy()
    bad[0, 17] = NODES
    np.save(tmp_path / "edges.npy", bad)
    np.save(tmp_path / "x.npy", np.load(folder / "x.npy"))
    model = saved(graph_models.sage([FEATURES, 16, 5], graph_models.SPELLINGS["script"]), tmp_path)
    result = launch.run(2, *arguments(tmp_path, model, "sage"), "--parallel", "graph")
    assert result.exit_code not in (executable.OK, executable.INTERNAL, None), result.describe()
    assert f"index {NODES} is outside [-{NODES}, {NODES})" in result.stderr
