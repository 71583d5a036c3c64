#!/usr/bin/env python3
"""Compares sparse-run with ONNX Runtime, OpenVINO and DeepSparse in one run: short rounds that alternate between them.

Needs only Python's standard library; models and plot are made in .venv-peers (bench/install_peers.sh). Writes
results.json, results.md and results.svg into build/bench/.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import shlex
import subprocess
import sys
from dataclasses import asdict

import engines
import machine
import report

ROOT = engines.ROOT


def environment_with_onnx() -> pathlib.Path:
    """A Python that can write the models."""
    for name in (".venv-peers", ".venv"):
        python = ROOT / name / "bin/python"
        if python.exists() and subprocess.run([python, "-c", "import numpy, onnx"], capture_output=True).returncode == 0:
            return python
    sys.exit("compare.py: no environment with numpy and onnx to write the models with: run bench/install_peers.sh")


def write_model(python: pathlib.Path, folder: pathlib.Path, case: dict) -> pathlib.Path:
    command = [python, ROOT / "bench/models.py", "--out", folder, "--model", case["model"]]
    command += ["--zeros", str(case["zeros"]), "--batch", str(case["batch"])]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"compare.py: {report.title(case)} cannot be written: {done.stderr.strip()}")
    return pathlib.Path(done.stdout.strip())


def chosen_cases(description: dict, options: argparse.Namespace) -> list[dict]:
    cases = description["cases"]
    if not (options.all or options.model or options.zeros or options.batch):
        cases = [case for case in cases if case["core"]]
    if options.model:
        cases = [case for case in cases if case["model"] in options.model]
    if options.zeros:
        cases = [case for case in cases if any(abs(case["zeros"] - zeros) < 1e-9 for zeros in options.zeros)]
    if options.batch:
        cases = [case for case in cases if case["batch"] in options.batch]
    if not cases:
        sys.exit(f"compare.py: no case in {options.cases} is left with these --model, --zeros, --batch")
    return cases


def measure_case(case: dict, task: engines.Task, entrants: list, options: argparse.Namespace) -> dict:
    """Loads the model everywhere, then measures round by round; an engine that fails drops out with its message."""
    measured: dict[str, dict] = {entrant.name: {} for entrant in entrants}
    running = []
    try:
        for entrant in entrants:
            try:
                loaded = entrant.load(task, options.out / f"{entrant.name}.log")
            except engines.EngineError as error:
                measured[entrant.name]["error"] = str(error)
                entrant.close()
                continue
            measured[entrant.name] = {"loaded": asdict(loaded), "rounds_ms": [], "least_ms": [], "runs": []}
            running.append((entrant, max(options.round_seconds, options.least_runs * loaded.first_run_s)))
        for index in range(options.rounds):
            turn = index % len(running) if running else 0
            for entrant, duration in [*running[turn:], *running[:turn]]:
                record = measured[entrant.name]
                if "error" in record:
                    continue
                try:
                    result = entrant.measure(options.warmup, duration, options.least_runs)
                except engines.EngineError as error:
                    measured[entrant.name] = {"loaded": record["loaded"], "error": str(error)}
                    continue
                record["rounds_ms"].append(result.median_ms)
                record["least_ms"].append(result.min_ms)
                record["runs"].append(result.runs)
    finally:
        for entrant in entrants:
            entrant.close()
    return {**case, "engines": measured}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=pathlib.Path, default=ROOT / "bench/cases.json")
    parser.add_argument("--all", action="store_true", help="every case, not only those that carry a floor")
    parser.add_argument("--model", nargs="+", help="only these models")
    parser.add_argument("--zeros", type=float, nargs="+", help="only these shares of zeros")
    parser.add_argument("--batch", type=int, nargs="+", help="only these batches")
    parser.add_argument("--engine", nargs="+", help="only these engines; sparse-run always takes part")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--round-seconds", type=float, default=0.8)
    parser.add_argument("--least-runs", type=int, default=3, help="runs per round at least")
    parser.add_argument("--warmup", type=float, default=0.3, help="seconds before each round")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/bench")
    parser.add_argument("--options", default="", help="more options for sparse-run, as one string")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a floor or limit is missed")
    return parser.parse_args()


def main() -> int:
    options = parse()
    options.out = options.out.absolute()
    description = json.loads(options.cases.read_text())
    cases = chosen_cases(description, options)
    executable = pathlib.Path(os.environ.get("SPARSE_RUN") or ROOT / "build/release/bin/sparse-run").absolute()
    entrants = []
    for entrant in [engines.SparseRun(executable, shlex.split(options.options)), *engines.peers()]:
        if options.engine and entrant.name not in [*options.engine, report.OURS]:
            continue
        reason = entrant.missing()
        if reason and entrant.name == report.OURS:
            sys.exit(f"compare.py: {reason}")
        if reason:
            print(f"{entrant.name} does not take part: {reason}", file=sys.stderr)
        else:
            entrants.append(entrant)
    available = sorted(os.sched_getaffinity(0))
    if len(available) < options.threads:
        sys.exit(f"compare.py: --threads {options.threads}, but only {len(available)} CPUs can be used")
    python = environment_with_onnx()
    options.out.mkdir(parents=True, exist_ok=True)
    results = {
        "schema": 1,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine.describe(ROOT),
        "threads": options.threads,
        "rounds": options.rounds,
        "engines": [entrant.name for entrant in entrants],
        "cases": [],
    }
    for number, case in enumerate(cases, start=1):
        model = write_model(python, options.out / "models", case)
        shape = (case["batch"], *description["inputs"][case["model"]])
        task = engines.Task(model, shape, tuple(available[: options.threads]))
        measured = measure_case(case, task, entrants, options)
        report.judge(measured, description["limits"])
        results["cases"].append(measured)
        cells = [f"{name} {report.time_cell(engine)}" for name, engine in measured["engines"].items()]
        print(f"[{number}/{len(cases)}] {report.title(case)}: {', '.join(cells)}", file=sys.stderr)
        for name, engine in measured["engines"].items():
            if "error" in engine:
                print(f"    {name}: {engine['error']}", file=sys.stderr)
        # After every case, so that an interrupted run leaves what it has.
        (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    text = report.tables(results)
    (options.out / "results.md").write_text(text + "\n")
    print(text)
    plot = [python, ROOT / "bench/plot.py", options.out / "results.json", options.out / "results.svg"]
    drawn = subprocess.run(list(map(str, plot)), capture_output=True, text=True)
    if drawn.returncode != 0:
        reason = (drawn.stderr.strip().splitlines() or ["unknown reason"])[-1]
        print(f"no plot was drawn: {reason}", file=sys.stderr)
    print(f"written to {options.out}: results.json, results.md" + ("" if drawn.returncode else ", results.svg"))
    if any("error" in case["engines"][report.OURS] for case in results["cases"]):
        return 1
    missed = any(e["verdict"] == "missed" for case in results["cases"] for e in [*case["floors"], *case["limits"]])
    return 1 if options.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main())
