"""Plans over the CPU and emulated GPUs: same results, refusals, traces, profiles, and devices inside model files."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import executable
from cli import small_models

WIDTH = 64


def chain(*operators: str, shape=(2, WIDTH)) -> onnx.ModelProto:
    """x → operators, called node_0, node_1 … → y."""
    names = ["x", *(f"value_{i}" for i in range(len(operators) - 1)), "y"]
    nodes = [
        helper.make_node(operator, [names[i]], [names[i + 1]], name=f"node_{i}")
        for i, operator in enumerate(operators)
    ]
    return small_models.model(nodes, [small_models.tensor("x", shape)], [small_models.tensor("y", shape)])


def plan(path, *partitions: tuple[str, list[str]]):
    """A plan file of devices and names of nodes."""
    listed = [{"device": device, "nodes": nodes} for device, nodes in partitions]
    path.write_text(json.dumps({"schema_version": 1, "partitions": listed}))
    return path


@pytest.fixture
def softened(tmp_path):
    return small_models.save(chain("Softplus", "Tanh", "Softsign", "Exp"), tmp_path)


def outputs(tmp_path, model, *options) -> np.ndarray:
    file = tmp_path / "outputs.npz"
    result = executable.run(model, "--output", file, "--seed", 3, *options)
    assert result.exit_code == executable.OK, result.describe()
    return np.load(file)["y"]


def three_parts(tmp_path):
    return plan(
        tmp_path / "plan.json",
        ("cpu", ["node_0"]), ("emulated:0", ["node_1", "node_2"]), ("emulated:1", ["node_3"]),
    )


THREE = ("--devices", "cpu,emulated:0,emulated:1")


def test_a_plan_over_three_devices_gives_what_the_cpu_gives(tmp_path, softened):
    alone = outputs(tmp_path, softened, "--devices", "cpu")
    together = outputs(tmp_path, softened, *THREE, "--plan", three_parts(tmp_path))
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("policy", ["gpu", "round-robin", "random", "heft"])
def test_policies_use_emulated_devices(tmp_path, softened, policy):
    alone = outputs(tmp_path, softened, "--devices", "cpu")
    np.testing.assert_allclose(outputs(tmp_path, softened, *THREE, "--policy", policy), alone, rtol=1e-5, atol=1e-5)


def test_a_job_over_devices_keeps_its_order(tmp_path):
    model = small_models.save(chain("Exp", "Neg", shape=("N", WIDTH)), tmp_path)
    x = np.linspace(-1, 1, 103 * WIDTH, dtype=np.float32).reshape(103, WIDTH)
    np.save(tmp_path / "x.npy", x)
    parts = plan(tmp_path / "plan.json", ("emulated:0", ["node_0"]), ("emulated:1", ["node_1"]))
    file = tmp_path / "y.npz"
    result = executable.run(model, "--input", f"x={tmp_path / 'x.npy'}", "--micro-batch", 4, *THREE, "--plan", parts,
                            "--output", file)
    assert result.exit_code == executable.OK, result.describe()
    np.testing.assert_allclose(np.load(file)["y"], -np.exp(x), rtol=1e-5)


def test_a_trace_has_a_track_for_each_stream(tmp_path, softened):
    trace = tmp_path / "trace.json"
    result = executable.run(softened, *THREE, "--plan", three_parts(tmp_path), "--trace", trace)
    assert result.exit_code == executable.OK, result.describe()
    tracks = {event["args"]["name"] for event in json.loads(trace.read_text())["traceEvents"]
              if event["name"] == "thread_name"}
    for device in ("emulated:0", "emulated:1"):
        assert {f"{device} compute", f"{device} copy in", f"{device} copy out"} <= tracks


def test_a_profile_names_the_device_of_each_partition(tmp_path, softened):
    report = tmp_path / "report.json"
    result = executable.run(softened, *THREE, "--plan", three_parts(tmp_path), "--profile", "--json", report)
    assert result.exit_code == executable.OK, result.describe()
    partitions = json.loads(report.read_text())["plan"]["partitions"]
    assert [partition["device"] for partition in partitions] == ["cpu", "emulated:0", "emulated:1"]
    assert all(partition["measured_ms"] > 0 for partition in partitions)


def test_cuts_are_verified(tmp_path, softened):
    result = executable.run(softened, *THREE, "--plan", three_parts(tmp_path), "--verify-cuts")
    assert result.exit_code == executable.OK, result.describe()
    lines = [line for line in result.stdout.splitlines() if "cut " in line]
    assert len(lines) == 2
    assert "cpu -> emulated:0" in lines[0] and "emulated:0 -> emulated:1" in lines[1]


def test_cuts_behind_a_device_that_computes_wrongly_are_a_mismatch(tmp_path, softened):
    def device(name, **rest):
        return {"name": name, "memory_bytes": 1 << 30, "dense_gflops": 10, "memory_gb_per_s": 10, **rest}
    topology = tmp_path / "topology.json"
    topology.write_text(json.dumps({"schema_version": 1, "hosts": [{"name": "here", "devices": [
        device("cpu", kind="cpu"), device("emulated:0", kind="gpu", emulated=True, relative_error=0.01),
        device("emulated:1", kind="gpu", emulated=True)]}]}))
    result = executable.run(softened, "--topology", topology, "--plan", three_parts(tmp_path), "--verify-cuts")
    assert result.exit_code == executable.MISMATCH, result.describe()
    assert "emulated:0 -> emulated:1" in result.stdout
    looser = executable.run(softened, "--topology", topology, "--plan", three_parts(tmp_path), "--verify-cuts",
                            "--rtol", "0.1")
    assert looser.exit_code == executable.OK, looser.describe()


def test_verifying_a_plan_without_cuts_says_so(tmp_path, softened):
    result = executable.run(softened, "--devices", "cpu", "--verify-cuts")
    assert result.exit_code == executable.OK, result.describe()
    assert "nothing crosses" in result.stderr


@pytest.mark.parametrize(
    "options, code",
    [
        (("--devices", "cpu,gpu"), executable.DEVICE),
        (("--devices", "cpu,gpu:3"), executable.DEVICE),
        (("--devices", "cpu,abacus"), executable.USAGE),
        (("--devices", "cpu,emulated:-1"), executable.USAGE),
        (("--devices", "cpu,emulated:one"), executable.USAGE),
        (("--memory-limit", "emulated:0=1GiB"), executable.USAGE),
    ],
    ids=str,
)
def test_devices_that_cannot_be_had_are_refused(softened, options, code):
    result = executable.run(softened, *options)
    assert result.exit_code == code, result.describe()
    assert options[1].split(",")[-1].split("=")[0] in result.complaint


def test_a_plan_that_names_an_unknown_device_is_refused(tmp_path, softened):
    everything = [f"node_{i}" for i in range(4)]
    for device in ("emulated:5", "abacus"):
        file = plan(tmp_path / "plan.json", (device, everything))
        result = executable.run(softened, *THREE, "--plan", file)
        assert result.exit_code == executable.USAGE, result.describe()
        assert device in result.complaint


def test_a_plan_above_a_device_s_memory_limit_is_refused(tmp_path):
    model = small_models.save(chain("Exp", "Neg", shape=(512, 4096)), tmp_path)
    parts = plan(tmp_path / "plan.json", ("emulated:0", ["node_0"]), ("cpu", ["node_1"]))
    result = executable.run(model, "--devices", "cpu,emulated", "--plan", parts, "--memory-limit", "emulated=1MiB")
    assert result.exit_code == executable.LIMIT, result.describe()
    assert "emulated:0" in result.complaint


def test_a_plan_written_into_the_model_is_followed(tmp_path, softened):
    placed = tmp_path / "placed.onnx"
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    written = executable.run(softened, *THREE, "--plan", three_parts(tmp_path), "--export-placed", placed,
                             "--plan-out", first)
    assert written.exit_code == executable.OK, written.describe()
    model = onnx.load(placed)
    onnx.checker.check_model(model)
    assert model.ir_version >= 11
    assert list(model.configuration[0].device) == ["cpu", "emulated:0", "emulated:1"]
    followed = executable.run(placed, *THREE, "--plan-out", second)
    assert followed.exit_code == executable.OK, followed.describe()
    def devices(file):
        return [(p["device"], p["nodes"]) for p in json.loads(file.read_text())["partitions"]]
    assert devices(second) == devices(first)
    assert json.loads(second.read_text())["policy"] == "model"


def test_devices_in_the_model_give_way_to_a_policy(tmp_path, softened):
    placed, file = tmp_path / "placed.onnx", tmp_path / "plan.json"
    executable.run(softened, *THREE, "--plan", three_parts(tmp_path), "--export-placed", placed, "--dry-run")
    for options in ((*THREE, "--policy", "cpu"), ("--devices", "cpu")):
        result = executable.run(placed, *options, "--plan-out", file)
        assert result.exit_code == executable.OK, result.describe()
        assert {p["device"] for p in json.loads(file.read_text())["partitions"]} == {"cpu"}


def test_strings_stay_on_the_cpu(tmp_path):
    model = small_models.model(
        [helper.make_node("StringNormalizer", ["x"], ["y"], name="only", case_change_action="UPPER")],
        [small_models.tensor("x", [2], TensorProto.STRING)], [small_models.tensor("y", [2], TensorProto.STRING)],
    )
    path = small_models.save(model, tmp_path)
    forced = plan(tmp_path / "plan.json", ("emulated:0", ["only"]))
    np.save(tmp_path / "x.npy", np.array(["a", "b"]))
    given = ("--input", f"x={tmp_path / 'x.npy'}", *THREE)
    refused = executable.run(path, *given, "--plan", forced)
    assert refused.exit_code == executable.USAGE, refused.describe()
    assert "only" in refused.complaint
    placed = executable.run(path, *given, "--policy", "gpu")
    assert placed.exit_code == executable.OK, placed.describe()
