"""Output files appear complete or not at all: full disks, missing folders, Ctrl-C, mismatches."""

from __future__ import annotations

import os
import pathlib
import resource
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from onnx import helper, numpy_helper

import executable
from cli import small_models
from cli.refusal import assert_refused, run_quietly
from cli.small_models import save


@pytest.fixture
def model(tmp_path) -> pathlib.Path:
    return save(small_models.elementwise(shape=("N", 1000)), tmp_path)


@pytest.fixture
def results(tmp_path) -> pathlib.Path:
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


def wide_input(folder: pathlib.Path, rows: int) -> str:
    path = folder / "x.npy"
    np.lib.format.open_memmap(path, "w+", np.float32, (rows, 1000)).flush()
    return f"x={path}"


def assert_nothing_left(folder: pathlib.Path) -> None:
    assert list(folder.iterdir()) == []


def test_missing_output_folder(model, tmp_path):
    result = run_quietly(model, "--dim", "N=1", "--output", tmp_path / "nowhere/out.npz")
    assert_refused(result, executable.FILE, "nowhere")


def test_output_is_a_folder(model, results):
    assert_refused(run_quietly(model, "--dim", "N=1", "--output", results), executable.FILE, "results")
    assert_nothing_left(results)


def test_output_into_a_file_as_folder(model, tmp_path):
    result = run_quietly(model, "--dim", "N=1", "--output", tmp_path / "model.onnx/out.npz")
    assert_refused(result, executable.FILE, "model.onnx")


@pytest.mark.parametrize("option", ["--json", "--trace"])
def test_measurements_into_a_missing_folder(model, tmp_path, option):
    result = run_quietly(model, "--dim", "N=1", option, tmp_path / "nowhere/out.json")
    # The results of the run may stand on stdout already.
    assert result.exit_code == executable.FILE and "nowhere" in result.complaint, result.describe()


def limited_file_size() -> None:
    """As a full disk: writes beyond 64 KiB fail. The signal that comes with it is ignored, so that they do."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))


def test_file_size_limit_leaves_nothing(model, tmp_path, results):
    given = wide_input(tmp_path, 100)
    result = run_quietly(model, "--input", given, "--output", results / "out.npz", preexec=limited_file_size)
    assert_refused(result, executable.FILE, "out.npz")
    assert_nothing_left(results)


def test_job_at_the_file_size_limit_leaves_nothing(model, tmp_path, results):
    given = wide_input(tmp_path, 100)
    arguments = ["--input", given, "--micro-batch", 8, "--output", results / "out.npz"]
    result = run_quietly(model, *arguments, preexec=limited_file_size)
    assert_refused(result, executable.FILE, "out.npz")
    assert_nothing_left(results)


def test_full_disk_leaves_nothing(model, tmp_path, results):
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", results], capture_output=True, text=True)
    if mount.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mount.stderr.strip()}")
    try:
        given = wide_input(tmp_path, 100)
        result = run_quietly(model, "--input", given, "--output", results / "out.npz")
        assert_refused(result, executable.FILE, "out.npz")
        assert_nothing_left(results)
    finally:
        subprocess.run(["umount", results], check=True)


def test_failed_run_keeps_the_older_file(model, tmp_path, results):
    (results / "out.npz").write_bytes(b"older")
    given = wide_input(tmp_path, 100)
    result = run_quietly(model, "--input", given, "--output", results / "out.npz", preexec=limited_file_size)
    assert_refused(result, executable.FILE, "out.npz")
    assert [(entry.name, entry.read_bytes()) for entry in results.iterdir()] == [("out.npz", b"older")]


def test_stdout_that_is_full_is_an_error(model):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [executable.path(), model, "--dim", "N=1", "--json", "-"], stdout=full, stderr=subprocess.PIPE, text=True,
            env=executable.environment(), timeout=60,
        )
    assert done.returncode == executable.FILE, done.stderr


def slow_model(folder: pathlib.Path) -> pathlib.Path:
    """Eight products with a 1000x1000 matrix: a row costs about a millisecond at worst."""
    weight = (np.random.default_rng(1).standard_normal((1000, 1000)) / 32).astype(np.float32)
    nodes = [helper.make_node("MatMul", [f"v{i}", "w"], [f"v{i + 1}"], name=f"n{i}") for i in range(8)]
    made = small_models.model(
        nodes, [small_models.tensor("v0", ["N", 1000])], [small_models.tensor("v8", ["N", 1000])],
        [numpy_helper.from_array(weight, "w")],
    )
    return save(made, folder, "slow.onnx")


def takes_signal(task: pathlib.Path, sent: signal.Signals) -> bool:
    """Whether a thread, given as its folder in /proc, leaves the signal unblocked."""
    blocked = next(line for line in (task / "status").read_text().splitlines() if line.startswith("SigBlk:"))
    return not int(blocked.split()[1], 16) >> (sent - 1) & 1


def writes_into(process: subprocess.Popen, folder: pathlib.Path) -> bool:
    """Whether a process has a file of the folder open, which need not have a name yet."""
    for entry in pathlib.Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            if os.readlink(entry).startswith(f"{folder}/"):
                return True
        except FileNotFoundError:  # closed meanwhile
            continue
    return False


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_job_leaves_nothing(tmp_path, results, sent):
    path = slow_model(tmp_path)
    np.lib.format.open_memmap(tmp_path / "v.npy", "w+", np.float32, (200_000, 1000)).flush()
    command = [executable.path(), path, "--input", f"v0={tmp_path / 'v.npy'}", "--micro-batch", "4", "-q"]
    process = subprocess.Popen(
        [*command, "--output", results / "out.npz"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=executable.environment(),
    )
    deadline = time.monotonic() + 30
    while process.poll() is None and not writes_into(process, results) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None, f"ended before it was interrupted: {process.communicate()}"
    assert writes_into(process, results)
    assert sum(takes_signal(task, sent) for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir()) == 1
    process.send_signal(sent)
    try:
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == executable.INTERRUPTED, said
    assert len([line for line in said.splitlines() if line.strip()]) == 1, said
    assert_nothing_left(results)


def test_an_input_that_shrinks_during_a_job_is_an_error(tmp_path, results):
    path, given = slow_model(tmp_path), tmp_path / "v.npy"
    np.lib.format.open_memmap(given, "w+", np.float32, (200_000, 1000)).flush()
    command = [executable.path(), path, "--input", f"v0={given}", "--micro-batch", "4", "-q"]
    process = subprocess.Popen(
        [*command, "--output", results / "out.npz"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=executable.environment(),
    )
    deadline = time.monotonic() + 30
    while process.poll() is None and not writes_into(process, results) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.truncate(given, 4096)
    try:
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == executable.FILE, said
    assert "v.npy" in said and "must not change" in said, said
    assert_nothing_left(results)


def test_timeout_leaves_nothing(tmp_path, results):
    path = slow_model(tmp_path)
    np.lib.format.open_memmap(tmp_path / "v.npy", "w+", np.float32, (200_000, 1000)).flush()
    arguments = ["--input", f"v0={tmp_path / 'v.npy'}", "--micro-batch", 4, "--output", results / "out.npz"]
    assert_refused(run_quietly(path, *arguments, "--timeout", 1, timeout=30), executable.TIMEOUT)
    assert_nothing_left(results)


def test_expected_results(tmp_path):
    path = save(small_models.classifier(), tmp_path)
    x = np.arange(12, dtype=np.float32).reshape(2, 6) / 10
    y = small_models.classify(x)
    np.savez(tmp_path / "in.npz", x=x)
    np.savez(tmp_path / "right.npz", y=y)
    np.savez(tmp_path / "wrong.npz", y=y + [0, 0.01, 0])
    np.savez(tmp_path / "shape.npz", y=y[:1])
    np.savez(tmp_path / "name.npz", z=y)
    run = lambda name, *more: run_quietly(path, "--input", tmp_path / "in.npz", "--expect", tmp_path / name, *more)  # noqa: E731
    assert run("right.npz").exit_code == executable.OK
    result = run("wrong.npz")
    assert result.exit_code == executable.MISMATCH and "y" in result.stdout + result.stderr, result.describe()
    assert run("wrong.npz", "--atol", 0.1).exit_code == executable.OK
    assert run("shape.npz").exit_code == executable.MISMATCH
    assert run("name.npz").exit_code in {executable.USAGE, executable.FILE}
    assert run("absent.npz").exit_code == executable.FILE


def test_onnx_test_data(tmp_path):
    path = save(small_models.classifier(), tmp_path)
    x = np.arange(12, dtype=np.float32).reshape(2, 6) / 10
    for index, error in enumerate([0, 0.01]):
        folder = tmp_path / f"test_data_set_{index}"
        folder.mkdir()
        (folder / "input_0.pb").write_bytes(numpy_helper.from_array(x, "x").SerializeToString())
        expected = (small_models.classify(x) + error).astype(np.float32)
        (folder / "output_0.pb").write_bytes(numpy_helper.from_array(expected, "y").SerializeToString())
    assert run_quietly(path, "--test-data", tmp_path).exit_code == executable.MISMATCH
    shutil.rmtree(tmp_path / "test_data_set_1")
    assert run_quietly(path, "--test-data", tmp_path).exit_code == executable.OK
    (tmp_path / "test_data_set_0/input_0.pb").write_bytes(b"\xff" * 20)
    assert_refused(run_quietly(path, "--test-data", tmp_path), executable.FILE, "input_0.pb")
    os.remove(tmp_path / "test_data_set_0/input_0.pb")
    assert run_quietly(path, "--test-data", tmp_path / "test_data_set_0").exit_code in {executable.USAGE, executable.FILE}
