"""Runs one node test case through the executable and says what came of it."""

from __future__ import annotations

import enum
import pathlib
import tempfile
from dataclasses import dataclass

import numpy as np

import executable
from conformance.node_cases import Case
from conformance.tolerances import tolerance

TIME_LIMIT_SECONDS = 30


class Outcome(enum.Enum):
    PASSED = "passed"
    REFUSED = "refused properly"
    REFUSED_BADLY = "refused without naming node, operator and reason"
    WRONG = "wrong answer"
    CRASHED = "crashed"
    HUNG = "ran out of time"
    FAILED = "ended with another exit code"


@dataclass(frozen=True)
class Judgement:
    outcome: Outcome
    detail: str
    complaint: str = ""


def output_types(case: Case) -> set[int]:
    """Element types of the graph's tensor outputs."""
    return {value.type.tensor_type.elem_type for value in case.model.graph.output if value.type.HasField("tensor_type")}


def judge_refusal(case: Case, result: executable.Result) -> Judgement:
    """Exit code 4 must come with one line that names a node and its operator and gives a reason, or the opset of the
    whole model where that is what is not supported."""
    line = result.complaint
    if f"opset {case.model.opset_import[0].version} of ai.onnx is not supported" in line:
        return Judgement(Outcome.REFUSED, line, line)
    if "node" not in line:
        return Judgement(Outcome.REFUSED_BADLY, f"no node is named in: {line!r}", line)
    named = [operator for operator in case.operators if operator in line]
    if not named:
        return Judgement(Outcome.REFUSED_BADLY, f"none of {', '.join(case.operators)} is named in: {line!r}", line)
    return Judgement(Outcome.REFUSED, line, line)


def judge_run(case: Case, result: executable.Result) -> Judgement:
    """What the exit code says."""
    if result.exit_code is None:
        return Judgement(Outcome.HUNG, result.describe())
    if result.exit_code < 0:
        return Judgement(Outcome.CRASHED, result.describe())
    if result.exit_code == executable.OK:
        return Judgement(Outcome.PASSED, "")
    if result.exit_code == executable.UNSUPPORTED:
        return judge_refusal(case, result)
    outcome = Outcome.WRONG if result.exit_code == executable.MISMATCH else Outcome.FAILED
    return Judgement(outcome, result.describe(), result.complaint)


def judge_random(case: Case) -> Judgement:
    """Runs on the case's inputs and compares names, shapes and types of the outputs only."""
    graph = case.model.graph
    output_names = [value.name for value in graph.output]
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        for data_set in case.data_sets():
            arguments: list[object] = [case.model_path, "--threads", 1]
            inputs = case.tensors(data_set, "input", [value.name for value in graph.input])
            for index, (name, value) in enumerate(inputs.items()):
                file = pathlib.Path(folder) / f"input_{index}.npy"
                np.save(file, value)
                arguments += ["--input", f"{name}={file}"]
            produced_path = pathlib.Path(folder) / "output.npz"
            result = executable.run(*arguments, "--output", produced_path, timeout=TIME_LIMIT_SECONDS)
            judgement = judge_run(case, result)
            if judgement.outcome is not Outcome.PASSED:
                return judgement
            expected = case.tensors(data_set, "output", output_names)
            with np.load(produced_path) as produced:
                if sorted(produced.files) != sorted(expected):
                    return Judgement(Outcome.WRONG, f"outputs are {produced.files}, not {list(expected)}")
                for name, value in expected.items():
                    got = produced[name]
                    if (got.shape, got.dtype) != (value.shape, value.dtype):
                        detail = f"{name} is {got.dtype}{list(got.shape)}, not {value.dtype}{list(value.shape)}"
                        return Judgement(Outcome.WRONG, detail)
    return Judgement(Outcome.PASSED, "shapes and types only: the values are random")


def judge(case: Case) -> Judgement:
    """Compares the outputs of all of the case's data sets with the expected ones."""
    if case.random:
        return judge_random(case)
    allowed = tolerance(case.operators, output_types(case))
    result = executable.run(
        case.model_path, "--test-data", case.folder, "--rtol", allowed.relative, "--atol", allowed.absolute,
        "--threads", 1, timeout=TIME_LIMIT_SECONDS,
    )
    return judge_run(case, result)
