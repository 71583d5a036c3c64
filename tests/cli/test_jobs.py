"""Jobs: long inputs are split, streamed with bounded memory, and written back in order."""

from __future__ import annotations

import pathlib
import re
import subprocess
import time

import numpy as np
import pytest
from onnx import helper

import executable
from cli import small_models
from cli.refusal import assert_refused, run_quietly
from cli.small_models import save


def rows_of(count: int) -> np.ndarray:
    seed = count
    print(f"seed {seed}")
    return np.random.default_rng(seed).standard_normal((count, small_models.FEATURES), dtype=np.float32)


def run_job(model: pathlib.Path, folder: pathlib.Path, x: np.ndarray, *options: object) -> np.ndarray:
    np.save(folder / "x.npy", x)
    result = run_quietly(model, "--input", f"x={folder / 'x.npy'}", "--output", folder / "out.npz", *options)
    assert result.exit_code == executable.OK, result.describe()
    return np.load(folder / "out.npz")["y"]


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 64, 1003])
@pytest.mark.parametrize("batch", ["N", 8], ids=["symbolic", "fixed"])
def test_results_keep_their_order(tmp_path, rows, batch):
    path = save(small_models.classifier(batch), tmp_path)
    if batch == 8 and rows < 8:
        pytest.skip("fewer rows than the model's fixed batch are no job")
    y = run_job(path, tmp_path, rows_of(rows), "--micro-batch", 8, "--threads", 2)
    np.testing.assert_allclose(y, small_models.classify(rows_of(rows)), rtol=1e-5, atol=1e-5)


def test_many_requests_in_flight_keep_their_order(tmp_path):
    path = save(small_models.classifier(), tmp_path)
    y = run_job(path, tmp_path, rows_of(5000), "--micro-batch", 3, "--streams", 7)
    np.testing.assert_allclose(y, small_models.classify(rows_of(5000)), rtol=1e-5, atol=1e-5)


def test_a_job_gives_the_same_bits_every_time(tmp_path):
    path = save(small_models.classifier(), tmp_path)
    first = run_job(path, tmp_path, rows_of(500), "--micro-batch", 16, "--threads", 1)
    second = run_job(path, tmp_path, rows_of(500), "--micro-batch", 16, "--threads", 2, "--streams", 3)
    np.testing.assert_array_equal(first, second)


def test_micro_batch_that_contradicts_the_fixed_batch(tmp_path):
    path = save(small_models.classifier(8), tmp_path)
    np.save(tmp_path / "x.npy", rows_of(32))
    result = run_quietly(path, "--input", f"x={tmp_path / 'x.npy'}", "--micro-batch", 5)
    assert_refused(result, executable.USAGE, "micro-batch")


def private_peak_mb(process: subprocess.Popen) -> float:
    """The most anonymous memory seen until the process ends: mapped input and output files do not count as its own."""
    peak = 0
    status = pathlib.Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        found = re.search(r"RssAnon:\s*(\d+)", status.read_text())
        peak = max(peak, int(found.group(1)) if found else 0)
        time.sleep(0.01)
    return peak / 1024


def test_ten_thousand_images_stream_with_bounded_memory(tmp_path):
    # 492 MB of images through a pooling network under a limit of 128 MiB. The file is sparse on disk.
    shape = (3, 64, 64)
    made = small_models.model(
        [helper.make_node("AveragePool", ["x"], ["y"], name="pool", kernel_shape=[8, 8], strides=[8, 8])],
        [small_models.tensor("x", ["N", *shape])], [small_models.tensor("y", ["N", 3, 8, 8])],
    )
    path = save(made, tmp_path)
    images = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (10_000, *shape))
    images[::1000] = np.arange(10, dtype=np.float32).reshape(10, 1, 1, 1)
    images.flush()
    del images
    process = subprocess.Popen(
        [executable.path(), "-q", path, "--input", f"x={tmp_path / 'x.npy'}", "--micro-batch", "16",
         "--memory-limit", "cpu=128MiB", "--output", tmp_path / "out.npz"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=executable.environment(),
    )
    peak = private_peak_mb(process)
    assert process.returncode == executable.OK, process.stderr.read()
    process.stderr.close()
    assert peak < 160, f"{peak:.0f} MiB of its own"
    y = np.load(tmp_path / "out.npz")["y"]
    assert y.shape == (10_000, 3, 8, 8)
    expected = np.zeros(10_000, np.float32)
    expected[::1000] = np.arange(10)
    np.testing.assert_allclose(y.mean(axis=(1, 2, 3)), expected, rtol=1e-5)
