"""Finds and runs the executable under test, and says in one word how a run ended."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent
OK, USAGE, MODEL, UNSUPPORTED, MISMATCH, DEVICE, COMM, FILE, LIMIT = 0, 2, 3, 4, 5, 6, 7, 8, 9
INTERNAL, TIMEOUT, INTERRUPTED = 70, 124, 130


@dataclass(frozen=True)
class Result:
    """How a run ended. `exit_code` is negative when a signal killed it and None when it had to be stopped."""

    exit_code: int | None
    stdout: str
    stderr: str
    command: tuple[str, ...]

    @property
    def complaint(self) -> str:
        """The last line of stderr that says something: by contract the error."""
        lines = [line for line in self.stderr.splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def describe(self) -> str:
        """For assertion messages: the command, how it ended, what it said."""
        if self.exit_code is None:
            end = "did not end in time"
        elif self.exit_code < 0:
            end = f"was killed by {signal.Signals(-self.exit_code).name}"
        else:
            end = f"gave exit code {self.exit_code}"
        return f"{' '.join(self.command)}\n{end}\nstdout: {self.stdout[-2000:]}\nstderr: {self.stderr[-2000:]}"


def path() -> pathlib.Path:
    """The executable: SPARSE_RUN, or the release build's."""
    chosen = pathlib.Path(os.environ.get("SPARSE_RUN") or ROOT / "build/release/bin/sparse-run").absolute()
    if not os.access(chosen, os.X_OK) or not chosen.is_file():
        raise FileNotFoundError(f"{chosen} is not an executable: build it with 'make build' or name it in SPARSE_RUN")
    return chosen


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without options meant for the executable (SPARSE_RUN_…), plus `extra`. Kernels are
    chosen by estimate, and nothing is left in the user's cache folder, unless a test asks for it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SPARSE_RUN")}
    return kept | {"SPARSE_RUN_KERNEL_TIMING": "0", "SPARSE_RUN_CACHE_DIR": "none"} | extra


def run(*arguments: object, timeout: float = 60, cwd=None, env: dict[str, str] | None = None, preexec=None) -> Result:
    """Runs it to the end and returns how that was; a run longer than `timeout` seconds is stopped."""
    command = (str(path()), *map(str, arguments))
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=timeout, cwd=cwd,
            env=environment(**(env or {})), preexec_fn=preexec, stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as expired:
        said = [(part or b"").decode(errors="replace") for part in (expired.stdout, expired.stderr)]
        return Result(None, said[0], said[1], command)
    return Result(done.returncode, done.stdout, done.stderr, command)
