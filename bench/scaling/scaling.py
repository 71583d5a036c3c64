#!/usr/bin/env python3
"""Measures throughput over ranks of one machine, each pinned to one core, and prints it as a table in Markdown.

usage: scaling.py SPARSE_RUN MODEL.onnx... [--forms data,pipeline,rows] [--ranks 1,2] [--seconds 5] [--rounds 3]
       [--simulate TOPOLOGY.json]...

Configurations are interleaved, medians are reported. "Alone" are as many processes, which know nothing of each other: what
the machine can do at best. "Of slowest stage" is a pipeline's throughput as a share of what its slowest stage would reach if
it never waited: the largest share of time that a rank computed. The last column is what the simulator expected, and how
far it was off: of a pipeline in the same run, from its stages as measured; of requests that are spread, a multiple of one
rank. With --simulate a second table says what the simulator predicts for machines that are not here;
nothing of it was measured.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile

ALONE = "alone"  # as many processes as ranks, on a core each


ENVIRONMENT = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def run(command: list[str], seconds: float) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=120 + 10 * seconds, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} gave exit code {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def rate_in(text: str) -> float:
    found = re.search(r"throughput\s+([0-9.e+]+) items/s", text)
    if not found:
        sys.exit(f"no throughput in:\n{text[-2000:]}")
    return float(found.group(1))


def mpirun(program: str, ranks: int, arguments: list[str], seconds: float) -> str:
    """Ranks pinned to one core each; those beyond the cores share them."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.NamedTemporaryFile("w", suffix=".sh", delete=False) as script:
        script.write("#!/bin/bash\ncores=(" + " ".join(map(str, cores)) + ")\n"
                     f"exec taskset -c ${{cores[$((OMPI_COMM_WORLD_RANK % {len(cores)}))]}} \"$@\"\n")
    os.chmod(script.name, 0o755)
    try:
        return run(["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", script.name, program, *arguments], seconds)
    finally:
        os.unlink(script.name)


def simulated_rate(text: str) -> float:
    """Items per second that the simulator expected of the run that printed `text`; 0 where it did not say."""
    told = re.search(r"simulated with the stages as measured: ([0-9.e+]+) requests/s", text)
    items, requests = re.search(r"throughput\s+([0-9.e+]+) items/s \(([0-9.e+]+) requests/s", text).groups()
    return float(told.group(1)) * float(items) / float(requests) if told else 0


def busiest_share(text: str) -> float:
    """The largest share of its time that a rank computed, by the table of ranks."""
    bubbles = re.findall(r"^ *\d+ +\d+ .*? ([0-9.]+)% ", text, re.MULTILINE)
    return 1 - min(map(float, bubbles)) / 100 if bubbles else 0


def run_form(program: str, model: str, form: str, ranks: int, seconds: float) -> tuple[float, float, float]:
    """Items per second of one run, what the simulator expected, and the busiest rank's share of computing; 0: not known."""
    cores = sorted(os.sched_getaffinity(0))
    arguments = ["--benchmark", "--duration", str(seconds), "--threads", "1", model]
    if form == ALONE:
        processes = [subprocess.Popen(["taskset", "-c", str(core), program, *arguments], stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, text=True) for core in cores[:ranks]]
        return sum(rate_in(process.communicate()[0]) for process in processes), 0, 0
    if ranks == 1:
        return rate_in(run(["taskset", "-c", str(cores[0]), program, *arguments], seconds)), 0, 0
    text = mpirun(program, ranks, ["-v", "--parallel", form, *arguments], seconds)
    return rate_in(text), simulated_rate(text), busiest_share(text)


def measure(options: argparse.Namespace) -> None:
    print("| model | form | ranks | items/s | against one rank | of slowest stage | simulated |\n|---|---|---|---|---|---|---|")
    errors = []
    for model in options.models:
        several = [ranks for ranks in options.ranks if ranks > 1]
        cases = [("one process", 1), *((ALONE, ranks) for ranks in several)]
        cases += [(form, ranks) for form in options.forms for ranks in several]
        samples: dict[tuple[str, int], list[tuple[float, float, float]]] = {case: [] for case in cases}
        for _ in range(options.rounds):
            for case in cases:
                samples[case].append(run_form(options.program, model, *case, options.seconds))
        one = statistics.median(rate for rate, _, _ in samples[cases[0]])
        for form, ranks in cases:
            runs = samples[form, ranks]
            rate = statistics.median(rate for rate, _, _ in runs)
            busiest = statistics.median(share for _, _, share in runs)
            if form == "data":
                runs = [(rate, ranks * one, share) for rate, _, share in runs]
            off = [told / rate - 1 for rate, told, _ in runs if told]
            errors += [abs(error) for error in off]
            told = f"{statistics.median(told for _, told, _ in runs):.4g} ({100 * statistics.median(off):+.0f}%)" if off else ""
            share = f"{100 * busiest:.0f}%" if form == "pipeline" else ""
            print(f"| {os.path.basename(model)} | {form} | {ranks} | {rate:.4g} | {rate / one:.2f} | {share} | {told} |", flush=True)
    if errors:
        print(f"\nSimulated against measured, {len(errors)} runs: median error {100 * statistics.median(errors):.0f}%")


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
