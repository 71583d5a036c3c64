"""The house stands: layers include only what lies below them, every file says its role, every header compiles alone."""

from __future__ import annotations

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What each layer may include besides itself: the table of docs/architecture.md.
ALLOWED = {
    "base": set(),
    "graph": {"base"},
    "comm/contract": {"base"},
    "device": {"base", "graph"},
    "cpu": {"base", "graph", "device"},
    "comm": {"base", "comm/contract"},
    "gpu": {"base", "graph", "device"},
    "partitioner": {"base", "graph", "device"},
    "runtime": {"base", "graph", "device", "comm/contract", "partitioner"},
    "cli": {"base", "graph", "device", "cpu", "gpu", "comm", "comm/contract", "partitioner", "runtime"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def layer_of(path: str) -> str:
    """The layer a path from the root belongs to: a layer may lie within the folder of another."""
    first, _, rest = path.partition("/")
    nested = f"{first}/{rest.partition('/')[0]}"
    return nested if nested in ALLOWED else first


def sources(*patterns: str) -> list[Path]:
    found = [path for layer in ALLOWED for pattern in patterns for path in (ROOT / layer).rglob(pattern)]
    assert found, "no sources found: has the tree moved?"
    return sorted(found)


@pytest.mark.parametrize("layer", ALLOWED)
def test_includes_point_downwards(layer: str) -> None:
    wrong = []
    for path in (ROOT / layer).rglob("*"):
        if path.suffix not in {".cpp", ".hpp", ".cu", ".cuh"}:
            continue
        if layer_of(str(path.relative_to(ROOT))) != layer:
            continue
        for include in INCLUDE.findall(path.read_text()):
            target = layer_of(include)
            if target in ALLOWED and target != layer and target not in ALLOWED[layer]:
                wrong.append(f"{path.relative_to(ROOT)} includes {include}")
    assert not wrong, "\n".join(wrong)


def test_every_file_opens_with_its_role() -> None:
    silent = [str(p.relative_to(ROOT)) for p in sources("*.cpp", "*.hpp") if not p.read_text().startswith("// ")]
    assert not silent, silent


def test_every_header_is_guarded() -> None:
    bare = [str(p.relative_to(ROOT)) for p in sources("*.hpp") if "#pragma once" not in p.read_text()]
    assert not bare, bare


def compile_alone(header: Path) -> str:
    """The compiler's complaint about a translation unit that holds nothing but this header; empty when it is fine."""
    command = ["g++", "-std=c++20", "-fsyntax-only", "-fopenmp", f"-I{ROOT}", f"-I{ROOT}/build/release/generated", "-x", "c++", "-"]
    unit = f'#include "{header.relative_to(ROOT)}"\n#include "{header.relative_to(ROOT)}"\n'
    done = subprocess.run(command, input=unit, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{header.relative_to(ROOT)}:\n{done.stderr[:2000]}"


def test_every_header_compiles_alone() -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = [complaint for complaint in pool.map(compile_alone, sources("*.hpp")) if complaint]
    assert not complaints, "\n".join(complaints)
