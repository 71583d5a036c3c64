#!/usr/bin/env python3
"""Measures throughput over ranks of one machine, each pinned to one core, and prints it as a table in Markdown.

usage: scaling.py SPARSE_RUN MODEL.onnx... [--forms data,pipeline,rows] [--ranks 1,2] [--seconds 5] [--rounds 3]
       [--simulate TOPOLOGY.json]...

Configurations are interleaved, medians are reported. Every number in the first table was measured. With --simulate a
second table says what the simulator predicts for machines that are not here; nothing of it was measured.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile


def throughput(program: str, model: str, form: str, ranks: int, seconds: float) -> float:
    """Items per second of one run; ranks beyond the cores share them."""
    cores = sorted(os.sched_getaffinity(0))
    arguments = ["--benchmark", "--duration", str(seconds), "--threads", "1", model]
    if ranks == 1:
        command = ["taskset", "-c", str(cores[0]), program, *arguments]
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".sh", delete=False) as script:
            script.write("#!/bin/bash\ncores=(" + " ".join(map(str, cores)) + ")\n"
                         f"exec taskset -c ${{cores[$((OMPI_COMM_WORLD_RANK % {len(cores)}))]}} \"$@\"\n")
        os.chmod(script.name, 0o755)
        command = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", script.name, program, "--parallel", form,
                   *arguments]
    environment = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60 + 10 * seconds, check=False)
    finally:
        if ranks > 1:
            os.unlink(script.name)
    found = re.search(r"throughput\s+([0-9.e+]+) items/s", done.stdout)
    if done.returncode != 0 or not found:
        sys.exit(f"{' '.join(command)} gave exit code {done.returncode}:\n{done.stderr[-2000:]}")
    return float(found.group(1))


def measure(options: argparse.Namespace) -> None:
    print("| model | form | ranks | items/s | against one rank |\n|---|---|---|---|---|")
    for model in options.models:
        cases = [("one process", 1)] + [(form, ranks) for form in options.forms for ranks in options.ranks if ranks > 1]
        samples: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
        for _ in range(options.rounds):
            for case in cases:
                samples[case].append(throughput(options.program, model, *case, options.seconds))
        one = statistics.median(samples[cases[0]])
        for form, ranks in cases:
            rate = statistics.median(samples[form, ranks])
            print(f"| {os.path.basename(model)} | {form} | {ranks} | {rate:.4g} | {rate / one:.2f} |", flush=True)


def simulate(options: argparse.Namespace) -> None:
    for topology in options.simulate:
        print(f"\nSimulated, not measured: {os.path.basename(topology)}\n")
        for model in options.models:
            done = subprocess.run([options.program, "--simulate", topology, model], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                sys.exit(done.stderr)
            print(f"```\n{done.stdout.strip()}\n```")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--forms", type=lambda text: text.split(","), default=["data", "pipeline", "rows"])
    parser.add_argument("--ranks", type=lambda text: [int(word) for word in text.split(",")], default=[1, 2])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--simulate", action="append", default=[])
    options = parser.parse_args()
    measure(options)
    simulate(options)


if __name__ == "__main__":
    main()
