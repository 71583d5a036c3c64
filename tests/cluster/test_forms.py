"""Results of several ranks are those of one, whatever the form, and what cannot be done ends in one clear error."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest

import executable
from cli import small_models
from cli.small_models import save
from cluster import launch

pytestmark = launch.needs_mpi
ROWS = 53
FORMS = ["data", "pipeline", "rows", "hybrid", "auto"]


@pytest.fixture
def job(tmp_path):
    model = save(small_models.classifier(), tmp_path)
    x = np.random.default_rng(7).standard_normal((ROWS, small_models.FEATURES), dtype=np.float32)
    np.save(tmp_path / "x.npy", x)
    common = [model, "--input", f"x={tmp_path / 'x.npy'}", "--micro-batch", 8, "--threads", 1, "--kernel-timing", 0]
    alone = executable.run("-q", *common, "--output", tmp_path / "one.npz")
    assert alone.exit_code == executable.OK, alone.describe()
    return common, tmp_path, np.load(tmp_path / "one.npz")["y"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_every_form_gives_the_results_of_one_rank(job, ranks, form):
    common, folder, expected = job
    result = launch.run(ranks, *common, "--parallel", form, "--output", folder / "out.npz")
    assert result.exit_code == executable.OK, result.describe()
    y = np.load(folder / "out.npz")["y"]
    if form == "rows":
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(y, expected)
    assert sorted(p.name for p in folder.iterdir() if "part" in p.name) == []


def test_a_trace_has_a_process_for_every_rank(job):
    common, folder, _ = job
    result = launch.run(2, *common, "--parallel", "pipeline", "--output", folder / "out.npz", "--trace", folder / "t.json")
    assert result.exit_code == executable.OK, result.describe()
    events = json.loads((folder / "t.json").read_text())["traceEvents"]
    assert {event["pid"] for event in events} == {0, 1}


def test_an_error_of_the_model_is_reported_once_with_its_code(tmp_path):
    result = launch.run(2, tmp_path / "absent.onnx")
    assert result.exit_code == executable.MODEL, result.describe()
    assert result.stderr.count("no such file") == 1, result.stderr


def test_an_output_that_cannot_be_written_ends_all_ranks(job):
    common, _, _ = job
    result = launch.run(2, *common, "--output", "/nowhere/out.npz")
    assert result.exit_code == executable.FILE, result.describe()


def test_a_rank_with_another_model_is_named(job, tmp_path):
    # The second rank's model differs in one bias.
    common, folder, _ = job
    other = tmp_path / "other"
    other.mkdir()
    changed = bytearray((folder / common[0].name).read_bytes())
    changed[-40] ^= 1
    (other / common[0].name).write_bytes(changed)
    script = tmp_path / "pick.sh"
    script.write_text(f'#!/bin/sh\n[ "$OMPI_COMM_WORLD_RANK" = 1 ] && m="{other / common[0].name}" || m="{common[0]}"\n'
                      f'exec "{executable.path()}" "$m" "$@"\n')
    script.chmod(0o755)
    line = [launch.MPIRUN, "-n", "2", "--oversubscribe", str(script), *map(str, common[1:])]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, env=launch.environment(), check=False)
    assert done.returncode != 0
    assert "rank 1" in done.stderr, done.stderr
