"""Placement through the executable: plans that are made, followed and compared, policies of one's own, and refusals."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest

import executable
from cli import small_models
from cli.refusal import assert_refused, run_quietly
from cli.small_models import save

TOPOLOGIES = executable.ROOT / "examples/topologies"
EMULATED = TOPOLOGIES / "two_emulated.json"
ABI = executable.ROOT / "partitioner/policies"


@pytest.fixture
def model(tmp_path):
    return save(small_models.classifier(4), tmp_path)


def outputs(path):
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def library(tmp_path, source: str, language: str = "c"):
    compiler = shutil.which("cc" if language == "c" else "c++")
    if compiler is None:
        pytest.skip("no compiler")
    file = tmp_path / f"policy.{'c' if language == 'c' else 'cpp'}"
    file.write_text(source)
    made = tmp_path / "libpolicy.so"
    subprocess.run([compiler, "-shared", "-fPIC", f"-I{ABI}", str(file), "-o", str(made)], check=True)
    return made


POLICY = """
#include "policy_abi.h"
uint32_t sparse_run_policy_abi(void) {{ return {version}; }}
int32_t sparse_run_policy_place(const sparse_run_problem* p, int32_t* device, char* message, size_t size) {{
  {body}
}}
"""


@pytest.mark.parametrize("policy", ["auto", "cpu", "gpu", "density", "greedy", "heft", "dp", "local-search", "round-robin", "random"])
def test_every_policy_gives_the_same_result_on_emulated_devices(model, tmp_path, policy):
    plain = executable.run(model, "--output", tmp_path / "plain.npz")
    assert plain.exit_code == 0, plain.describe()
    placed = executable.run(model, "--topology", EMULATED, "--policy", policy, "--output", tmp_path / "placed.npz")
    if "has no emulated device" in placed.stderr:
        pytest.skip("this build has no emulated device")
    assert placed.exit_code == 0, placed.describe()
    for name, value in outputs(tmp_path / "plain.npz").items():
        np.testing.assert_allclose(outputs(tmp_path / "placed.npz")[name], value, rtol=1e-5, atol=1e-6)


def test_a_plan_is_written_followed_and_compared(model, tmp_path):
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    for file, policy in ((first, "cpu"), (second, "gpu")):
        made = executable.run(model, "--topology", EMULATED, "--policy", policy, "--dry-run", "--plan-out", file)
        assert made.exit_code == 0, made.describe()
    followed = executable.run(model, "--topology", EMULATED, "--plan", second, "--strict", "--dry-run", "--plan-out", tmp_path / "again.json")
    assert followed.exit_code == 0, followed.describe()
    assert json.loads((tmp_path / "again.json").read_text())["partitions"] == json.loads(second.read_text())["partitions"]
    difference = executable.run("--plan-diff", first, second)
    assert difference.exit_code == 0 and "cpu -> emulated:0" in difference.stdout, difference.describe()
    assert executable.run("--plan-diff", first, first).stdout == "no difference\n"


def test_absent_hardware_is_planned_for_but_not_run_on(model, tmp_path):
    workstation = TOPOLOGIES / "workstation.json"
    planned = executable.run(model, "--topology", workstation, "--policy", "gpu", "--dry-run", "--explain", "--plan-out", tmp_path / "page.html")
    assert planned.exit_code == 0 and "gpu:0" in planned.stdout, planned.describe()
    assert "<html" in (tmp_path / "page.html").read_text()
    assert_refused(run_quietly(model, "--topology", workstation), executable.DEVICE, "gpu:0")


def test_simulating_a_cluster_tells_forms_and_writes_a_trace(model, tmp_path):
    result = executable.run(model, "--simulate", TOPOLOGIES / "cpu_cluster_256.json", "--requests", "500", "--trace", tmp_path / "gantt.json")
    assert result.exit_code == 0 and "data" in result.stdout, result.describe()
    assert len(json.loads((tmp_path / "gantt.json").read_text())["traceEvents"]) > 500


def test_pins_beat_policies_and_explain_tells(model):
    result = executable.run(model, "--topology", EMULATED, "--policy", "cpu", "--pin", ".*=emulated:1", "--dry-run", "--explain")
    assert result.exit_code == 0 and "emulated:1" in result.stdout and "pinned" in result.stdout, result.describe()


def test_plans_are_tried_and_the_outcome_is_remembered(model, tmp_path):
    here = ["--topology", TOPOLOGIES / "this_machine_and_gpu.json", "--explain", "--cache-dir", tmp_path / "cache"]
    tried = executable.run(model, *here)
    assert tried.exit_code == 0 and "tried       all on cpu: measured" in tried.stdout, tried.describe()
    timings = json.loads((tmp_path / "cache/plan-timings.json").read_text())
    assert len(timings["seconds"]) == 1
    again = executable.run(model, *here)
    lines = lambda result: [line for line in result.stdout.splitlines() if line.startswith("tried")]
    assert lines(again) == lines(tried)
    (tmp_path / "cache/plan-timings.json").write_text('{"schema_version": 1, "seconds": {"x": [')
    assert executable.run(model, *here).exit_code == 0
    predicted = executable.run(model, *here, "--plan-timing", "0")
    assert predicted.exit_code == 0 and not lines(predicted), predicted.describe()
    assert_refused(run_quietly(model, "--plan-timing", "-1"), executable.USAGE, "--plan-timing")


def test_topologies_can_be_written_and_read_back(tmp_path):
    written = executable.run("--topology-out", tmp_path / "mine.json", "--devices", "cpu,emulated")
    assert written.exit_code == 0, written.describe()
    listed = executable.run("--list-devices", "--topology", tmp_path / "mine.json")
    assert listed.exit_code == 0 and "emulated:0" in listed.stdout, listed.describe()


def test_the_example_policy_builds_and_places(model, tmp_path):
    made = library(tmp_path, (executable.ROOT / "examples/policies/threshold.c").read_text())
    result = executable.run(model, "--topology", EMULATED, "--policy", f"{made}:megaflops=0", "--dry-run")
    assert result.exit_code == 0 and "emulated:0" in result.stdout, result.describe()
    assert_refused(run_quietly(model, "--policy", f"{made}:megaflops=-1"), executable.USAGE, "megaflops has to be positive")


@pytest.mark.parametrize(
    ("version", "body", "mention"),
    [
        ("7u", "return 0;", "version 7"),
        ("1u", "return 0;", "but there are"),
        ("1u", "for (int i = 0; i < p->node_count; ++i) device[i] = 1000; return 0;", "1000"),
        ("1u", "return 9;", "no reason"),
    ],
)
def test_policy_libraries_that_go_wrong_are_refused(model, tmp_path, version, body, mention):
    made = library(tmp_path, POLICY.format(version=version, body=body))
    assert_refused(run_quietly(model, "--policy", made), executable.USAGE, "libpolicy.so", mention)


def test_a_policy_library_that_throws_is_refused(model, tmp_path):
    made = library(tmp_path, POLICY.format(version="1u", body='throw "nothing";'), "c++")
    assert_refused(run_quietly(model, "--policy", made), executable.USAGE, "threw")


def test_libraries_that_are_none_are_refused(model, tmp_path):
    (tmp_path / "libtext.so").write_text("not a library")
    assert_refused(run_quietly(model, "--policy", tmp_path / "libtext.so"), executable.USAGE, "libtext.so")
    assert_refused(run_quietly(model, "--policy", "./libabsent.so"), executable.USAGE, "libabsent.so")
    made = library(tmp_path, "int nothing;")
    assert_refused(run_quietly(model, "--policy", made), executable.USAGE, "sparse_run_policy_abi")


@pytest.mark.parametrize(
    ("arguments", "mention"),
    [
        (["--policy", "nonsense"], "nonsense"),
        (["--policy", "density:zerros=1"], "zerros"),
        (["--policy", "density:zeros=2"], "zeros"),
        (["--objective", "beauty"], "--objective"),
        (["--pin", "ghost=cpu"], "ghost"),
        (["--pin", "dense=gpu:3"], "gpu:3"),
        (["--pin", "dense("], "--pin"),
        (["--pin", "*=cpu"], "regular expression"),
        (["--plan", "absent.json"], "absent.json"),
        (["--topology", "absent.json"], "absent.json"),
        (["--simulate", "absent.json"], "absent.json"),
        (["--requests", "0"], "--requests"),
        (["--plan-out", "plan.txt"], "--plan-out"),
    ],
)
def test_what_is_wrong_is_named(model, arguments, mention):
    assert_refused(run_quietly(model, *arguments), executable.USAGE, mention)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"schema_version": 1}', '{"schema_version": 1, "partitions": [{"device": "cpu", "nodes": ["ghost"]}]}',
     '{"schema_version": 1, "partitions": []}', "[" * 100000],
)
def test_plans_that_are_none_are_refused(model, tmp_path, text):
    (tmp_path / "plan.json").write_text(text)
    assert_refused(run_quietly(model, "--plan", tmp_path / "plan.json"), executable.USAGE, "plan")


def test_a_plan_for_another_model_is_refused(model, tmp_path):
    made = executable.run(model, "--dry-run", "--plan-out", tmp_path / "plan.json")
    assert made.exit_code == 0, made.describe()
    other = tmp_path / "other"
    other.mkdir()
    wide = save(small_models.classifier(), other)
    assert_refused(run_quietly(wide, "--dim", "N=4", "--plan", tmp_path / "plan.json"), executable.USAGE, "hash")


def test_a_damaged_calibration_is_a_notice_and_an_error_when_strict(model, tmp_path):
    cache = tmp_path / "cache"
    measured = executable.run("--calibrate", "--cache-dir", cache, "--kernel-timing", "0", timeout=300)
    assert measured.exit_code == 0 and "stored in" in measured.stdout, measured.describe()
    (file,) = cache.glob("calibration-*.json")
    file.write_text(file.read_text()[:1000])
    noticed = executable.run(model, "--cache-dir", cache)
    assert noticed.exit_code == 0 and "--calibrate" in noticed.stderr, noticed.describe()
    assert_refused(run_quietly(model, "--cache-dir", cache, "--strict"), executable.USAGE, "--calibrate")
