"""What a measurement ran on, for the record."""

from __future__ import annotations

import os
import pathlib
import platform
import re
import subprocess


def field(text: str, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.*)$", text, re.MULTILINE)
    return found.group(1).strip() if found else "unknown"


def describe(root: pathlib.Path) -> dict:
    """CPU, its vector extensions, cores, memory, kernel, load before the run, and the revision measured."""
    cpu = pathlib.Path("/proc/cpuinfo").read_text()
    memory = pathlib.Path("/proc/meminfo").read_text()
    flags = set(field(cpu, "flags").split())
    wanted = ["avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8"]
    revision = subprocess.run(
        ["git", "-C", str(root), "describe", "--always", "--dirty"], capture_output=True, text=True
    ).stdout.strip()
    return {
        "cpu": field(cpu, "model name"),
        "family_model_stepping": [field(cpu, name) for name in ("cpu family", "model", "stepping")],
        "extensions": [name for name in wanted if name in flags],
        "cores": os.cpu_count(),
        "memory_gb": round(int(field(memory, "MemTotal").split()[0]) / 1e6, 1),
        "kernel": platform.release(),
        "load_average": os.getloadavg()[0],
        "revision": revision or "unknown",
    }
