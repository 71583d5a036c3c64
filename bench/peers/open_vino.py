"""OpenVINO as a peer: latency hint, one stream, at the given precision (its own default is bf16 where there is AMX)."""

from __future__ import annotations

import numpy as np
import openvino

VERSION = openvino.__version__


class Engine:
    def __init__(self, model: str, batch: int, threads: int, precision: str) -> None:
        properties = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        self.compiled_ = openvino.Core().compile_model(model, "CPU", properties)
        self.request_ = self.compiled_.create_infer_request()

    def run(self, value: np.ndarray) -> None:
        self.request_.infer([value], share_inputs=True, share_outputs=True)
