"""The ONNX node test cases: the data that the installed onnx package carries, or generated once where it carries none."""

from __future__ import annotations

import argparse
import functools
import pathlib
from dataclasses import dataclass

import onnx
from onnx import TensorProto, numpy_helper

import executable

# Their expected outputs were drawn from NumPy's generator, which no runtime reproduces. Dropout with ratio zero or
# outside of training is not random and is compared like any other case.
RANDOM = frozenset(
    [f"test_bernoulli{kind}" for kind in ("", "_double", "_seed")]
    + [f"test_bernoulli{kind}_expanded" for kind in ("", "_double", "_seed")]
    + [f"test_training_dropout{kind}" for kind in ("", "_default", "_mask", "_default_mask")]
)
RANDOM_OPERATORS = frozenset(
    ["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"]
)


@dataclass(frozen=True)
class Case:
    """One folder with model.onnx and test_data_set_*."""

    name: str
    folder: pathlib.Path

    @property
    def model_path(self) -> pathlib.Path:
        return self.folder / "model.onnx"

    @functools.cached_property
    def model(self) -> onnx.ModelProto:
        return onnx.load(self.model_path)

    @functools.cached_property
    def operators(self) -> list[str]:
        """Every operator of the graph, its subgraphs and functions, in order of appearance."""
        found: dict[str, None] = {}

        def visit(nodes) -> None:
            for node in nodes:
                found[node.op_type] = None
                for attribute in node.attribute:
                    for graph in [attribute.g, *attribute.graphs]:
                        visit(graph.node)

        visit(self.model.graph.node)
        for function in self.model.functions:
            visit(function.node)
        return list(found)

    @property
    def random(self) -> bool:
        """Whether only shapes and types of the outputs can be judged."""
        return self.name in RANDOM or not RANDOM_OPERATORS.isdisjoint(self.operators)

    def data_sets(self) -> list[pathlib.Path]:
        return sorted(self.folder.glob("test_data_set_*"))

    def tensors(self, data_set: pathlib.Path, kind: str, names: list[str]) -> dict:
        """`kind` is input or output; values by graph name (only called where all of them are tensors)."""
        values = {}
        for index, name in enumerate(names):
            file = data_set / f"{kind}_{index}.pb"
            if file.exists():
                values[name] = numpy_helper.to_array(TensorProto.FromString(file.read_bytes()))
        return values


def data_folder() -> pathlib.Path:
    """The folder that holds one folder per case."""
    packaged = pathlib.Path(onnx.__file__).parent / "backend/test/data/node"
    if any(packaged.glob("test_*/model.onnx")):
        return packaged
    generated = executable.ROOT / "build/conformance" / f"onnx-{onnx.__version__}"
    if not (generated / "complete").exists():
        from onnx.backend.test.cmd_tools import generate_data

        (generated / "node").mkdir(parents=True, exist_ok=True)
        generate_data(argparse.Namespace(output=str(generated), clean=True, op_type=None, diff=False))
        (generated / "complete").touch()
    return generated / "node"


@functools.cache
def all_cases() -> list[Case]:
    folder = data_folder()
    return [Case(entry.name, entry) for entry in sorted(folder.iterdir()) if (entry / "model.onnx").exists()]
