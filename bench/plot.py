#!/usr/bin/env python3
"""Draws a comparison's results: plot.py RESULTS.json PLOT.svg (or .png)."""

from __future__ import annotations

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

OURS = "sparse-run"


def main(source: str, target: str) -> None:
    with open(source) as file:
        results = json.load(file)
    groups: dict[tuple, list[dict]] = {}
    for case in results["cases"]:
        groups.setdefault((case["model"], case["batch"]), []).append(case)
    columns = min(3, len(groups))
    rows = -(-len(groups) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.6 * columns, 3.4 * rows), squeeze=False)
    for axis in axes.flat[len(groups):]:
        axis.set_visible(False)
    for axis, ((model, batch), cases) in zip(axes.flat, groups.items()):
        for name in results["engines"]:
            points = [
                (100 * case["zeros"], case["engines"][name]) for case in sorted(cases, key=lambda c: c["zeros"])
                if "median_ms" in case["engines"].get(name, {})
            ]
            if not points:
                continue
            medians = [engine["median_ms"] for _, engine in points]
            low = [engine["median_ms"] - min(engine["rounds_ms"]) for _, engine in points]
            high = [max(engine["rounds_ms"]) - engine["median_ms"] for _, engine in points]
            style = {"color": "black", "linewidth": 2, "zorder": 3} if name == OURS else {"linewidth": 1}
            axis.errorbar([x for x, _ in points], medians, yerr=[low, high], marker="o", capsize=2, label=name, **style)
        axis.set_title(f"{model}, batch {batch}")
        axis.set_xlabel("zeros in the weights, %")
        axis.set_ylabel("ms per batch")
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    machine = results["machine"]
    figure.suptitle(f"{machine['cpu']}, {results['threads']} threads, revision {machine['revision']}", fontsize=9)
    figure.tight_layout()
    figure.savefig(target)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
