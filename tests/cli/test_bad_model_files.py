"""Files that are damaged, or no models at all: exit code 3 and one line, never a crash."""

from __future__ import annotations

import random

import pytest

import executable
from cli import small_models
from cli.refusal import assert_refused, run_quietly
from models import torch_style

# What a damaged file may turn out to be: still runnable, invalid, unsupported, at odds with its inputs, too large.
ORDERLY = {executable.OK, executable.MODEL, executable.UNSUPPORTED, executable.FILE, executable.LIMIT}


def test_missing_file_is_named(tmp_path):
    assert_refused(run_quietly(tmp_path / "absent.onnx"), executable.MODEL, "absent.onnx")


def test_folder_is_no_model(tmp_path):
    assert_refused(run_quietly(tmp_path), executable.MODEL, tmp_path.name)


def test_unreadable_device_is_no_model():
    assert_refused(run_quietly("/dev/null"), executable.MODEL, "/dev/null")
    assert_refused(run_quietly("/dev/zero", timeout=20), executable.MODEL, "/dev/zero")


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"hello, this is text\n" * 50, b"\x89PNG\r\n\x1a\n" + bytes(200), b"PK\x03\x04" + bytes(200),
     b"\x93NUMPY\x01\x00" + bytes(200), b"\xff" * 300, b"{}", b"\x80\x04\x95" + bytes(64)],
    ids=["empty", "newline", "text", "png", "zip", "npy", "ones", "json", "pickle"],
)
def test_other_kinds_of_files_are_refused(tmp_path, content):
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    assert_refused(run_quietly(path), executable.MODEL, "other.onnx")


def test_random_bytes_are_refused(tmp_path):
    seed = 11
    print(f"seed {seed}")
    generator = random.Random(seed)
    path = tmp_path / "noise.onnx"
    for length in (1, 2, 7, 64, 1000, 100_000):
        path.write_bytes(generator.randbytes(length))
        assert_refused(run_quietly(path), {executable.MODEL, executable.LIMIT}, "noise.onnx")


def test_truncated_files_are_refused(tmp_path):
    whole = small_models.classifier().SerializeToString()
    path = tmp_path / "cut.onnx"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert_refused(run_quietly(path), {executable.MODEL, executable.UNSUPPORTED}, "cut.onnx")


def test_large_truncated_file_is_refused(tmp_path):
    whole = torch_style.bert(17).SerializeToString()
    path = tmp_path / "cut.onnx"
    for share in (0.1, 0.5, 0.9, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        assert_refused(run_quietly(path), executable.MODEL, "cut.onnx")


def damage(content: bytes, generator: random.Random) -> bytes:
    """One to four random bits turned."""
    damaged = bytearray(content)
    for _ in range(generator.randint(1, 4)):
        damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
    return bytes(damaged)


def assert_orderly(result: executable.Result, context: str) -> None:
    assert result.exit_code in ORDERLY, f"{context}\n{result.describe()}"
    if result.exit_code != executable.OK:
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        assert len(lines) == 1, f"{context}\n{result.describe()}"


@pytest.mark.parametrize("block", range(4))
def test_bit_flips_never_crash(tmp_path, block):
    whole = small_models.classifier(batch=2).SerializeToString()
    path = tmp_path / "flipped.onnx"
    for seed in range(100 * block, 100 * block + 100):
        path.write_bytes(damage(whole, random.Random(seed)))
        result = run_quietly(path, "--memory-limit", "cpu=1GiB", "--timeout", 20, timeout=40)
        assert_orderly(result, f"seed {seed}")


@pytest.mark.parametrize("kind", ["bert", "resnet"])
def test_bit_flips_in_structure_never_crash(tmp_path, kind):
    made = torch_style.bert(13, width=16, layers=1) if kind == "bert" else torch_style.resnet(13, width=2, blocks=(1, 1))
    whole = made.SerializeToString()
    path = tmp_path / "flipped.onnx"
    sizes = ["--dim", "batch=1"] + (["--dim", "tokens=3"] if kind == "bert" else ["--dim", "height=16", "--dim", "width=16"])
    for seed in range(100):
        path.write_bytes(damage(whole, random.Random(seed)))
        result = run_quietly(path, "--memory-limit", "cpu=1GiB", "--timeout", 20, *sizes, timeout=40)
        # A flip inside a symbol's name makes --dim name nothing: a usage error, and no less orderly.
        if result.exit_code != executable.USAGE:
            assert_orderly(result, f"seed {seed}")
