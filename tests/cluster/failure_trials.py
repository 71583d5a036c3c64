"""Randomised failures of ranks, in whatever phase they strike: python -m cluster.failure_trials [TRIALS] [SEED], in tests/.

Each trial starts a job of three ranks and lets something happen to a random one at a random time: it is killed, stopped,
gets no more memory, is cut off from the network, or has another model from the start. The trial passes when every rank has
ended within the deadline and its grace, survivors name the rank, no process and no temporary file is left, and an output,
if there is one, is complete. What happened, and the phases struck, are counted at the end.
"""

from __future__ import annotations

import os
import pathlib
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter

import numpy as np
from onnx import helper

import executable
from cli import small_models
from cluster import launch

DEADLINE = 3
GRACE = 8  # mpirun waits before it ends what does not end by itself, and a loaded machine is slow
RANKS = 3
HAPPENINGS = ["killed", "stopped", "out of memory", "cut off", "another model"]
LONGEST = 60  # of a job to which nothing happens, on a loaded machine
LATEST = 4.0  # seconds after the start
ROOM = 1 << 20  # of address space that a rank out of memory still gets


def prepare(folder: pathlib.Path) -> list[object]:
    rng = np.random.default_rng(3)
    width, layers = 512, 12
    nodes, weights, last = [], [], "x"
    for i in range(layers):
        target = "y" if i + 1 == layers else f"h{i}"
        weights.append(small_models.initializer(f"w{i}", (rng.standard_normal((width, width)) / width**0.5).astype(np.float32)))
        nodes.append(helper.make_node("MatMul", [last, f"w{i}"], [target], name=f"product{i}"))
        last = target
    made = small_models.model(nodes, [small_models.tensor("x", ["N", width])], [small_models.tensor("y", ["N", width])], weights)
    path = small_models.save(made, folder)
    np.save(folder / "x.npy", rng.standard_normal((30_000, width), dtype=np.float32))
    return [path, "--input", f"x={folder / 'x.npy'}", "--micro-batch", 16, "--threads", 1, "--kernel-timing", 0, "--deadline",
            DEADLINE, "--output", folder / "out.npz"]


def line_of(arguments: list[object], folder: pathlib.Path, rank: int, happening: str, moment: float) -> list[str]:
    """The command of every rank; what makes one of them different is decided by a script."""
    other = folder / "other" / pathlib.Path(str(arguments[0])).name
    if not other.exists():  # one weight is another
        other.parent.mkdir()
        changed = bytearray(pathlib.Path(str(arguments[0])).read_bytes())
        changed[len(changed) // 2] ^= 1
        other.write_bytes(changed)
    extra = f"--inject silent={moment:.3f}s" if happening == "cut off" else ""
    model = other if happening == "another model" else arguments[0]
    script = folder / "rank.sh"
    script.write_text(f'#!/bin/sh\n[ "$OMPI_COMM_WORLD_RANK" = {rank} ] && exec "{executable.path()}" "{model}" {extra} "$@"\n'
                      f'exec "{executable.path()}" "{arguments[0]}" "$@"\n')
    script.chmod(0o755)
    return [launch.MPIRUN, "-n", str(RANKS), "--oversubscribe", str(script), *map(str, arguments[1:])]


def take_memory(pid: int) -> None:
    """Leaves a process next to no address space beyond what it has."""
    try:
        pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + ROOM
        resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))
    except (OSError, ValueError, IndexError):
        pass  # it has ended meanwhile


def is_running(pid: int) -> bool:
    """Whether a process exists and is not just waiting to be collected by its parent."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def trial(arguments: list[object], folder: pathlib.Path, chance: random.Random) -> tuple[str, str]:
    """The phase that was struck, and what is wrong ("" for nothing)."""
    for left in folder.glob("out.npz*"):
        left.unlink()
    form, rank = chance.choice(["data", "pipeline", "rows"]), chance.randrange(RANKS)
    how, moment = chance.choice(HAPPENINGS), chance.uniform(0, LATEST)
    line = line_of([*arguments, "--parallel", form], folder, rank, how, moment)
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                               errors="replace", env=launch.environment(), start_new_session=True)
    time.sleep(moment)
    processes = launch.rank_processes(process.pid)
    struck = rank in processes
    if struck and how in {"killed", "stopped"}:
        os.kill(processes[rank], signal.SIGKILL if how == "killed" else signal.SIGSTOP)
    elif struck and how == "out of memory":
        take_memory(processes[rank])
        struck = False  # it may have all it needs
    try:
        _, err = process.communicate(timeout=(DEADLINE + GRACE) if struck else LONGEST)
    except subprocess.TimeoutExpired:
        if how == "out of memory":  # it had all it needed, and the job is a long one
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return "out of memory, had enough", ""
        living = [pid for pid in processes.values() if is_running(pid)]
        os.killpg(process.pid, signal.SIGKILL)
        _, err = process.communicate()
        if struck and not living:  # seen with Open MPI 4.1.4, when a rank dies before it has met the launcher
            return f"{how}, launcher hangs after all ranks ended", ""
        return "?", f"{form}, rank {rank}, {how} at {moment:.2f} s: still running {DEADLINE + GRACE} s later\n{err[-1500:]}"
    phases = re.findall(r"was at: ([a-z]+)", err)
    phase = phases[0] if phases else ("none" if process.returncode == 0 else "start")
    problems = []
    allowed = {0, 7, 128 + signal.SIGKILL, 128 + signal.SIGTERM, 130}
    if how == "out of memory":  # libraries that do not check what they get
        allowed |= {128 + signal.SIGSEGV, 128 + signal.SIGABRT, 128 + signal.SIGBUS}
    if process.returncode not in allowed:
        problems.append(f"exit code {process.returncode}")
    if how == "another model" and process.returncode == 0 and rank != 0:
        problems.append("nobody noticed")
    if struck and process.returncode != 0 and f"rank {rank}" not in err and (how, rank) != ("another model", 0):
        problems.append("nobody names the rank")
    if [p for p in folder.iterdir() if p.name.endswith(".partial")]:
        problems.append("a temporary file is left")
    end = time.monotonic() + 3  # whose parent is gone are collected by the system
    while (left := [pid for pid in processes.values() if pathlib.Path(f"/proc/{pid}").exists()]) and time.monotonic() < end:
        time.sleep(0.1)
    if left:
        problems.append("a process is left")
    if process.returncode != 0 and (folder / "out.npz").exists() and len(np.load(folder / "out.npz")["y"]) != 30_000:
        problems.append("the output is not complete")
    told = f"{form}, rank {rank}, {how} at {moment:.2f} s: {', '.join(problems)}\n{err[-1500:]}"
    return f"{how}, {phase}", told if problems else ""


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    print(f"seed {seed}")
    chance = random.Random(seed)
    phases, failures = Counter(), 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        arguments = prepare(folder)
        for number in range(trials):
            phase, problem = trial(arguments, folder, chance)
            phases[phase] += 1
            failures += bool(problem)
            if problem:
                print(f"trial {number}: {problem}", flush=True)
    print(f"{trials - failures} of {trials} trials passed; struck at: {dict(phases)}")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
