#!/usr/bin/env python3
"""Graph networks against ONNX Runtime, and a sum over edges against SciPy: rounds that alternate between them.

Needs numpy, scipy, onnx and onnxruntime. Prints a Markdown table of medians and ratios, with peak memory of one plain
run of sparse-run beside three times the size of features and compressed rows.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
import scipy.sparse

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/gnn"))
import graph_models  # noqa: E402


def model_of(name: str, features: int) -> onnx.ModelProto:
    spelling = graph_models.SPELLINGS["script"]
    sizes = [features, features, 40]
    if name == "spmm":
        w = graph_models.Writer(0)
        m = graph_models.Messages(w, spelling)
        return w.model(graph_models.inputs_of(features), m.scatter(m.gather("x", m.source), [features]), ["nodes", features])
    if name == "gat":
        return graph_models.gat(sizes, spelling, heads=8)
    return graph_models.MODELS[name](sizes, spelling)


class Ours:
    def __init__(self, binary: str, model: pathlib.Path, inputs: list[str], threads: int) -> None:
        self.command = [binary, "--threads", str(threads), *inputs, str(model)]

    def round(self, seconds: float) -> list[float]:
        measure = ["--benchmark", "--warmup", "0.5", "--duration", str(seconds), "--json", "-"]
        done = subprocess.run(self.command + measure, capture_output=True, text=True, check=True)
        return [json.loads(done.stdout)["latency_ms"]["p50"]]

    def peak_mib(self) -> float:
        """Of one plain run, as the process itself saw it."""
        done = subprocess.run(self.command + ["-q", "--json", "-"], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)["peak_rss_mb"]


def timed(call, runs: int) -> list[float]:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "build/release/bin/sparse-run"))
    parser.add_argument("--models", nargs="+", default=["sage", "gcn", "gin", "gat", "spmm"])
    parser.add_argument("--nodes", type=int, default=169_343)
    parser.add_argument("--edges", type=int, default=1_166_243)
    parser.add_argument("--features", type=int, default=128)
    parser.add_argument("--exponent", type=float, default=0.7, help="of the power law of both ends (0.7)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    random = np.random.default_rng(0)
    x = random.standard_normal((options.nodes, options.features), dtype=np.float32)
    edges = graph_models.power_law_edges(random, options.nodes, options.edges, options.exponent)
    degrees = np.bincount(edges[1], minlength=options.nodes)
    print(f"{options.nodes} nodes, {options.edges} edges, most into one node {degrees.max()}, {options.features} features, ")
    print(f"{options.threads} threads, ONNX Runtime {onnxruntime.__version__}, SciPy {scipy.__version__} (one thread)\n")
    limit = 3 * (x.nbytes + 4 * options.edges + 4 * (options.nodes + 1))
    print("| model | sparse-run ms | peer | peer ms | ratio | peak memory MiB | 3 × (features + CSR) MiB |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        np.save(folder / "x.npy", x)
        np.save(folder / "edges.npy", edges)
        inputs = ["--input", f"x={folder / 'x.npy'}", "--input", f"edge_index={folder / 'edges.npy'}"]
        for model_name in options.models:
            path = folder / f"{model_name}.onnx"
            onnx.save(model_of(model_name, options.features), path)
            threads = 1 if model_name == "spmm" else options.threads
            ours = Ours(options.binary, path, inputs, threads)
            if model_name == "spmm":
                places = np.arange(options.edges)[np.argsort(edges[1], kind="stable")]
                begin = np.concatenate([[0], np.cumsum(degrees)])
                matrix = scipy.sparse.csr_matrix(
                    (np.ones(options.edges, np.float32), edges[0][places].astype(np.int32), begin), shape=(options.nodes,) * 2
                )
                peer, call = "SciPy", lambda: matrix @ x
            else:
                settings = onnxruntime.SessionOptions()
                settings.intra_op_num_threads = options.threads
                session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
                feeds = {"x": x, "edge_index": edges}
                peer, call = "ONNX Runtime", lambda: session.run(None, feeds)
            mine, theirs = [], []
            for _ in range(options.rounds):
                mine += ours.round(1.0)
                theirs += timed(call, 3 if model_name == "spmm" else 1)
            a, b = np.median(mine), np.median(theirs)
            peak = ours.peak_mib()
            print(f"| {model_name} | {a:.1f} | {peer} | {b:.0f} | {b / a:.2f} | {peak:.0f} | {limit / 2**20:.0f} |", flush=True)


if __name__ == "__main__":
    main()
