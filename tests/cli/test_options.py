"""Options: what is wrong is named with exit code 2 (or 6, 9), and they can come from the environment and a file."""

from __future__ import annotations

import json

import numpy as np
import pytest

import executable
from cli import small_models
from cli.refusal import assert_refused, run_quietly
from cli.small_models import save


@pytest.fixture
def model(tmp_path):
    return save(small_models.classifier(), tmp_path)


@pytest.mark.parametrize(
    ("arguments", "mention"),
    [
        (["--frobnicate"], "--frobnicate"),
        (["--thread", "2"], "--threads"),
        (["--threads", "-1"], "--threads"),
        (["--threads", "two"], "--threads"),
        (["--threads", "99999999999999999999"], "--threads"),
        (["--micro-batch", "0"], "--micro-batch"),
        (["--dim", "N"], "--dim"),
        (["--dim", "N=-1"], "--dim"),
        (["--dim", "ghost=2"], "ghost"),
        (["--shape", "x=2xsix"], "--shape"),
        (["--shape", "ghost=2x6"], "ghost"),
        (["--input", "x=random:5"], "random"),
        (["--input", "x=random:2,1"], "random"),
        (["--devices", "abacus"], "abacus"),
        (["--memory-limit", "cpu=lots"], "--memory-limit"),
        (["--scenario", "leisure", "--benchmark"], "--scenario"),
        (["--iterations", "0", "--benchmark"], "--iterations"),
        (["--duration", "nan", "--benchmark"], "--duration"),
        (["--rtol", "-1"], "--rtol"),
        (["--config", "absent.ini"], "absent.ini"),
        (["another.onnx"], "another.onnx"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_options_are_named(model, arguments, mention):
    assert_refused(run_quietly(model, *arguments), executable.USAGE, mention)


def test_no_model(tmp_path):
    assert_refused(run_quietly(), executable.USAGE)


def test_shape_that_contradicts_the_model(model):
    assert_refused(run_quietly(model, "--shape", "x=2x7"), {executable.USAGE, executable.FILE}, "x")


def test_absent_device(model):
    assert_refused(run_quietly(model, "--devices", "cpu,gpu:7"), executable.DEVICE, "gpu")


def test_memory_limit(tmp_path):
    path = save(small_models.elementwise(shape=(1024, 1024)), tmp_path)
    assert run_quietly(path, "--memory-limit", "cpu=1GiB").exit_code == executable.OK
    assert_refused(run_quietly(path, "--memory-limit", "cpu=1MiB"), executable.LIMIT)


def test_environment_sets_options_and_the_command_line_wins(model):
    bad = run_quietly(model, env={"SPARSE_RUN_THREADS": "none"})
    assert_refused(bad, executable.USAGE, "threads")
    good = run_quietly(model, "--threads", 1, "--json", "-", env={"SPARSE_RUN_THREADS": "2"})
    assert good.exit_code == executable.OK and json.loads(good.stdout)["threads"] == 1, good.describe()
    set_there = run_quietly(model, "--json", "-", env={"SPARSE_RUN_THREADS": "1", "SPARSE_RUN_SEED": "5"})
    assert json.loads(set_there.stdout)["threads"] == 1 and json.loads(set_there.stdout)["seed"] == 5


def test_dumped_configuration_is_read_again(model, tmp_path):
    dumped = run_quietly(model, "--threads", 1, "--seed", 9, "--dim", "N=3", "--dump-config")
    assert dumped.exit_code == executable.OK, dumped.describe()
    (tmp_path / "run.ini").write_text(dumped.stdout)
    result = run_quietly(model, "--config", tmp_path / "run.ini", "--json", "-")
    assert result.exit_code == executable.OK, result.describe()
    measured = json.loads(result.stdout)
    assert (measured["threads"], measured["seed"]) == (1, 9)
    assert "3x6" in measured["signature"]


def test_unknown_key_in_a_configuration_file(model, tmp_path):
    (tmp_path / "run.ini").write_text("frobnicate=1\n")
    assert_refused(run_quietly(model, "--config", tmp_path / "run.ini"), executable.USAGE, "frobnicate")


def test_help_names_every_group_and_the_exit_codes():
    result = executable.run("--help")
    assert result.exit_code == executable.OK
    for words in ("Input and output", "Where it runs", "Measuring", "Asking", "--micro-batch", "124"):
        assert words in result.stdout
    assert result.stderr == ""


def test_version():
    result = executable.run("--version")
    assert result.exit_code == executable.OK and result.stdout.strip(), result.describe()


def test_equal_seeds_give_equal_results(model, tmp_path):
    outputs = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        path = tmp_path / f"{name}.npz"
        result = run_quietly(model, "--dim", "N=5", "--seed", seed, "--output", path)
        assert result.exit_code == executable.OK, result.describe()
        outputs.append(np.load(path)["y"])
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[0], outputs[2])
