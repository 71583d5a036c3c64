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
    found = {path for layer in ALLOWED for pattern in patterns for path in (ROOT / layer).rglob(pattern)}
    assert found, "no sources found: has the tree moved?"
    return sorted(found)


def test_what_a_file_begins_with(tmp_path: Path) -> None:
    file = tmp_path / "file.hpp"
    for text, begins in (
        ('// Role.\n#pragma once\n\n#include "base/error.hpp"\n#include "base/shape.hpp"\n', "base/error.hpp"),
        ('// Role.\n#include <vector>\n#include "base/error.hpp"\n', None),
        ('// Role.\n#ifdef SOMETHING\n#include "base/error.hpp"\n#endif\n', None),
        ('// Role.\n#define SOMETHING\n#include "base/error.hpp"\n', None),
        ('// Role.\nint x;\n#include "base/error.hpp"\n', None),
        ("// Role.\nint x;\n", None),
    ):
        file.write_text(text)
        assert first_include(file) == begins, text


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


def first_include(path: Path) -> str | None:
    """The file of ours that a compiler sees before anything else of this one; None when a condition comes first."""
    for line in path.read_text().splitlines():
        if re.match(r"\s*#\s*include\b", line):
            ours = INCLUDE.match(line)
            return ours.group(1) if ours else None
        if re.match(r"\s*#(?!\s*pragma once)", line) or re.match(r"\s*(?!//)[^\s#]", line):
            return None
    return None


def proven_by_build() -> set[str]:
    """Headers that something begins with which the build compiles: a source of a layer, or a header that is proven."""
    proven: set[str] = set()
    pending = sources("*.cpp")
    while pending:
        header = first_include(pending.pop())
        if header and header not in proven and (ROOT / header).is_file():
            proven.add(header)
            pending.append(ROOT / header)
    return proven


def compile_alone(header: Path) -> str:
    """The compiler's complaint about a translation unit that holds nothing but this header; empty when it is fine."""
    command = ["g++", "-std=c++20", "-fsyntax-only", "-fopenmp", f"-I{ROOT}", f"-I{ROOT}/build/release/generated", "-x", "c++", "-"]
    unit = f'#include "{header.relative_to(ROOT)}"\n#include "{header.relative_to(ROOT)}"\n'
    done = subprocess.run(command, input=unit, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{header.relative_to(ROOT)}:\n{done.stderr[:2000]}"


def test_every_header_compiles_alone() -> None:
    """Only headers that no file of the build begins with are compiled here: the build has shown it of the others."""
    proven = proven_by_build()
    left = [header for header in sources("*.hpp") if str(header.relative_to(ROOT)) not in proven]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = [complaint for complaint in pool.map(compile_alone, left) if complaint]
    assert not complaints, "\n".join(complaints)
