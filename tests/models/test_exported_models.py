"""BERT and ResNet as generations of exporters write them agree with ONNX Runtime at several dynamic shapes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from bench import models as bench_models
from models import torch_style
from models.agreement import assert_agreement

TOLERANCE = 1e-4
OPSETS = sorted(torch_style.IR_VERSION_OF_OPSET)


def save(model: onnx.ModelProto, folder, **options):
    path = folder / "model.onnx"
    onnx.save(model, path, **options)
    return path


def token_inputs(batch: int, tokens: int) -> dict[str, np.ndarray]:
    seed = 100 * batch + tokens
    print(f"seed {seed}")
    random = np.random.default_rng(seed)
    lengths = random.integers(1, tokens + 1, (batch, 1))
    return {
        "input_ids": random.integers(0, 101, (batch, tokens), dtype=np.int64),
        "attention_mask": (np.arange(tokens) < lengths).astype(np.int64),
    }


def image_inputs(*shape: int) -> dict[str, np.ndarray]:
    seed = sum(shape)
    print(f"seed {seed}")
    return {"input": np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)}


@pytest.mark.parametrize("shape", [(1, 1), (1, 16), (3, 7)], ids=str)
@pytest.mark.parametrize("opset", OPSETS)
def test_bert_agrees(tmp_path, opset, shape):
    path = save(torch_style.bert(opset), tmp_path)
    assert_agreement(path, token_inputs(*shape), tmp_path, TOLERANCE)


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (2, 3, 33, 47)], ids=str)
@pytest.mark.parametrize("opset", OPSETS)
def test_resnet_with_batch_norm_agrees(tmp_path, opset, shape):
    path = save(torch_style.resnet(opset), tmp_path)
    assert_agreement(path, image_inputs(*shape), tmp_path, TOLERANCE)


@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.95, 1.0])
def test_resnet_agrees_at_any_share_of_zeros(tmp_path, zeros):
    path = save(torch_style.resnet(17, zeros=zeros, batch_norm=False), tmp_path)
    assert_agreement(path, image_inputs(2, 3, 40, 40), tmp_path, TOLERANCE)


@pytest.mark.parametrize("opset", [13, 20])
def test_half_precision_weights_agree(tmp_path, opset):
    # The weights are stored as f16 and widened, so the arithmetic is f32 on both sides.
    path = save(torch_style.bert(opset, half_weights=True), tmp_path)
    assert_agreement(path, token_inputs(2, 9), tmp_path, TOLERANCE)
    path = save(torch_style.resnet(opset, half_weights=True), tmp_path)
    assert_agreement(path, image_inputs(1, 3, 48, 48), tmp_path, TOLERANCE)


def test_external_data_agrees(tmp_path):
    path = save(
        torch_style.bert(17), tmp_path, save_as_external_data=True, all_tensors_to_one_file=True,
        location="weights.bin", size_threshold=64,
    )
    assert (tmp_path / "weights.bin").stat().st_size > 100_000
    assert_agreement(path, token_inputs(2, 9), tmp_path, TOLERANCE)


def test_external_data_in_many_files_agrees(tmp_path):
    path = save(
        torch_style.resnet(17), tmp_path, save_as_external_data=True, all_tensors_to_one_file=False, size_threshold=64
    )
    assert_agreement(path, image_inputs(1, 3, 40, 40), tmp_path, TOLERANCE)


def test_running_elsewhere_finds_external_data(tmp_path, monkeypatch):
    folder = tmp_path / "model"
    folder.mkdir()
    path = save(torch_style.resnet(13), folder, save_as_external_data=True, location="w.bin", size_threshold=64)
    monkeypatch.chdir(tmp_path)
    assert_agreement(path.relative_to(tmp_path), image_inputs(1, 3, 40, 40), tmp_path, TOLERANCE)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("zeros", [0.0, 0.9])
def test_benchmark_models_agree(tmp_path, zeros, batch):
    # Reduced in width and size: what is compared is the graph, and the full ones take minutes on a slow machine.
    path = save(bench_models.resnet50(zeros, batch, width=16, size=64, classes=20), tmp_path)
    assert_agreement(path, image_inputs(batch, 3, 64, 64), tmp_path, TOLERANCE)
    path = save(bench_models.mobilenet_v1(zeros, batch, width=8, size=64, classes=20), tmp_path)
    assert_agreement(path, image_inputs(batch, 3, 64, 64), tmp_path, TOLERANCE)
    path = save(bench_models.bert(zeros, batch, tokens=24, layers=2, width=96, inner=384, heads=6), tmp_path)
    assert_agreement(path, image_inputs(batch, 24, 96), tmp_path, TOLERANCE)
    path = save(bench_models.mlp(zeros, batch, width=256), tmp_path)
    assert_agreement(path, image_inputs(batch, 256), tmp_path, TOLERANCE)


@pytest.mark.parametrize("batch", [1, 4])
def test_symbolic_batch_agrees(tmp_path, batch):
    path = save(bench_models.bert(0.9, "N", tokens="T", layers=1, width=96, inner=384, heads=6), tmp_path)
    assert_agreement(path, image_inputs(batch, 5, 96), tmp_path, TOLERANCE)
