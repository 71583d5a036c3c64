"""DeepSparse as a peer (its last release, 1.8)."""

from __future__ import annotations

import os

os.environ["NM_DISABLE_ANALYTICS"] = "1"
os.environ["NM_SPARSEZOO_ANALYTICS"] = "false"

import deepsparse  # noqa: E402
import numpy as np  # noqa: E402

VERSION = deepsparse.__version__


class Engine:
    def __init__(self, model: str, batch: int, threads: int, precision: str) -> None:
        if precision != "f32":
            raise ValueError(f"DeepSparse has no {precision} mode")
        self.engine_ = deepsparse.Engine(model, batch_size=batch, num_cores=threads)

    def run(self, value: np.ndarray) -> None:
        self.engine_.run([value])
