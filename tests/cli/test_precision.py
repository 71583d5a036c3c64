"""--precision: what is allowed, what is used, and what it does to results."""

from __future__ import annotations

import json

import numpy as np
import pytest
from onnx import helper

import executable
from cli.refusal import assert_refused, run_quietly
from cli.small_models import initializer, model, save, tensor

FEATURES = 256


@pytest.fixture
def network(tmp_path):
    """Two products of 64 rows with dense weights of variance 1 / features."""
    random = np.random.default_rng(3)
    weights = [random.standard_normal((FEATURES, FEATURES)).astype(np.float32) / 16 for _ in range(2)]
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("MatMul", ["b", "w1"], ["y"], name="second"),
    ]
    constants = [initializer(f"w{i}", w) for i, w in enumerate(weights)]
    return save(model(nodes, [tensor("x", [64, FEATURES])], [tensor("y", [64, FEATURES])], constants), tmp_path)


def report(path, *options) -> tuple[dict, str]:
    found = executable.run(path, "--json", "-", *options)
    assert found.exit_code == executable.OK, found.describe()
    return json.loads(found.stdout), found.stderr


def test_f32_is_the_default_and_uses_nothing_lower(network):
    told, _ = report(network)
    assert told["precision"] == "f32"
    assert not any("bf16" in layer["kernel"] for layer in told["layers"])


def test_bf16_changes_results_within_its_rounding_and_is_named(network, tmp_path):
    told, said = report(network, "--precision", "bf16", "--output", tmp_path / "bf16.npz")
    assert told["precision"] == "bf16"
    used = any("bf16" in layer["kernel"] for layer in told["layers"])
    assert used != ("multiply no bf16" in said)
    report(network, "--output", tmp_path / "f32.npz")
    low, full = (np.load(tmp_path / f"{name}.npz")["y"] for name in ("bf16", "f32"))
    error = np.abs(low - full).max() / np.abs(full).max()
    assert (0 < error if used else error == 0) and error < 2**-6


def test_profile_says_that_less_than_f32_was_allowed(network):
    found = executable.run(network, "--precision", "bf16", "--profile")
    assert found.exit_code == executable.OK, found.describe()
    assert "precision bf16 was allowed" in found.stdout


def test_tf32_is_computed_in_f32_and_said_so(network, tmp_path):
    _, said = report(network, "--precision", "tf32", "--output", tmp_path / "tf32.npz")
    assert "computed in f32" in said
    report(network, "--output", tmp_path / "f32.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "tf32.npz")["y"], np.load(tmp_path / "f32.npz")["y"])


def test_f16_is_refused_by_name_where_only_the_cpu_computes(network):
    assert_refused(run_quietly(network, "--devices", "cpu", "--precision", "f16"), executable.UNSUPPORTED, "f16")


def test_other_precisions_are_a_mistake_of_the_call(network):
    assert_refused(run_quietly(network, "--precision", "int4"), executable.USAGE, "--precision")


def test_without_bf16_instructions_it_is_computed_in_f32_and_said_so(network):
    found = executable.run(network, "--precision", "bf16", "--json", "-", env={"SPARSE_RUN_ISA": "portable"})
    assert found.exit_code == executable.OK, found.describe()
    assert "multiply no bf16" in found.stderr
    assert not any("bf16" in layer["kernel"] for layer in json.loads(found.stdout)["layers"])
