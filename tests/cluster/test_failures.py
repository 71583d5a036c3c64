"""A rank that is killed or stopped ends the job within the deadline; others name it; --resume completes the work."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
from onnx import helper

import executable
from cli import small_models
from cli.small_models import save
from cluster import launch

pytestmark = launch.needs_mpi
DEADLINE = 3
GRACE = 12  # a loaded machine starts processes late; the deadline itself is checked by the transport's own tests


@pytest.fixture
def long_job(tmp_path):
    """A job of many seconds: a wide chain of products over many rows."""
    rng = np.random.default_rng(3)
    width, layers = 512, 12
    weights = [rng.standard_normal((width, width)).astype(np.float32) / width**0.5 for _ in range(layers)]
    nodes, last = [], "x"
    for i in range(layers):
        target = "y" if i + 1 == layers else f"h{i}"
        nodes.append(helper.make_node("MatMul", [last, f"w{i}"], [target], name=f"product{i}"))
        last = target
    made = small_models.model(
        nodes, [small_models.tensor("x", ["N", width])], [small_models.tensor("y", ["N", width])],
        [small_models.initializer(f"w{i}", w) for i, w in enumerate(weights)],
    )
    path = save(made, tmp_path)
    np.save(tmp_path / "x.npy", rng.standard_normal((40_000, width), dtype=np.float32))
    return [path, "--input", f"x={tmp_path / 'x.npy'}", "--micro-batch", 16, "--threads", 1, "--kernel-timing", 0,
            "--deadline", DEADLINE, "--output", tmp_path / "out.npz"], tmp_path


def wait_for(condition, seconds: float):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def disturb(process, rank: int, how: signal.Signals, folder) -> None:
    """Waits until results are coming in, then sends the signal."""
    wait_for(lambda: (folder / "out.npz.parts").exists() and (folder / "out.npz.parts").stat().st_size > 200_000, 60)
    os.kill(launch.rank_processes(process.pid)[rank], how)


@pytest.mark.parametrize("form", ["data", "pipeline"])
@pytest.mark.parametrize(("rank", "how"), [(1, signal.SIGKILL), (2, signal.SIGSTOP), (0, signal.SIGKILL)])
def test_a_lost_rank_is_named_and_the_job_resumes(long_job, form, rank, how):
    arguments, folder = long_job
    process = launch.start(3, *arguments, "--parallel", form)
    try:
        disturb(process, rank, how, folder)
        _, err = process.communicate(timeout=DEADLINE + GRACE)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode in {7, 128 + how, 130}, err
    assert f"rank {rank}" in err, err
    assert not (folder / "out.npz").exists()
    assert [p.name for p in folder.iterdir() if p.name.endswith(".partial")] == []

    resumed = launch.run(2, *arguments, "--parallel", form, "--resume")
    assert resumed.exit_code == executable.OK, resumed.describe()
    assert "were finished before" in resumed.stderr
    once = executable.run("-q", *arguments[:-1], folder / "once.npz", timeout=120)
    assert once.exit_code == executable.OK, once.describe()
    np.testing.assert_array_equal(np.load(folder / "out.npz")["y"], np.load(folder / "once.npz")["y"])
    assert not (folder / "out.npz.parts").exists()


def test_one_process_resumes_what_several_began(long_job):
    arguments, folder = long_job
    process = launch.start(2, *arguments)
    try:
        disturb(process, 1, signal.SIGKILL, folder)
        process.communicate(timeout=DEADLINE + GRACE)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    resumed = executable.run(*arguments, "--resume", timeout=120)
    assert resumed.exit_code == executable.OK, resumed.describe()
    assert "were finished before" in resumed.stderr
