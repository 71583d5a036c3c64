"""Input files that cannot be read or do not fit the model, and values that are unusual but fine."""

from __future__ import annotations

import pathlib
import struct
import zipfile

import numpy as np
import pytest
from onnx import helper

import executable
from cli import small_models
from cli.refusal import assert_refused, run_quietly
from cli.small_models import save


@pytest.fixture
def model(tmp_path) -> pathlib.Path:
    return save(small_models.classifier(), tmp_path)


def good(rows: int = 2) -> np.ndarray:
    return np.arange(rows * small_models.FEATURES, dtype=np.float32).reshape(rows, -1) / 10


def refuse(model: pathlib.Path, file: pathlib.Path, codes: int | set[int] = executable.FILE) -> None:
    result = run_quietly(model, "--input", f"x={file}", "--output", file.parent / "out.npz")
    assert_refused(result, codes, file.name)
    assert not (file.parent / "out.npz").exists()


def run_on(model: pathlib.Path, folder: pathlib.Path, x: np.ndarray) -> np.ndarray:
    np.save(folder / "x.npy", x)
    result = run_quietly(model, "--input", f"x={folder / 'x.npy'}", "--output", folder / "out.npz")
    assert result.exit_code == executable.OK, result.describe()
    return np.load(folder / "out.npz")["y"]


def test_npy_and_npz_give_the_expected_result(model, tmp_path):
    np.testing.assert_allclose(run_on(model, tmp_path, good()), small_models.classify(good()), rtol=1e-5, atol=1e-6)
    np.savez(tmp_path / "in.npz", x=good())
    result = run_quietly(model, "--input", tmp_path / "in.npz", "--output", tmp_path / "out.npz")
    assert result.exit_code == executable.OK, result.describe()
    np.testing.assert_allclose(np.load(tmp_path / "out.npz")["y"], small_models.classify(good()), rtol=1e-5, atol=1e-6)


def test_compressed_npz_is_read(model, tmp_path):
    np.savez_compressed(tmp_path / "in.npz", x=good())
    result = run_quietly(model, "--input", tmp_path / "in.npz", "--output", tmp_path / "out.npz")
    assert result.exit_code == executable.OK, result.describe()
    np.testing.assert_allclose(np.load(tmp_path / "out.npz")["y"], small_models.classify(good()), rtol=1e-5, atol=1e-6)


def test_missing_file(model, tmp_path):
    refuse(model, tmp_path / "absent.npy")
    refuse(model, tmp_path / "absent.npz")


@pytest.mark.parametrize("dtype", ["float64", "float16", "int32", "int64", "uint8", "bool", "complex64"])
def test_wrong_element_type(model, tmp_path, dtype):
    np.save(tmp_path / "x.npy", good().astype(dtype))
    refuse(model, tmp_path / "x.npy")


@pytest.mark.parametrize("shape", [(2, 5), (2, 7), (6,), (2, 6, 1), (6, 2), ()], ids=str)
def test_wrong_shape(model, tmp_path, shape):
    np.save(tmp_path / "x.npy", np.zeros(shape, np.float32))
    refuse(model, tmp_path / "x.npy")


def test_objects_are_never_unpickled(model, tmp_path):
    np.save(tmp_path / "x.npy", np.array([[object] * 6], dtype=object), allow_pickle=True)
    refuse(model, tmp_path / "x.npy")


def test_truncated_npy(model, tmp_path):
    np.save(tmp_path / "x.npy", good())
    whole = (tmp_path / "x.npy").read_bytes()
    for length in [0, 1, 6, 8, 9, 10, 60, 127, 128, len(whole) - 4, len(whole) - 1]:
        (tmp_path / "cut.npy").write_bytes(whole[:length])
        refuse(model, tmp_path / "cut.npy")


def npy(header: str, data: bytes = bytes(48), length: int | None = None) -> bytes:
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) if length is None else length) + text + data


@pytest.mark.parametrize(
    "content",
    [
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 6)}"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 6)}"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 6)}"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 6"),
        npy("{'descr': '<f4', 'fortran_order': False}"),
        npy("{'fortran_order': False, 'shape': (2, 6)}"),
        npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 6)}"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "2," * 5000 + ")}"),
        npy("__import__('os').system('true')"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 6)}", length=65535),
        npy("{" * 5000),
        b"\x93NUMPY\x09\x00" + bytes(100),
        b"not an array at all",
    ],
    ids=["overflow", "larger_than_the_file", "negative", "cut", "no_shape", "no_descr", "structured", "high_rank", "code",
         "header_beyond_the_file", "braces", "version", "text"],
)
def test_bad_npy_headers(model, tmp_path, content):
    # A shape beyond what can be counted is a limit as well as a bad header.
    (tmp_path / "x.npy").write_bytes(content)
    refuse(model, tmp_path / "x.npy", {executable.FILE, executable.LIMIT})


def test_more_data_than_the_shape_says(model, tmp_path):
    np.save(tmp_path / "x.npy", good())
    with open(tmp_path / "x.npy", "ab") as file:
        file.write(bytes(4))
    refuse(model, tmp_path / "x.npy")


def test_bad_npz(model, tmp_path):
    np.savez(tmp_path / "in.npz", x=good())
    whole = (tmp_path / "in.npz").read_bytes()
    for name, content in [("cut", whole[:-30]), ("text", b"no archive"), ("empty", b"")]:
        (tmp_path / f"{name}.npz").write_bytes(content)
        result = run_quietly(model, "--input", tmp_path / f"{name}.npz")
        assert_refused(result, executable.FILE, f"{name}.npz")


def test_flipped_bits_in_npz_never_crash(model, tmp_path):
    np.savez_compressed(tmp_path / "in.npz", x=good())
    whole = (tmp_path / "in.npz").read_bytes()
    for position in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << (position % 8)
        (tmp_path / "flip.npz").write_bytes(bytes(damaged))
        result = run_quietly(model, "--input", tmp_path / "flip.npz")
        # A flip in a member's name makes it one that the model does not have.
        assert result.exit_code in {executable.OK, executable.USAGE, executable.FILE}, f"byte {position}\n{result.describe()}"


def test_npz_whose_member_is_no_array(model, tmp_path):
    with zipfile.ZipFile(tmp_path / "in.npz", "w") as archive:
        archive.writestr("x.npy", b"hello")
    assert_refused(run_quietly(model, "--input", tmp_path / "in.npz"), executable.FILE, "in.npz")


def test_npz_that_would_unpack_to_terabytes(model, tmp_path):
    with zipfile.ZipFile(tmp_path / "in.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (200000000000, 6)}", bytes(10**6)))
    result = run_quietly(model, "--input", tmp_path / "in.npz", timeout=20)
    assert_refused(result, {executable.FILE, executable.LIMIT}, "in.npz")


def test_unknown_input_name(model, tmp_path):
    np.save(tmp_path / "x.npy", good())
    result = run_quietly(model, "--input", f"ghost={tmp_path / 'x.npy'}")
    assert_refused(result, {executable.USAGE, executable.FILE}, "ghost")


def test_inputs_that_disagree_about_a_symbol(tmp_path):
    made = small_models.model(
        [helper.make_node("Add", ["a", "b"], ["y"], name="sum")],
        [small_models.tensor("a", ["N", 4]), small_models.tensor("b", ["N", 4])], [small_models.tensor("y", ["N", 4])],
    )
    path = save(made, tmp_path)
    np.savez(tmp_path / "in.npz", a=np.zeros((2, 4), np.float32), b=np.zeros((3, 4), np.float32))
    assert_refused(run_quietly(path, "--input", tmp_path / "in.npz"), executable.FILE, "N")


def test_nan_and_infinity_stay_in_their_rows(model, tmp_path):
    x = good(4)
    x[1, 1] = np.nan
    x[2, 1] = np.inf
    y = run_on(model, tmp_path, x)
    assert np.isnan(y[1]).all()
    assert not np.isfinite(y[2, 2]) or y[2, 2] == 0
    np.testing.assert_allclose(y[[0, 3]], small_models.classify(x[[0, 3]]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("operator", ["Relu", "Sigmoid", "Tanh", "Exp", "Sqrt", "Neg", "Abs", "Erf"])
def test_nan_propagates_through_elementwise_operators(tmp_path, operator):
    path = save(small_models.elementwise(operator), tmp_path)
    x = np.array([[1, np.nan, 0.25, np.nan]], np.float32)
    assert np.isnan(run_on(path, tmp_path, x)).tolist() == [[False, True, False, True]]


def test_empty_batch_gives_an_empty_result(model, tmp_path):
    assert run_on(model, tmp_path, np.zeros((0, small_models.FEATURES), np.float32)).shape == (0, small_models.CLASSES)


def test_denormals_are_not_flushed(tmp_path):
    path = save(small_models.elementwise("Neg"), tmp_path)
    x = np.array([[1e-40, -1e-45, 1e-38, 0]], np.float32)
    np.testing.assert_array_equal(run_on(path, tmp_path, x), -x)
