"""The engines of a comparison: each loads one model, then is measured in short rounds that alternate with the others'."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent


class EngineError(Exception):
    """An engine could not load or run the model; says what it said."""


@dataclass(frozen=True)
class Task:
    """One model at one input shape on the given CPUs."""

    model: pathlib.Path
    shape: tuple[int, ...]
    cpus: tuple[int, ...]


@dataclass(frozen=True)
class Loaded:
    """What loading cost: seconds until the first result, and the most memory (MB) beyond a bare interpreter's."""

    version: str
    load_first_run_s: float
    first_run_s: float
    peak_rss_mb: float


@dataclass(frozen=True)
class Round:
    """One short measurement."""

    median_ms: float
    min_ms: float
    runs: int


def last_line(path: pathlib.Path) -> str:
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"


class Peer:
    """An engine inside a Python process of its own, stopped by signal while the others are measured, so that a spinning
    thread pool does not disturb them."""

    LOAD_LIMIT_S = 300

    def __init__(self, name: str, environment: str, module: str, precision: str = "f32") -> None:
        self.name = name
        self.python_ = ROOT / environment / "bin/python"
        self.module_ = module
        self.precision = precision
        self.process_: subprocess.Popen | None = None

    def missing(self) -> str | None:
        """Why it cannot take part, if so."""
        if not self.python_.exists():
            return f"{self.python_.parent.parent.name} is not there: run bench/install_peers.sh"
        package = self.module_.replace("_", "")
        probe = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{package}') is None)"
        if subprocess.run([self.python_, "-c", probe], capture_output=True).returncode != 0:
            return f"{package} is not installed in {self.python_.parent.parent.name}"
        return None

    def load(self, task: Task, log: pathlib.Path) -> Loaded:
        self.log_ = log
        command = [
            str(self.python_), str(ROOT / "bench/peers/serve.py"), self.module_, str(task.model),
            ",".join(map(str, task.shape)), str(len(task.cpus)), self.precision,
        ]
        with open(log, "w") as errors:
            self.process_ = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                preexec_fn=lambda: os.sched_setaffinity(0, task.cpus),
            )
        answer = self.answer_(self.LOAD_LIMIT_S)
        self.pause_()
        return Loaded(
            answer["version"], answer["load_s"] + answer["first_run_s"], answer["first_run_s"],
            answer["peak_rss_mb"] - answer["rss_before_mb"],
        )

    def measure(self, warmup_s: float, duration_s: float, least_runs: int) -> Round:
        self.process_.send_signal(signal.SIGCONT)
        request = {"warmup_s": warmup_s, "duration_s": duration_s, "least_runs": least_runs}
        self.process_.stdin.write(json.dumps(request) + "\n")
        self.process_.stdin.flush()
        answer = self.answer_(self.LOAD_LIMIT_S)
        self.pause_()
        return Round(**answer)

    def close(self) -> None:
        if self.process_ is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process_.kill()
        self.process_.wait()
        self.process_.stdin.close()
        self.process_.stdout.close()
        self.process_ = None

    def pause_(self) -> None:
        self.process_.send_signal(signal.SIGSTOP)

    def answer_(self, limit_s: float) -> dict:
        with selectors.DefaultSelector() as selector:
            selector.register(self.process_.stdout, selectors.EVENT_READ)
            if not selector.select(limit_s):
                raise EngineError(f"no answer within {limit_s:.0f} s")
        line = self.process_.stdout.readline()
        if not line:
            code = self.process_.wait()
            raise EngineError(f"ended with {code}: {last_line(self.log_)}")
        return json.loads(line)


class SparseRun:
    """This project's executable: started anew for every round, its own warm-up included."""

    name = "sparse-run"
    precision = "f32"
    LIMIT_S = 600

    def __init__(self, executable: pathlib.Path, options: list[str]) -> None:
        self.executable_ = executable
        self.options_ = options

    def missing(self) -> str | None:
        return None if os.access(self.executable_, os.X_OK) else f"{self.executable_} is not there: run 'make build'"

    def load(self, task: Task, log: pathlib.Path) -> Loaded:
        """The time is the whole process's: start, load, compile, first run, end."""
        self.task_, self.log_ = task, log
        self.run_([])  # brings the executable and the model into the page cache, as they are for the peers
        start = time.perf_counter()
        self.run_([])
        elapsed = time.perf_counter() - start
        measured = self.benchmark_(["--warmup", "0", "--iterations", "1"])
        version = subprocess.run([self.executable_, "--version"], capture_output=True, text=True).stdout.strip()
        return Loaded(version, elapsed, measured["latency_ms"]["p50"] / 1e3, measured["peak_rss_mb"])

    def measure(self, warmup_s: float, duration_s: float, least_runs: int) -> Round:
        del least_runs  # the caller's duration leaves room for them
        measured = self.benchmark_(["--warmup", f"{warmup_s:g}", "--duration", f"{duration_s:g}"])
        latency = measured["latency_ms"]
        return Round(latency["p50"], latency["min"], latency["count"])

    def close(self) -> None:
        pass

    def benchmark_(self, arguments: list[str]) -> dict:
        return json.loads(self.run_(["--benchmark", "--json", "-", *arguments]))

    def run_(self, arguments: list[str]) -> str:
        command = [str(self.executable_), str(self.task_.model), "--threads", str(len(self.task_.cpus))]
        command += ["--input", "input=random:-1,1", *self.options_, *arguments]
        with open(self.log_, "w") as errors:
            try:
                done = subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
                    timeout=self.LIMIT_S, preexec_fn=lambda: os.sched_setaffinity(0, self.task_.cpus),
                )
            except subprocess.TimeoutExpired as expired:
                raise EngineError(f"no answer within {self.LIMIT_S} s") from expired
        if done.returncode != 0:
            raise EngineError(f"ended with {done.returncode}: {last_line(self.log_)}")
        return done.stdout


def peers() -> list[Peer]:
    """Every engine that a user could pick instead, f32 first."""
    known = [
        Peer("onnxruntime", ".venv-peers", "onnx_runtime"),
        Peer("openvino", ".venv-peers", "open_vino"),
        Peer("deepsparse", ".venv-deepsparse", "deep_sparse"),
    ]
    if "amx_bf16" in pathlib.Path("/proc/cpuinfo").read_text():
        known.append(Peer("openvino-bf16", ".venv-peers", "open_vino", precision="bf16"))
    return known
