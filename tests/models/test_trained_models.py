"""The trained models inside PyPI packages agree with ONNX Runtime at several dynamic shapes."""

from __future__ import annotations

import numpy as np
import pytest

import executable
from models.agreement import assert_agreement
from models.fetch import fetch

# Relative to each value and to the root mean square of its tensor (agreement.py).
TOLERANCE = 1e-4
# Its outputs are softmax over logits up to 33, so an error of 5e-6 relative to the logits (1.6e-4 absolute) shows as
# 1.6e-4 relative in a probability. ONNX Runtime's own optimisation levels lie half as far apart.
RECOGNITION_TOLERANCE = 3e-4


@pytest.fixture(scope="session")
def trained():
    return fetch()


def generator(seed: int) -> np.random.Generator:
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def smooth_image(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Pictures in -1..1 with structure at several scales, as cameras give and white noise does not."""
    *outer, height, width = shape
    image = np.zeros(shape, np.float32)
    for cells in (2, 5, 16):
        coarse = random.uniform(-1, 1, (*outer, cells, cells)).astype(np.float32)
        rows = np.minimum(np.arange(height) * cells // height, cells - 1)
        columns = np.minimum(np.arange(width) * cells // width, cells - 1)
        image += coarse[..., rows[:, np.newaxis], columns] / 3
    return image


def lines_of_text(random: np.random.Generator, batch: int, channels: int, height: int, width: int) -> np.ndarray:
    """Dark handwritten digits in rows on a bright ground, in -1..1: what the text models were trained to see. On anything
    else their outputs are all zero but for rounding, and there would be nothing to compare."""
    digits = np.load(executable.ROOT / "examples/digits/images.npy")[:, 0] / 16
    zoom = 3 if height >= 32 else 1
    cell = 8 * zoom
    image = np.ones((batch, channels, height, width), np.float32)
    for row in range(4, height - cell, cell + 16):
        for column in range(4, width - cell, cell):
            for index in range(batch):
                digit = np.kron(digits[random.integers(len(digits))], np.ones((zoom, zoom), np.float32))
                image[index, :, row : row + cell, column : column + cell] -= 1.8 * digit
    return image + random.normal(0, 0.02, image.shape).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_open_nsfw_agrees(trained, tmp_path, batch):
    image = 127 * smooth_image(generator(batch), batch, 3, 224, 224)
    nhwc = np.ascontiguousarray(image.transpose(0, 2, 3, 1))
    assert_agreement(trained["open_nsfw"], {"input:0": nhwc}, tmp_path, TOLERANCE)


@pytest.mark.parametrize("shape", [(1, 3, 64, 96), (1, 3, 320, 480), (2, 3, 160, 160), (1, 3, 736, 64)], ids=str)
def test_text_detection_agrees(trained, tmp_path, shape):
    image = lines_of_text(generator(sum(shape)), *shape)
    assert_agreement(trained["ocr_detection"], {"x": image}, tmp_path, TOLERANCE)


@pytest.mark.parametrize("shape", [(1, 3, 48, 320), (6, 3, 48, 160), (2, 3, 48, 92), (1, 3, 48, 16)], ids=str)
def test_text_recognition_agrees(trained, tmp_path, shape):
    image = lines_of_text(generator(sum(shape)), *shape)
    assert_agreement(trained["ocr_recognition"], {"x": image}, tmp_path, RECOGNITION_TOLERANCE)


@pytest.mark.parametrize("shape", [(1, 3, 48, 192), (6, 3, 48, 192), (1, 3, 48, 100)], ids=str)
def test_text_angle_agrees(trained, tmp_path, shape):
    image = lines_of_text(generator(sum(shape)), *shape)
    assert_agreement(trained["ocr_angle"], {"x": image}, tmp_path, TOLERANCE)


def molecules(random: np.random.Generator, sizes: list[int]) -> dict[str, np.ndarray]:
    """Random tree-like molecules of the given numbers of atoms as one disconnected graph; what a molecule is too small
    to have (its ninth eigenvalue, say) is NaN, as the featuriser writes it."""
    nodes = sum(sizes)
    edges, offset = [], 0
    values, vectors = np.full((nodes, 8), np.nan, np.float32), np.full((nodes, 8), np.nan, np.float32)
    for size in sizes:
        for atom in range(1, size):
            other = int(random.integers(max(0, atom - 3), atom))
            edges += [(offset + atom, offset + other), (offset + other, offset + atom)]
        known = min(8, size)
        values[offset : offset + size, :known] = np.sort(random.uniform(0, 4, known))
        vectors[offset : offset + size, :known] = random.standard_normal((size, known)) / np.sqrt(size)
        offset += size
    edge_index = np.array(edges, np.int64).reshape(-1, 2).T
    return {
        "feat": random.integers(0, 2, (nodes, 85)).astype(np.float32),
        "edge_feat": random.integers(0, 2, (edge_index.shape[1], 13)).astype(np.float32),
        "edge_index": np.ascontiguousarray(edge_index),
        "laplacian_eigvec": vectors,
        "laplacian_eigval": values,
        "rw_return_probs": random.random((nodes, 16), dtype=np.float32),
        "batch": np.repeat(np.arange(len(sizes), dtype=np.int64), sizes),
        "graph_slots": np.zeros(len(sizes), np.float32),
    }


@pytest.mark.parametrize("sizes", [[9], [23, 4, 31], [17] * 20, [1, 12], [1, 1]], ids=str)
def test_molecular_graphs_agree(trained, tmp_path, sizes):
    inputs = molecules(generator(sum(sizes)), sizes)
    assert_agreement(trained["minimol"], inputs, tmp_path, TOLERANCE)
