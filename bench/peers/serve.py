"""Holds one model in one peer and measures on request, speaking JSON lines: serve.py ENGINE MODEL SHAPE THREADS PRECISION.

After loading it writes {"version", "load_s", "first_run_s", "rss_before_mb", "peak_rss_mb"}. Each line it then reads,
{"warmup_s", "duration_s", "least_runs"}, is answered with {"median_ms", "min_ms", "runs"}. It ends with its input.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import statistics
import sys
import time

import numpy as np


def resident_mb() -> float:
    """Memory of this process now, in MB of 10^6 bytes."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 1e6


def peak_mb() -> float:
    """The most it ever was. From the status file: getrusage would count the parent's share at the fork."""
    with open("/proc/self/status") as status:
        (line,) = [line for line in status if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e6


def measure(engine, value: np.ndarray, warmup_s: float, duration_s: float, least_runs: int) -> dict:
    end = time.perf_counter() + warmup_s
    while time.perf_counter() < end:
        engine.run(value)
    times = []
    end = time.perf_counter() + duration_s
    while len(times) < least_runs or time.perf_counter() < end:
        start = time.perf_counter()
        engine.run(value)
        times.append(1e3 * (time.perf_counter() - start))
    return {"median_ms": statistics.median(times), "min_ms": min(times), "runs": len(times)}


def main() -> None:
    name, model, shape, threads, precision = sys.argv[1:]
    # Whatever a library prints goes to stderr; answers have a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    rss_before = resident_mb()
    start = time.perf_counter()
    module = importlib.import_module(name)
    import_s = time.perf_counter() - start
    dimensions = [int(d) for d in shape.split(",")]
    value = np.random.default_rng(0).uniform(-1, 1, dimensions).astype(np.float32)
    start = time.perf_counter()
    engine = module.Engine(model, dimensions[0], int(threads), precision)
    load_s = time.perf_counter() - start
    start = time.perf_counter()
    engine.run(value)
    first_run_s = time.perf_counter() - start
    loaded = {
        "version": module.VERSION, "import_s": import_s, "load_s": load_s, "first_run_s": first_run_s,
        "rss_before_mb": rss_before, "peak_rss_mb": peak_mb(),
    }
    print(json.dumps(loaded), file=answers)
    for line in sys.stdin:
        print(json.dumps(measure(engine, value, **json.loads(line))), file=answers)


if __name__ == "__main__":
    main()
