"""Compares the executable with ONNX Runtime on given inputs."""

from __future__ import annotations

import pathlib

import numpy as np
import onnxruntime

import executable


def expected_outputs(model: pathlib.Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What ONNX Runtime gives, without its own fusions that approximate."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


def largest_error(got: np.ndarray, expected: np.ndarray) -> float:
    """The largest of |got - expected| / (|expected| + rms(expected)): relative, without blowing up where a value is
    near zero in a tensor that is not. NaN and infinity must be in the same places."""
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    finite = np.isfinite(expected)
    if not np.array_equal(finite, np.isfinite(got)) or not np.array_equal(got[~finite], expected[~finite], equal_nan=True):
        return float("inf")
    if not finite.any():
        return 0.0
    rms = np.sqrt(np.mean(expected[finite] ** 2))
    error = np.abs(got[finite] - expected[finite])
    return float((error / np.maximum(np.abs(expected[finite]) + rms, np.finfo(np.float64).tiny)).max())


def assert_agreement(
    model: pathlib.Path, inputs: dict[str, np.ndarray], folder: pathlib.Path, tolerance: float, *options: object
) -> None:
    """Runs the model on `inputs` and holds every output against ONNX Runtime's; `folder` is for the files in between."""
    expected = expected_outputs(model, inputs)
    np.savez(folder / "inputs.npz", **inputs)
    produced_path = folder / "outputs.npz"
    result = executable.run(
        model, "--input", folder / "inputs.npz", "--output", produced_path, "--threads", 2, *options, timeout=120
    )
    assert result.exit_code == executable.OK, result.describe()
    with np.load(produced_path) as produced:
        assert sorted(produced.files) == sorted(expected)
        for name, value in expected.items():
            got = produced[name]
            assert (got.shape, got.dtype) == (value.shape, value.dtype), name
            error = largest_error(got, value)
            print(f"{name} {list(value.shape)}: largest relative error {error:.2e}")
            assert error <= tolerance, f"{name}: {error:.2e} is more than {tolerance:.0e}"
