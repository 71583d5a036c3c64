"""Starts the executable on several ranks of this machine and finds the processes of a rank."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess

import pytest

import executable

MPIRUN = shutil.which("mpirun")
needs_mpi = pytest.mark.skipif(MPIRUN is None, reason="mpirun is not installed")


def environment() -> dict[str, str]:
    """As root too; and a machine whose own name nobody resolves costs a second per question, not five."""
    return executable.environment(
        OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", RES_OPTIONS="timeout:1 attempts:1"
    )


def command(ranks: int, *arguments: object) -> list[str]:
    return [MPIRUN, "-n", str(ranks), "--oversubscribe", str(executable.path()), *map(str, arguments)]


def run(ranks: int, *arguments: object, timeout: float = 120) -> executable.Result:
    """Runs to the end; a run that has to be stopped has no exit code."""
    line = command(ranks, *arguments)
    process = start(ranks, *arguments)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        return executable.Result(None, out, err, tuple(line))
    return executable.Result(process.returncode, out, err, tuple(line))


def start(ranks: int, *arguments: object) -> subprocess.Popen:
    """Starts it in a session of its own, so that everything it starts can be found and ended."""
    return subprocess.Popen(
        command(ranks, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        errors="replace", env=environment(), start_new_session=True,
    )


def rank_processes(launcher: int) -> dict[int, int]:
    """Process number of each rank that this launcher started, as far as they have begun."""
    found = {}
    for folder in pathlib.Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            stat = (folder / "stat").read_text()
            parent = int(stat.rpartition(")")[2].split()[1])
            variables = (folder / "environ").read_bytes().split(b"\0")
        except (OSError, ValueError, IndexError):
            continue
        if parent != launcher:
            continue
        for variable in variables:
            if variable.startswith(b"OMPI_COMM_WORLD_RANK="):
                found[int(variable.partition(b"=")[2])] = int(folder.name)
    return found
