#!/usr/bin/env python3
"""Prints the share of right answers in an output file of sparse-run: accuracy.py OUTPUT.npz LABELS.npy."""

from __future__ import annotations

import sys

from numpy_file import load_npy, load_npz


def accuracy(output: str, labels: str) -> float:
    """Compares the largest logit of every image with its label."""
    logits = load_npz(output)["logits"]
    expected = load_npy(labels)
    images, classes = logits.shape
    if expected.shape != (images,):
        raise ValueError(f"{output} holds {images} answers, {labels} holds {expected.shape[0]} labels")
    right = 0
    for image in range(images):
        row = logits.values[image * classes : (image + 1) * classes]
        right += max(range(classes), key=row.__getitem__) == expected.values[image]
    return right / images


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(f"{accuracy(sys.argv[1], sys.argv[2]):.4f}")
