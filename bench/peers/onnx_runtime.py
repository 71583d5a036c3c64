"""ONNX Runtime as a peer: default optimisations, one thread pool of the given size."""

from __future__ import annotations

import numpy as np
import onnxruntime

VERSION = onnxruntime.__version__


class Engine:
    def __init__(self, model: str, batch: int, threads: int, precision: str) -> None:
        if precision != "f32":
            raise ValueError(f"ONNX Runtime's CPU provider has no {precision} mode")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session_ = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.input_ = self.session_.get_inputs()[0].name

    def run(self, value: np.ndarray) -> None:
        self.session_.run(None, {self.input_: value})
