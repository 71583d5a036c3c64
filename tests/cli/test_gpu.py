"""NVIDIA GPUs where there are none: the program starts, and says what is missing."""

from __future__ import annotations

import ctypes
import json
import subprocess

import pytest

import executable
from cli import small_models
from cli.refusal import assert_refused, run_quietly


def has_driver() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


no_driver = pytest.mark.skipif(has_driver(), reason="there is an NVIDIA driver")


@pytest.fixture
def model(tmp_path):
    return small_models.save(small_models.classifier(), tmp_path)


@no_driver
@pytest.mark.parametrize("devices", ["gpu", "cpu,gpu", "gpu:3"])
def test_a_gpu_without_a_driver_is_refused_with_what_is_missing(model, devices):
    result = run_quietly(model, "--devices", devices)
    assert_refused(result, executable.DEVICE, "gpu")
    assert "driver" in result.complaint or "no CUDA device is compiled in" in result.complaint, result.describe()


@pytest.mark.parametrize("name", ["gpu:x", "gpu:", "gpu:-1"])
def test_names_that_are_no_gpu_are_a_usage_error(model, name):
    assert_refused(run_quietly(model, "--devices", name), executable.USAGE, name)


@no_driver
def test_the_list_of_devices_says_why_there_is_no_gpu():
    listed = executable.run("--list-devices")
    assert listed.exit_code == executable.OK, listed.describe()
    assert "no GPU: " in listed.stdout, listed.describe()


def test_no_library_of_cuda_is_linked():
    needed = subprocess.run(["ldd", executable.path()], capture_output=True, text=True, check=True).stdout
    for library in ("libcuda.so", "libcudart", "libcublas", "libcudnn", "libcusparse", "libnvrtc"):
        assert library not in needed, needed


@no_driver
def test_what_the_gpu_check_cannot_run_is_recorded_as_not_run(tmp_path):
    bundle = tmp_path / "bundle"
    (bundle / "bin").mkdir(parents=True)
    (bundle / "bin" / "sparse-run").symlink_to(executable.path().resolve())
    script = bundle / "gpu_check.sh"
    script.write_text((executable.ROOT / "scripts" / "gpu_check.sh").read_text())
    script.chmod(0o755)
    digits = executable.ROOT / "examples" / "digits" / "digits_pruned.onnx"
    done = subprocess.run([script, "--out", tmp_path / "out", digits], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "out" / "gpu-check.json").read_text())
    outcomes = {entry["name"]: entry["outcome"] for entry in report["results"]}
    assert {outcomes[name] for name in ("device conformance", "kernels", "models", "benchmarks")} == {"not run"}
    assert all(entry["detail"] for entry in report["results"])
