"""Weights beside the model: found where it stands, and never outside of its folder or its file."""

from __future__ import annotations

import os
import pathlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import executable
from cli.refusal import assert_refused, run_quietly
from cli.small_models import model, save, tensor

VALUES = np.array([1, 2, 3, 4], np.float32)


def external(location: str | None, offset: object = None, length: object = None) -> onnx.ModelProto:
    """y = x + w, with w [4] in a file."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            weight.external_data.add(key=key, value=str(value))
    node = helper.make_node("Add", ["x", "w"], ["y"], name="sum")
    return model([node], [tensor("x", [4])], [tensor("y", [4])], [weight])


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    """A model's folder that holds weights.bin, beside a secret outside of it."""
    inside = tmp_path / "model"
    inside.mkdir()
    (inside / "weights.bin").write_bytes(VALUES.tobytes())
    (tmp_path / "secret.bin").write_bytes(VALUES.tobytes())
    return inside


def assert_runs(made: onnx.ModelProto, folder: pathlib.Path) -> None:
    np.save(folder / "x.npy", np.zeros(4, np.float32))
    result = run_quietly(save(made, folder), "--input", f"x={folder / 'x.npy'}", "--output", folder / "out.npz")
    assert result.exit_code == executable.OK, result.describe()
    np.testing.assert_array_equal(np.load(folder / "out.npz")["y"], VALUES)


def test_whole_file(folder):
    assert_runs(external("weights.bin"), folder)


def test_part_of_a_file(folder):
    (folder / "weights.bin").write_bytes(bytes(64) + VALUES.tobytes() + bytes(8))
    assert_runs(external("weights.bin", offset=64, length=16), folder)


def test_subfolder(folder):
    (folder / "parts").mkdir()
    (folder / "weights.bin").rename(folder / "parts/w.bin")
    assert_runs(external("parts/w.bin"), folder)


@pytest.mark.parametrize("location", ["../secret.bin", "parts/../../secret.bin", "./../secret.bin", ".."])
def test_parent_folder_is_refused(folder, location):
    (folder / "parts").mkdir()
    assert_refused(run_quietly(save(external(location), folder)), executable.MODEL, "w")


def test_absolute_path_is_refused(folder):
    secret = folder.parent / "secret.bin"
    assert_refused(run_quietly(save(external(str(secret)), folder)), executable.MODEL, "w")
    assert_refused(run_quietly(save(external("/dev/zero"), folder), timeout=20), executable.MODEL, "w")


def test_symbolic_link_out_of_the_folder_is_refused(folder):
    (folder / "link.bin").symlink_to(folder.parent / "secret.bin")
    assert_refused(run_quietly(save(external("link.bin"), folder)), executable.MODEL, "w")


def test_symbolic_link_of_a_folder_is_refused(folder):
    (folder / "parts").symlink_to(folder.parent)
    assert_refused(run_quietly(save(external("parts/secret.bin"), folder)), executable.MODEL, "w")


def test_hard_link_is_refused(folder):
    os.link(folder.parent / "secret.bin", folder / "hard.bin")
    assert_refused(run_quietly(save(external("hard.bin"), folder)), executable.MODEL, "w")


@pytest.mark.parametrize(
    ("offset", "length"), [(8, 16), (0, 20), (16, 16), (2**63 - 8, 16), (2**64, 16), (-4, 16), ("ten", 16), (0, "x")],
    ids=str,
)
def test_range_outside_of_the_file_is_refused(folder, offset, length):
    made = external("weights.bin", offset, length)
    assert_refused(run_quietly(save(made, folder)), executable.MODEL, "w")


@pytest.mark.parametrize("length", [0, 12, 15])
def test_length_that_contradicts_the_shape_is_refused(folder, length):
    made = external("weights.bin", 0, length)
    assert_refused(run_quietly(save(made, folder)), executable.MODEL, "w")


def test_file_shorter_than_the_tensor_is_refused(folder):
    (folder / "weights.bin").write_bytes(VALUES.tobytes()[:15])
    assert_refused(run_quietly(save(external("weights.bin"), folder)), executable.MODEL, "w")


@pytest.mark.parametrize("location", ["absent.bin", "", None, "weights.bin/more", ".", "a\0b"])
def test_location_that_is_no_file_is_refused(folder, location):
    assert_refused(run_quietly(save(external(location), folder)), executable.MODEL, "w")


def test_pipe_is_refused_without_waiting(folder):
    os.mkfifo(folder / "pipe.bin")
    assert_refused(run_quietly(save(external("pipe.bin"), folder), timeout=20), executable.MODEL, "w")
