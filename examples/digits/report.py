#!/usr/bin/env python3
"""Prints accuracy, throughput and placement of the dense and the pruned run from what sparse-run wrote: report.py FOLDER."""

from __future__ import annotations

import json
import pathlib
import sys

from accuracy import accuracy

MODELS = ("dense", "pruned")


def table(rows: list[tuple[str, ...]], right: set[int]) -> str:
    """Columns padded to their widest cell; those in `right` are aligned to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def main(folder: pathlib.Path) -> None:
    labels = pathlib.Path(__file__).with_name("labels.npy")
    summary = [("model", "accuracy", "job", "images/s", "sustained", "images/s")]
    placement = {}
    for model in MODELS:
        measured = json.loads((folder / f"{model}.json").read_text())
        score = accuracy(str(folder / f"{model}.npz"), str(labels))
        sustained = json.loads((folder / f"{model}-benchmark.json").read_text())
        job = measured["job"]
        summary.append((
            model, f"{score:.2%}", f"{job['rows']} images in {1e3 * job['seconds']:.1f} ms",
            f"{job['rows_per_s']:,.0f}", f"{sustained['seconds']:.1f} s", f"{sustained['throughput']:,.0f}",
        ))
        placement[model] = measured["layers"]
    print(table(summary, right={1, 2, 3, 4, 5}))
    for model in MODELS:
        rows = [("layer", "op", "device", "kernel", "zeros", "ms")]
        for layer in placement[model]:
            zeros = layer["zeros"]
            rows.append((
                layer["name"], layer["op"], layer["device"], layer["kernel"],
                "-" if zeros is None else f"{zeros:.1%}", f"{layer['ms']:.3f}",
            ))
        print(f"\nwhere each layer of the {model} model ran")
        print(table(rows, right={4, 5}))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
