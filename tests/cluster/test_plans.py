"""Plans that name ranks are followed, wrong ones are refused, and ranks without work are no error."""

from __future__ import annotations

import json
import os
import subprocess
import time

import numpy as np
import pytest

from onnx import helper

import executable
from cli import small_models
from cli.small_models import save
from cluster import launch

pytestmark = launch.needs_mpi
ROWS = 24
WIDTH = 48


def chain():
    """Products with a sine between them, which nothing fuses with."""
    rng = np.random.default_rng(3)
    nodes, weights, last = [], [], "x"
    for i in range(4):
        target = "y" if i == 3 else f"h{i}"
        weights.append(small_models.initializer(f"w{i}", (rng.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5).astype(np.float32)))
        nodes.append(helper.make_node("MatMul", [last, f"w{i}"], [f"m{i}"], name=f"product{i}"))
        nodes.append(helper.make_node("Sin", [f"m{i}"], [target], name=f"sine{i}"))
        last = target
    return small_models.model(nodes, [small_models.tensor("x", ["N", WIDTH])], [small_models.tensor("y", ["N", WIDTH])], weights)


@pytest.fixture
def job(tmp_path):
    model = save(chain(), tmp_path)
    x = np.random.default_rng(11).standard_normal((ROWS, WIDTH), dtype=np.float32)
    np.save(tmp_path / "x.npy", x)
    common = [model, "--input", f"x={tmp_path / 'x.npy'}", "--micro-batch", 8, "--threads", 1, "--kernel-timing", 0]
    alone = executable.run("-q", *common, "--output", tmp_path / "one.npz", "--plan-out", tmp_path / "one.json")
    assert alone.exit_code == executable.OK, alone.describe()
    return common, tmp_path, np.load(tmp_path / "one.npz")["y"]


def plan_over(folder, ranks: list[int]):
    """The plan of one process, its nodes cut into as many stages as there are ranks."""
    plan = json.loads((folder / "one.json").read_text())
    nodes = [name for partition in plan["partitions"] for name in partition["nodes"]]
    cuts = [round(i * len(nodes) / len(ranks)) for i in range(len(ranks) + 1)]
    plan = {
        "schema_version": plan["schema_version"],
        "partitions": [
            {"device": "cpu", "rank": rank, "stage": i, "nodes": nodes[cuts[i] : cuts[i + 1]]} for i, rank in enumerate(ranks)
        ],
    }
    path = folder / "ranks.json"
    path.write_text(json.dumps(plan))
    return path


@pytest.mark.parametrize("form", ["auto", "pipeline"])
def test_a_plan_that_names_ranks_is_followed(job, form):
    common, folder, expected = job
    result = launch.run(2, *common, "--parallel", form, "--plan", plan_over(folder, [0, 1]), "--output", folder / "out.npz")
    assert result.exit_code == executable.OK, result.describe()
    assert "pipeline of 2 stages" in result.stderr, result.stderr
    np.testing.assert_array_equal(np.load(folder / "out.npz")["y"], expected)


def test_pipelines_side_by_side_follow_one_plan(job):
    common, folder, expected = job
    result = launch.run(4, *common, "--parallel", "hybrid", "--plan", plan_over(folder, [0, 1]), "--output", folder / "out.npz")
    assert result.exit_code == executable.OK, result.describe()
    assert "2 pipelines of 2 stages" in result.stderr, result.stderr
    np.testing.assert_array_equal(np.load(folder / "out.npz")["y"], expected)


@pytest.mark.parametrize("form", ["auto", "pipeline"])
def test_a_plan_with_a_rank_that_is_not_there_is_refused(job, form):
    common, folder, _ = job
    result = launch.run(2, *common, "--parallel", form, "--plan", plan_over(folder, [0, 5]), "--output", folder / "out.npz")
    assert result.exit_code == executable.USAGE, result.describe()
    assert "rank 5" in result.stderr, result.stderr
    assert not (folder / "out.npz").exists()


@pytest.mark.parametrize("text", ["{}", "not json", '{"schema_version": 1, "partitions": []}'])
def test_a_file_that_is_no_plan_is_refused_once(job, text):
    common, folder, _ = job
    (folder / "bad.json").write_text(text)
    result = launch.run(2, *common, "--parallel", "pipeline", "--plan", folder / "bad.json")
    assert result.exit_code == executable.USAGE, result.describe()
    assert result.stderr.count("--plan") == 1, result.stderr


def test_kernels_of_a_plan_are_the_stages_kernels(job):
    common, folder, expected = job
    path = plan_over(folder, [0, 1])
    plan = json.loads(path.read_text())
    for partition in plan["partitions"]:
        partition["kernels"] = {name: "cpu.no.such.kernel" for name in partition["nodes"] if "product1" in name}
    assert any(partition["kernels"] for partition in plan["partitions"]), plan
    path.write_text(json.dumps(plan))
    result = launch.run(2, *common, "--parallel", "pipeline", "--plan", path, "--output", folder / "out.npz")
    assert result.exit_code == executable.USAGE, result.describe()
    assert "cpu.no.such.kernel" in result.stderr, result.stderr


@pytest.fixture
def full_disk(tmp_path):
    """A file system that holds next to nothing."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("a small file system needs the right to mount one")
    yield folder
    subprocess.run(["umount", folder], check=False)


@pytest.mark.parametrize("form", ["data", "pipeline", "rows"])
def test_a_full_disk_at_rank_0_ends_all_ranks_and_leaves_no_output(job, full_disk, form):
    common, folder, _ = job
    x = np.random.default_rng(12).standard_normal((600, WIDTH), dtype=np.float32)
    np.save(folder / "long.npy", x)
    common = [f"x={folder / 'long.npy'}" if str(word).startswith("x=") else word for word in common]
    result = launch.run(2, *common, "--parallel", form, "--deadline", 10, "--output", full_disk / "out.npz")
    assert result.exit_code == executable.FILE, result.describe()
    assert "space" in result.stderr, result.stderr
    assert not (full_disk / "out.npz").exists()


def test_layers_cannot_be_divided_by_a_plan(job):
    common, folder, _ = job
    result = launch.run(2, *common, "--parallel", "rows", "--plan", plan_over(folder, [0, 1]))
    assert result.exit_code == executable.USAGE, result.describe()
    assert "--plan" in result.stderr


def test_more_ranks_than_stages_leave_some_idle(job):
    common, folder, expected = job
    result = launch.run(4, *common, "--parallel", "pipeline", "--plan", plan_over(folder, [0, 1]), "--output", folder / "out.npz")
    assert result.exit_code == executable.OK, result.describe()
    assert "2 of 4 ranks idle" in result.stderr, result.stderr
    np.testing.assert_array_equal(np.load(folder / "out.npz")["y"], expected)


def test_auto_says_what_it_compared(job):
    common, folder, expected = job
    result = launch.run(2, "-v", *common, "--parallel", "auto", "--output", folder / "out.npz")
    assert result.exit_code == executable.OK, result.describe()
    assert "simulated requests/s: " in result.stderr, result.stderr
    np.testing.assert_array_equal(np.load(folder / "out.npz")["y"], expected)


def test_an_input_that_shrinks_while_the_job_runs_ends_it(tmp_path):
    model = save(chain(), tmp_path)
    rows = 400_000
    np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (rows, WIDTH)).flush()
    process = launch.start(2, model, "--input", f"x={tmp_path / 'x.npy'}", "--micro-batch", 16, "--threads", 1,
                           "--kernel-timing", 0, "--deadline", 5, "--output", tmp_path / "out.npz")
    try:
        end = time.monotonic() + 60
        while not (tmp_path / "out.npz.parts").exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        os.truncate(tmp_path / "x.npy", 4096)
        _, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
    assert process.returncode == executable.FILE, err
    assert "must not change" in err, err
    assert not (tmp_path / "out.npz").exists()
