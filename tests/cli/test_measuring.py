"""Benchmarks, profiles, traces and what can be asked: complete, consistent, readable by programs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from onnx import helper

import executable
from cli import small_models
from cli.refusal import run_quietly
from cli.small_models import save


@pytest.fixture
def model(tmp_path):
    return save(small_models.classifier(), tmp_path)


def measured(model, *options: object) -> dict:
    result = run_quietly(model, "--dim", "N=4", "--json", "-", *options)
    assert result.exit_code == executable.OK, result.describe()
    return json.loads(result.stdout)


def test_benchmark_has_every_key_that_others_read(model):
    found = measured(model, "--benchmark", "--warmup", 0, "--iterations", 50)
    latency = found["latency_ms"]
    assert 0 < latency["min"] <= latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]
    assert latency["count"] == 50
    assert found["throughput"] > 0 and found["load_s"] > 0 and found["compile_s"] >= 0 and found["peak_rss_mb"] > 1
    assert found["plan"]["policy"]
    assert {"device", "kernels", "predicted_ms", "measured_ms"} <= set(found["plan"]["partitions"][0])
    assert found["schema_version"] >= 1


def test_inputs_are_let_go_once_nothing_reads_them(tmp_path):
    """Two results of the input's size are there together, and not the input beside them."""
    nodes = [helper.make_node("CumSum", ["x", "axis"], ["a"]), helper.make_node("CumSum", ["a", "axis"], ["b"]),
             helper.make_node("ReduceMax", ["b"], ["y"], keepdims=0)]
    axis = small_models.initializer("axis", np.int64(1))
    sums = small_models.model(nodes, [small_models.tensor("x", ["N", 1024])], [small_models.tensor("y", [])], [axis])
    path = save(sums, tmp_path)

    def peak(rows: int, *options: object) -> float:
        np.save(tmp_path / "x.npy", np.ones((rows, 1024), np.float32))
        result = run_quietly(path, "--input", tmp_path / "x.npy", "--json", "-", "--threads", 1, *options)
        assert result.exit_code == executable.OK, result.describe()
        return json.loads(result.stdout)["peak_rss_mb"]

    mib = 64
    program, once = peak(1), peak(256 * mib)
    assert once - program < 2.5 * mib
    assert peak(256 * mib, "--explain") - program > 2.5 * mib  # which runs it again


def test_layers_name_device_kernel_and_zeros(model):
    layers = measured(model, "--profile")["layers"]
    (dense,) = [layer for layer in layers if "dense" in layer["name"]]
    assert dense["device"] == "cpu" and dense["kernel"].startswith("cpu.") and dense["ms"] >= 0
    # Nine of eighteen weights are zeroed, and nothing else of them is zero.
    assert dense["zeros"] == pytest.approx((small_models.weights() == 0).mean())


@pytest.mark.parametrize("scenario", ["latency", "throughput"])
def test_duration_is_kept(model, scenario):
    found = measured(model, "--benchmark", "--warmup", 0.1, "--duration", 0.5, "--scenario", scenario)
    assert 0.4 < found["seconds"] < 5
    assert found["scenario"] == scenario


def test_json_goes_to_a_file(model, tmp_path):
    result = run_quietly(model, "--dim", "N=1", "--benchmark", "--iterations", 3, "--json", tmp_path / "out.json")
    assert result.exit_code == executable.OK, result.describe()
    assert json.loads((tmp_path / "out.json").read_text())["latency_ms"]["count"] == 3


def test_trace_opens_as_trace_events(model, tmp_path):
    result = run_quietly(model, "--dim", "N=1", "--trace", tmp_path / "trace.json")
    assert result.exit_code == executable.OK, result.describe()
    trace = json.loads((tmp_path / "trace.json").read_text())
    events = trace["traceEvents"] if isinstance(trace, dict) else trace
    assert any(event.get("ph") in {"X", "B"} for event in events)
    assert all("pid" in event for event in events)


@pytest.mark.parametrize("option", ["--list-devices", "--list-operators", "--doctor"])
def test_questions_need_no_model(option):
    result = executable.run(option)
    assert result.exit_code == executable.OK and result.stdout.strip(), result.describe()


def test_inspection_names_inputs_outputs_and_layers(model):
    result = executable.run(model, "--inspect")
    assert result.exit_code == executable.OK, result.describe()
    for word in ("x", "y", "dense", "Gemm"):
        assert word in result.stdout, result.describe()


def test_dry_run_runs_nothing(model, tmp_path):
    result = run_quietly(model, "--dim", "N=1", "--dry-run", "--plan-out", tmp_path / "plan.json")
    assert result.exit_code == executable.OK, result.describe()
    assert json.loads((tmp_path / "plan.json").read_text())
