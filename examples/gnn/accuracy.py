#!/usr/bin/env python3
"""Prints how many nodes whose label training did not see are classified right: accuracy.py SCORES.npz LABELS.npz."""

from __future__ import annotations

import sys

import numpy as np

if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    chosen = np.load(sys.argv[1])["scores"].argmax(axis=1)
    given = np.load(sys.argv[2])
    held_out = ~given["seen"]
    right = (chosen == given["labels"])[held_out]
    print(f"{right.sum()} of {right.size} nodes right, {100 * right.mean():.1f}%")
