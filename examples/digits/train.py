#!/usr/bin/env python3
"""Trains the digit classifier with plain NumPy, prunes it, and writes both twins as ONNX with the held-out images."""

from __future__ import annotations

import argparse
import pathlib
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

OPSET = 17
IR_VERSION = 8
HELD_OUT = 600


@dataclass
class Parameter:
    """A trainable array with its Adam moments and, once pruned, the mask that keeps zeros at zero."""

    value: np.ndarray
    gradient: np.ndarray = field(init=False)
    mask: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.value = self.value.astype(np.float32)
        self.gradient = np.zeros_like(self.value)
        self.first_moment = np.zeros_like(self.value)
        self.second_moment = np.zeros_like(self.value)

    def adam_step(self, rate: float, step: int, decay: float, beta1: float = 0.9, beta2: float = 0.999) -> None:
        """One step of Adam with decoupled weight decay; pruned entries stay zero."""
        self.first_moment += (1 - beta1) * (self.gradient - self.first_moment)
        self.second_moment += (1 - beta2) * (self.gradient**2 - self.second_moment)
        unbiased_first = self.first_moment / (1 - beta1**step)
        unbiased_second = self.second_moment / (1 - beta2**step)
        self.value -= rate * (unbiased_first / (np.sqrt(unbiased_second) + 1e-8) + decay * self.value)
        if self.mask is not None:
            self.value *= self.mask


class Convolution:
    """A 3x3 convolution with padding 1 followed by ReLU, as a matrix product over gathered windows."""

    def __init__(self, random: np.random.Generator, inputs: int, outputs: int, stride: int) -> None:
        scale = np.sqrt(2 / (inputs * 9))
        self.weight = Parameter(random.standard_normal((outputs, inputs, 3, 3)) * scale)
        self.bias = Parameter(np.zeros(outputs))
        self.stride = stride

    def forward(self, x: np.ndarray) -> np.ndarray:
        """`x` is [batch, channels, height, width]."""
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, :: self.stride, :: self.stride]
        batch, channels, height, width = windows.shape[:4]
        self.columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(batch * height * width, channels * 9)
        self.input_shape = x.shape
        flat = self.columns @ self.weight.value.reshape(len(self.bias.value), -1).T + self.bias.value
        self.active = flat > 0
        self.output_shape = (batch, height, width, len(self.bias.value))
        return np.where(self.active, flat, 0).reshape(self.output_shape).transpose(0, 3, 1, 2)

    def backward(self, gradient: np.ndarray) -> np.ndarray:
        """Takes the loss gradient of the output, stores those of the parameters, returns that of the input."""
        flat = gradient.transpose(0, 2, 3, 1).reshape(self.active.shape) * self.active
        self.weight.gradient = (flat.T @ self.columns).reshape(self.weight.value.shape)
        self.bias.gradient = flat.sum(axis=0)
        columns = flat @ self.weight.value.reshape(len(self.bias.value), -1)
        batch, height, width, _ = self.output_shape
        windows = columns.reshape(batch, height, width, self.input_shape[1], 3, 3)
        padded = np.zeros((*self.input_shape[:2], self.input_shape[2] + 2, self.input_shape[3] + 2), np.float32)
        for row in range(3):
            for column in range(3):
                rows = slice(row, row + height * self.stride, self.stride)
                columns_in_row = slice(column, column + width * self.stride, self.stride)
                padded[:, :, rows, columns_in_row] += windows[..., row, column].transpose(0, 3, 1, 2)
        return padded[:, :, 1:-1, 1:-1]


class Classifier:
    """A fully connected layer over the flattened features."""

    def __init__(self, random: np.random.Generator, inputs: int, outputs: int) -> None:
        self.weight = Parameter(random.standard_normal((outputs, inputs)) * np.sqrt(1 / inputs))
        self.bias = Parameter(np.zeros(outputs))

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.input = x.reshape(len(x), -1)
        self.input_shape = x.shape
        return self.input @ self.weight.value.T + self.bias.value

    def backward(self, gradient: np.ndarray) -> np.ndarray:
        self.weight.gradient = gradient.T @ self.input
        self.bias.gradient = gradient.sum(axis=0)
        return (gradient @ self.weight.value).reshape(self.input_shape)


class Network:
    """Three convolutions (1→32, 32→64 stride 2, 64→128 stride 2) and a classifier over 128·2·2 features."""

    def __init__(self, random: np.random.Generator) -> None:
        self.layers = [
            Convolution(random, 1, 32, 1),
            Convolution(random, 32, 64, 2),
            Convolution(random, 64, 128, 2),
            Classifier(random, 128 * 2 * 2, 10),
        ]
        self.steps = 0

    def parameters(self) -> list[Parameter]:
        return [p for layer in self.layers for p in (layer.weight, layer.bias)]

    def forward(self, images: np.ndarray) -> np.ndarray:
        """Images [batch, 1, 8, 8] in 0..16 give logits [batch, 10]; scaling is part of the network."""
        x = images * np.float32(1 / 16)
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def train_step(self, images: np.ndarray, labels: np.ndarray, rate: float, smoothing: float = 0.05) -> float:
        """One step on the cross entropy with smoothed labels; returns the loss."""
        logits = self.forward(images)
        logits = logits - logits.max(axis=1, keepdims=True)
        log_probability = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        target = np.full_like(logits, smoothing / 10)
        target[np.arange(len(labels)), labels] += 1 - smoothing
        gradient = (np.exp(log_probability) - target) / np.float32(len(labels))
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        self.steps += 1
        for parameter in self.parameters():
            decay = 1e-2 if parameter.value.ndim > 1 else 0.0
            parameter.adam_step(rate, self.steps, decay)
        return float(-(target * log_probability).sum(axis=1).mean())

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        return float((self.forward(images).argmax(axis=1) == labels).mean())

    def prune(self, share: float) -> None:
        """Zeroes the smallest weights until `share` of all weights are zero; the first convolution stays dense.

        Every layer gives the same share except the classifier, which is small and gives 5% less.
        """
        first, *rest = self.layers
        total = sum(layer.weight.value.size for layer in self.layers)
        classifier = rest[-1]
        wanted = share * total
        classifier_share = max(0.0, share - 0.05)
        others = sum(layer.weight.value.size for layer in rest[:-1])
        other_share = (wanted - classifier_share * classifier.weight.value.size) / others
        for layer in rest:
            layer_share = classifier_share if layer is classifier else other_share
            magnitude = np.abs(layer.weight.value)
            zeros = int(np.ceil(layer_share * magnitude.size))
            order = np.argsort(magnitude, axis=None, kind="stable")
            mask = np.ones(magnitude.size, np.float32)
            mask[order[:zeros]] = 0
            layer.weight.mask = mask.reshape(magnitude.shape)
            layer.weight.value *= layer.weight.mask
        assert first.weight.mask is None

    def zeros(self) -> float:
        """Share of zeros among all weights, biases aside."""
        weights = [layer.weight.value for layer in self.layers]
        return 1 - sum(np.count_nonzero(w) for w in weights) / sum(w.size for w in weights)


def shifted(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Augmentation: every image moved by up to one pixel in each direction, zeros entering at the border."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    out = np.empty_like(images)
    for image, (row, column) in enumerate(random.integers(0, 3, (len(images), 2))):
        out[image] = padded[image, :, row : row + 8, column : column + 8]
    return out


def train(network: Network, images, labels, random, epochs: int, rate: float, prune_at=None) -> None:
    """Shuffled batches of 64 with a cosine schedule; `prune_at(epoch)` gives the share of zeros to reach, or None."""
    for epoch in range(epochs):
        share = prune_at(epoch) if prune_at else None
        if share is not None:
            network.prune(share)
        order = random.permutation(len(images))
        losses = []
        for start in range(0, len(order), 64):
            progress = (epoch + start / len(order)) / epochs
            step_rate = rate * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * progress)))
            chosen = order[start : start + 64]
            losses.append(network.train_step(shifted(images[chosen], random), labels[chosen], step_rate))
        if epoch % 10 == 9 or epoch == epochs - 1:
            print(f"  epoch {epoch + 1:3d}: loss {np.mean(losses):.4f}, zeros {network.zeros():.3f}")


def to_onnx(network: Network, name: str) -> onnx.ModelProto:
    """The network as ONNX, with a symbolic batch `N`, input `images` and output `logits`."""
    nodes, initializers = [], []

    def constant(label: str, value: np.ndarray) -> str:
        initializers.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), label))
        return label

    nodes.append(helper.make_node("Mul", ["images", constant("scale", np.array(1 / 16))], ["scaled"], name="scale_input"))
    x = "scaled"
    for index, layer in enumerate(network.layers[:-1], start=1):
        inputs = [x, constant(f"conv{index}.weight", layer.weight.value), constant(f"conv{index}.bias", layer.bias.value)]
        nodes.append(
            helper.make_node(
                "Conv", inputs, [f"conv{index}.out"], name=f"conv{index}",
                kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[layer.stride] * 2,
            )
        )
        nodes.append(helper.make_node("Relu", [f"conv{index}.out"], [f"relu{index}.out"], name=f"relu{index}"))
        x = f"relu{index}.out"
    nodes.append(helper.make_node("Flatten", [x], ["features"], name="flatten", axis=1))
    classifier = network.layers[-1]
    inputs = ["features", constant("classifier.weight", classifier.weight.value)]
    inputs.append(constant("classifier.bias", classifier.bias.value))
    nodes.append(helper.make_node("Gemm", inputs, ["logits"], name="classifier", transB=1))
    graph = helper.make_graph(
        nodes, name,
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])],
        initializers,
    )
    model = helper.make_model(
        graph, producer_name="digits", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent, help="folder to write into")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=60, help="epochs of dense training")
    parser.add_argument("--prune-epochs", type=int, default=80, help="epochs of pruning and fine-tuning")
    parser.add_argument("--zeros", type=float, default=0.92, help="share of zeros to reach")
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    print(f"seed {options.seed}")

    digits = load_digits()
    images = digits.images.astype(np.float32)[:, np.newaxis]
    labels = digits.target.astype(np.int64)
    order = random.permutation(len(images))
    held_out, kept = order[:HELD_OUT], order[HELD_OUT:]
    print(f"{len(kept)} images to train on, {len(held_out)} held out")

    network = Network(random)
    print("dense training")
    train(network, images[kept], labels[kept], random, options.epochs, rate=2e-3)
    dense_accuracy = network.accuracy(images[held_out], labels[held_out])
    onnx.save(to_onnx(network, "digits_dense"), options.out / "digits_dense.onnx")

    ramp = max(1, options.prune_epochs // 2)

    def schedule(epoch: int) -> float | None:
        """The cubic schedule of Zhu and Gupta (2017), then fine-tuning at a fixed mask."""
        if epoch >= ramp or epoch % 2:
            return None
        done = min(1.0, (epoch + 2) / ramp)
        return options.zeros * (1 - (1 - done) ** 3)

    print("pruning and fine-tuning")
    train(network, images[kept], labels[kept], random, options.prune_epochs, rate=1.5e-3, prune_at=schedule)
    pruned_accuracy = network.accuracy(images[held_out], labels[held_out])
    onnx.save(to_onnx(network, "digits_pruned"), options.out / "digits_pruned.onnx")

    np.save(options.out / "images.npy", images[held_out])
    np.save(options.out / "labels.npy", labels[held_out])
    print(f"held-out accuracy: dense {dense_accuracy:.4f}, pruned {pruned_accuracy:.4f} at {network.zeros():.4f} zeros")


if __name__ == "__main__":
    main()
