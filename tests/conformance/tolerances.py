"""How far a result may be from the expected one, per operator, each with its reason."""

from __future__ import annotations

from typing import NamedTuple

from onnx import TensorProto


class Tolerance(NamedTuple):
    relative: float
    absolute: float
    reason: str


# What ONNX's own runner uses.
DEFAULT = Tolerance(1e-3, 1e-7, "the standard's own")

BY_OPERATOR = {
    "DFT": Tolerance(1e-3, 1e-4, "f32 sums of cancelling terms; the expected values were computed in f64"),
    "STFT": Tolerance(1e-3, 1e-4, "f32 sums of cancelling terms; the expected values were computed in f64"),
    "MelWeightMatrix": Tolerance(1e-3, 1e-5, "bin edges pass through exp and log"),
    "Attention": Tolerance(1e-3, 1e-5, "sums in another order than the expected f32 values"),
    "Conv": Tolerance(1e-3, 1e-5, "sums in another order than the expected f32 values"),
    "ConvTranspose": Tolerance(1e-3, 1e-5, "sums in another order than the expected f32 values"),
    "DeformConv": Tolerance(1e-3, 1e-5, "sums in another order than the expected f32 values"),
    "Einsum": Tolerance(1e-3, 1e-5, "sums in another order than the expected f32 values"),
    "Gemm": Tolerance(1e-3, 1e-5, "sums in another order than the expected f32 values"),
    "MatMul": Tolerance(1e-3, 1e-5, "sums in another order than the expected f32 values"),
    "GRU": Tolerance(1e-3, 1e-5, "matrix products fed back step after step"),
    "LSTM": Tolerance(1e-3, 1e-5, "matrix products fed back step after step"),
    "RNN": Tolerance(1e-3, 1e-5, "matrix products fed back step after step"),
    "BatchNormalization": Tolerance(1e-3, 1e-6, "x·scale - mean·scale cancels near zero"),
    "GroupNormalization": Tolerance(1e-3, 1e-6, "subtracting the mean cancels near zero"),
    "InstanceNormalization": Tolerance(1e-3, 1e-6, "subtracting the mean cancels near zero"),
    "LayerNormalization": Tolerance(1e-3, 1e-6, "subtracting the mean cancels near zero"),
    "MeanVarianceNormalization": Tolerance(1e-3, 1e-6, "subtracting the mean cancels near zero"),
    "ReduceMean": Tolerance(1e-3, 1e-6, "expanded normalisations subtract the mean, which cancels near zero"),
    "ReduceSum": Tolerance(1e-3, 1e-6, "positive and negative terms cancel"),
    "Resize": Tolerance(1e-3, 1e-5, "cubic weights of both signs cancel"),
    "GridSample": Tolerance(1e-3, 1e-5, "cubic weights of both signs cancel"),
    "AffineGrid": Tolerance(1e-3, 1e-6, "rotations cancel near zero"),
    "Sin": Tolerance(1e-3, 1e-6, "crosses zero"),
    "Cos": Tolerance(1e-3, 1e-6, "crosses zero; expanded windows (Hann, Hamming, Blackman) end at it"),
    "HannWindow": Tolerance(1e-3, 1e-6, "ends at zero, where f32 cosines cancel"),
    "HammingWindow": Tolerance(1e-3, 1e-6, "ends near zero, where f32 cosines cancel"),
    "BlackmanWindow": Tolerance(1e-3, 1e-6, "ends at zero, where f32 cosines cancel"),
}

# One unit in the last place of the expected output's type, where that is more than the operator's tolerance.
BY_TYPE = {
    TensorProto.FLOAT16: Tolerance(2e-3, 1e-3, "one f16 rounding step is 1e-3"),
    TensorProto.BFLOAT16: Tolerance(1.6e-2, 1e-2, "one bf16 rounding step is 8e-3"),
}


def tolerance(operators: list[str], output_types: set[int]) -> Tolerance:
    """The widest of those that apply."""
    chosen = [DEFAULT]
    chosen += [BY_OPERATOR[name] for name in operators if name in BY_OPERATOR]
    chosen += [BY_TYPE[kind] for kind in output_types if kind in BY_TYPE]
    relative = max(entry.relative for entry in chosen)
    absolute = max(entry.absolute for entry in chosen)
    return Tolerance(relative, absolute, "; ".join(dict.fromkeys(entry.reason for entry in chosen)))
