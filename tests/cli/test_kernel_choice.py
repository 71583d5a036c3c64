"""How kernels are chosen: the same results whatever runs, timings that are kept and distrusted, explanations."""

from __future__ import annotations

import json
import os

import numpy as np
import onnx
import pytest
from onnx import helper

import executable
from cli.refusal import assert_refused, run_quietly
from cli.small_models import initializer, model, save, tensor

ISAS = ("portable", "avx2", "avx512")


def pruned(shape, zeros: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.standard_normal(shape) * (random.random(shape) >= zeros)).astype(np.float32)


def network(zeros: float) -> onnx.ModelProto:
    """Two convolutions, then a product with many rows and one with few."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["a"], name="conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], name="relu1"),
        helper.make_node("Conv", ["b", "w2"], ["c"], name="conv2", strides=[2, 2]),
        helper.make_node("Reshape", ["c", "rows"], ["d"], name="as_rows"),
        helper.make_node("MatMul", ["d", "w3"], ["e"], name="product"),
        helper.make_node("ReduceSum", ["e", "axis"], ["f"], name="sum", keepdims=0),
        helper.make_node("MatMul", ["f", "w4"], ["y"], name="few_rows"),
    ]
    constants = [
        initializer("w1", pruned((32, 8, 3, 3), zeros, 1)),
        initializer("b1", pruned((32,), 0, 2)),
        initializer("w2", pruned((64, 32, 3, 3), zeros, 3)),
        initializer("rows", np.array([2, -1, 64], np.int64)),
        initializer("axis", np.array([1], np.int64)),
        initializer("w3", pruned((64, 100), zeros, 4)),
        initializer("w4", pruned((100, 10), zeros, 5)),
    ]
    return model(nodes, [tensor("x", [2, 8, 21, 21])], [tensor("y", [2, 10])], constants)


@pytest.mark.parametrize("zeros", [0.0, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set_gives_the_same_results(tmp_path, zeros, isa):
    path = save(network(zeros), tmp_path)
    reference = run_quietly(path, "--output", tmp_path / "r.npz", env={"SPARSE_RUN_ISA": "portable"})
    assert reference.exit_code == executable.OK, reference.describe()
    found = run_quietly(path, "--expect", tmp_path / "r.npz", "--kernel-timing", 0.5, env={"SPARSE_RUN_ISA": isa})
    if isa != "portable" and "processor" in found.complaint:
        pytest.skip(f"this processor has no {isa}")
    assert found.exit_code == executable.OK, found.describe()


def unusual_layers(batch: int, unusual: float) -> onnx.ModelProto:
    """Layers side by side, pruned, with empty channels on both sides and `unusual` among the weights of a few others."""
    weights = {
        "w3x3": pruned((40, 8, 3, 3), 0.9, 1),
        "w1x1": pruned((40, 8, 1, 1), 0.8, 2),
        "w_one": pruned((1, 8, 3, 3), 0.9, 3),
        "w_rows": pruned((64, 50), 0.9, 4),
    }
    for name in ("w3x3", "w1x1"):
        weights[name][5:9] = 0
        weights[name][:, 3] = 0
        weights[name][[2, 17], [1, 6]] = unusual
    weights["w_one"][0, 4, 1, 1] = unusual
    weights["w_rows"][:, 7] = 0
    weights["w_rows"][11] = 0
    weights["w_rows"][[3, 60], [2, 49]] = unusual
    side = 16
    nodes = [
        helper.make_node("Conv", ["x", "w3x3"], ["a"], name="spatial"),
        helper.make_node("Conv", ["x", "w1x1"], ["b"], name="pointwise"),
        helper.make_node("Conv", ["x", "w_one"], ["c"], name="one_channel"),
        helper.make_node("MatMul", ["r", "w_rows"], ["d"], name="product"),
    ]
    inputs = [tensor("x", [batch, 8, side, side]), tensor("r", [batch, 64])]
    outputs = [
        tensor("a", [batch, 40, side - 2, side - 2]),
        tensor("b", [batch, 40, side, side]),
        tensor("c", [batch, 1, side - 2, side - 2]),
        tensor("d", [batch, 50]),
    ]
    return model(nodes, inputs, outputs, [initializer(name, value) for name, value in weights.items()])


@pytest.mark.parametrize("unusual", [np.nan, np.inf, -np.inf, 1e-41], ids=str)
@pytest.mark.parametrize("batch", [0, 1, 3, 16])
@pytest.mark.parametrize("isa", ISAS)
def test_unusual_weights_give_what_the_reference_gives(tmp_path, isa, batch, unusual):
    path = save(unusual_layers(batch, unusual), tmp_path)
    reference = run_quietly(path, "--pin", ".*=cpu/cpu.reference", "--output", tmp_path / "r.npz", "--columns", "off")
    assert reference.exit_code == executable.OK, reference.describe()
    found = run_quietly(path, "--expect", tmp_path / "r.npz", env={"SPARSE_RUN_ISA": isa})
    assert found.exit_code == executable.OK, found.describe()


def explained(path, *options) -> dict[str, dict]:
    result = run_quietly(path, "--dry-run", "--json", "-", *options)
    assert result.exit_code == executable.OK, result.describe()
    layers = json.loads(result.stdout)["layers"]
    for layer in layers:  # what follows a semicolon says how the layer shares its work
        layer["choice"] = layer["choice"].split(";")[0]
    return {layer["name"]: layer for layer in layers}


def test_timings_are_kept_for_the_next_start(tmp_path):
    path, cache = save(network(0.9), tmp_path), tmp_path / "cache"
    first = explained(path, "--kernel-timing", 5, "--cache-dir", cache)
    assert first["conv2"]["choice"] == "timed"
    (file,) = cache.iterdir()
    second = explained(path, "--kernel-timing", 5, "--cache-dir", cache)
    assert second["conv2"]["choice"] == "timed before"
    assert second["conv2"]["kernel"] == first["conv2"]["kernel"]
    assert [entry.name for entry in cache.iterdir()] == [file.name]


@pytest.mark.parametrize("content", [b"", b"\0" * 1000, b"zz 11 cpu.conv.column.f32 1\n", os.urandom(4096)])
def test_a_corrupt_file_of_timings_is_replaced(tmp_path, content):
    path, cache = save(network(0.9), tmp_path), tmp_path / "cache"
    explained(path, "--kernel-timing", 5, "--cache-dir", cache)
    (file,) = cache.iterdir()
    file.write_bytes(content)
    assert explained(path, "--kernel-timing", 5, "--cache-dir", cache)["conv2"]["choice"] == "timed"
    assert explained(path, "--kernel-timing", 5, "--cache-dir", cache)["conv2"]["choice"] == "timed before"


def test_a_cache_folder_that_cannot_be_written_does_not_matter(tmp_path):
    path = save(network(0.9), tmp_path)
    (tmp_path / "file").write_text("in the way")
    layers = explained(path, "--kernel-timing", 5, "--cache-dir", tmp_path / "file" / "below")
    assert layers["conv2"]["choice"] == "timed"


def test_the_cache_folder_follows_the_environment(tmp_path):
    path = save(network(0.9), tmp_path)
    place = tmp_path / "xdg"
    result = run_quietly(
        path, "--dry-run", env={"XDG_CACHE_HOME": str(place), "SPARSE_RUN_CACHE_DIR": "", "SPARSE_RUN_KERNEL_TIMING": "5"}
    )
    assert result.exit_code == executable.OK, result.describe()
    assert len(list((place / "sparse-run").iterdir())) == 1


def test_without_timing_the_choice_is_an_estimate_and_repeats(tmp_path):
    path = save(network(0.9), tmp_path)
    first, second = explained(path), explained(path)
    assert first["conv2"]["choice"] == "estimated"
    assert {name: layer["kernel"] for name, layer in first.items()} == {
        name: layer["kernel"] for name, layer in second.items()
    }


@pytest.mark.parametrize("value", ["-1", "soon", "1e9"])
def test_impossible_budgets_are_refused(tmp_path, value):
    path = save(network(0.9), tmp_path)
    assert_refused(run_quietly(path, "--kernel-timing", value), executable.USAGE, "--kernel-timing")


def test_explain_says_what_competed_and_where_zeros_begin_to_pay(tmp_path):
    result = run_quietly(save(network(0.9), tmp_path), "--explain", "--dry-run", "--kernel-timing", 5)
    assert result.exit_code == executable.OK, result.describe()
    (line,) = [line for line in result.stdout.splitlines() if line.strip().startswith("conv2: timed")]
    assert "cpu.conv.sparse_column.f32" in line and "cpu.conv.column.f32" in line
    assert "zeros pay from" in line


def sparse_initializer(name: str, dense: np.ndarray) -> onnx.SparseTensorProto:
    positions = np.flatnonzero(dense)
    sparse = onnx.SparseTensorProto(dims=dense.shape)
    sparse.values.CopyFrom(initializer(name, dense.ravel()[positions]))
    sparse.indices.CopyFrom(initializer(name + "_indices", positions.astype(np.int64)))
    return sparse


def test_sparse_initializers_of_convolutions_and_products_run_sparse_kernels(tmp_path):
    made = network(0.9)
    dense = {entry.name: onnx.numpy_helper.to_array(entry) for entry in made.graph.initializer}
    save(made, tmp_path, "dense.onnx")
    for name in ("w1", "w2", "w3", "w4"):
        made.graph.initializer.remove(next(entry for entry in made.graph.initializer if entry.name == name))
        made.graph.sparse_initializer.append(sparse_initializer(name, dense[name]))
    path = save(made, tmp_path)
    layers = explained(path)
    for name in ("conv1", "conv2", "product"):
        assert "sparse" in layers[name]["kernel"], layers[name]
    wanted = run_quietly(tmp_path / "dense.onnx", "--output", tmp_path / "dense.npz")
    assert wanted.exit_code == executable.OK, wanted.describe()
    found = run_quietly(path, "--expect", tmp_path / "dense.npz")
    assert found.exit_code == executable.OK, found.describe()


@pytest.mark.parametrize("left", [True, False])
def test_a_huge_sparse_matrix_is_never_made_dense(tmp_path, left):
    """100 000 × 100 000 with a million entries times a block of eight vectors: 40 GB when dense."""
    side, entries, width = 100_000, 1_000_000, 8
    random = np.random.default_rng(7)
    positions = np.unique(random.integers(0, side * side, entries + 1000))[:entries]
    values = random.standard_normal(positions.size).astype(np.float32)
    sparse = onnx.SparseTensorProto(dims=[side, side])
    sparse.values.CopyFrom(initializer("w", values))
    sparse.indices.CopyFrom(initializer("w_indices", positions.astype(np.int64)))
    x = random.standard_normal((side, width) if left else (width, side)).astype(np.float32)
    operands = ["w", "x"] if left else ["x", "w"]
    made = model([helper.make_node("MatMul", operands, ["y"], name="huge")], [tensor("x", x.shape)], [tensor("y", x.shape)])
    made.graph.sparse_initializer.append(sparse)
    path = save(made, tmp_path)
    np.save(tmp_path / "x.npy", x)
    rows, columns = np.divmod(positions, side)
    expected = np.zeros((side, width), np.float32)
    source, target, operand = (columns, rows, x) if left else (rows, columns, x.T)
    np.add.at(expected, target, values[:, None] * operand[source])
    np.savez(tmp_path / "y.npz", y=expected if left else expected.T)
    result = run_quietly(
        path, "--input", f"x={tmp_path / 'x.npy'}", "--expect", tmp_path / "y.npz", "--atol", 1e-4, "--json", "-",
        "--benchmark", "--iterations", 5, "--warmup", 0,
    )
    assert result.exit_code == executable.OK, result.describe()
    found = json.loads(result.stdout)
    assert found["layers"][0]["kernel"] != "cpu.reference"
    assert found["peak_rss_mb"] < 200


def test_the_doctor_says_whether_timings_can_be_kept(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for folder, verdict in ((tmp_path / "new", "ok"), (tmp_path / "file" / "below", "fix"), ("none", "note")):
        result = executable.run("--doctor", "--cache-dir", folder)
        assert result.exit_code == executable.OK, result.describe()
        (line,) = [line for line in result.stdout.splitlines() if "kernel timings" in line]
        assert line.split()[0] == verdict
