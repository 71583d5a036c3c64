"""Sequences among planned memory: what they hold stays what it was, whatever happens to the memory it came from."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

import executable
from cli import small_models
from cli.refusal import run_quietly
from cli.small_models import save


@pytest.mark.parametrize("activation_is_output", [True, False])
def test_elements_survive_a_kernel_that_works_in_place(tmp_path, activation_is_output):
    # Tanh may overwrite h, whose last reader it is; the sequence was made of h before.
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["h"], name="first"),
        helper.make_node("SequenceConstruct", ["h", "h"], ["s"], name="collect"),
        helper.make_node("Tanh", ["h"], ["t"], name="second"),
        helper.make_node("Identity" if activation_is_output else "Softsign", ["t"], ["y"], name="third"),
        helper.make_node("ConcatFromSequence", ["s"], ["z"], name="join", axis=0),
    ]
    made = small_models.model(
        nodes, [small_models.tensor("x", [2, 3])],
        [small_models.tensor("y", [2, 3]), small_models.tensor("z", [4, 3])],
    )
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "x.npy", x)
    result = run_quietly(save(made, tmp_path), "--input", f"x={tmp_path / 'x.npy'}", "--output", tmp_path / "out.npz")
    assert result.exit_code == executable.OK, result.describe()
    h = 1 / (1 + np.exp(-x))
    t = np.tanh(h)
    produced = np.load(tmp_path / "out.npz")
    np.testing.assert_allclose(produced["z"], np.concatenate([h, h]), rtol=1e-6)
    np.testing.assert_allclose(produced["y"], t if activation_is_output else t / (1 + t), rtol=1e-6)
