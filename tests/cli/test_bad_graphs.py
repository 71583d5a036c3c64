"""Well-formed files whose graph is invalid or unsupported: the exit code says which, the line names the node or value."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import executable
from cli import small_models
from cli.refusal import assert_refused, run_quietly
from cli.small_models import initializer, model, save, tensor

NODE = helper.make_node


def refused(made: onnx.ModelProto, folder, codes, *mentions: str) -> None:
    assert_refused(run_quietly(save(made, folder)), codes, "model.onnx", *mentions)


X, Y = tensor("x", [2, 4]), tensor("y", [2, 4])


def test_cycle(tmp_path):
    nodes = [NODE("Add", ["x", "b"], ["a"], name="first"), NODE("Relu", ["a"], ["b"], name="second")]
    refused(model([*nodes, NODE("Relu", ["b"], ["y"], name="last")], [X], [Y]), tmp_path, executable.MODEL, "first")


def test_node_that_reads_itself(tmp_path):
    refused(model([NODE("Add", ["x", "y"], ["y"], name="loop")], [X], [Y]), tmp_path, executable.MODEL, "loop")


def test_missing_value(tmp_path):
    refused(model([NODE("Add", ["x", "ghost"], ["y"], name="sum")], [X], [Y]), tmp_path, executable.MODEL, "ghost")


def test_output_that_nothing_computes(tmp_path):
    refused(model([NODE("Relu", ["x"], ["z"], name="r")], [X], [Y]), tmp_path, executable.MODEL, "y")


def test_two_nodes_write_one_value(tmp_path):
    nodes = [NODE("Relu", ["x"], ["y"], name="one"), NODE("Neg", ["x"], ["y"], name="two")]
    refused(model(nodes, [X], [Y]), tmp_path, executable.MODEL, "y")


def test_duplicate_initializer(tmp_path):
    twice = [initializer("w", np.ones(4, np.float32)), initializer("w", np.zeros(4, np.float32))]
    refused(model([NODE("Add", ["x", "w"], ["y"], name="sum")], [X], [Y], twice), tmp_path, executable.MODEL, "w")


def test_duplicate_input(tmp_path):
    refused(model([NODE("Relu", ["x"], ["y"], name="r")], [X, X], [Y]), tmp_path, executable.MODEL, "x")


def test_node_writes_over_an_input(tmp_path):
    refused(model([NODE("Relu", ["x"], ["x"], name="r")], [X], [tensor("x", [2, 4])]), tmp_path, executable.MODEL, "x")


def test_no_outputs(tmp_path):
    refused(model([NODE("Relu", ["x"], ["y"], name="r")], [X], []), tmp_path, executable.MODEL)


def test_no_opset(tmp_path):
    made = small_models.elementwise()
    del made.opset_import[:]
    refused(made, tmp_path, executable.MODEL, "opset")


def test_missing_operand(tmp_path):
    refused(model([NODE("Conv", ["x"], ["y"], name="conv")], [tensor("x", [1, 1, 4, 4])], [tensor("y", [1, 1, 4, 4])]),
            tmp_path, executable.MODEL, "conv", "Conv")


def test_too_many_operands(tmp_path):
    refused(model([NODE("Relu", ["x", "x"], ["y"], name="r")], [X], [Y]), tmp_path, executable.MODEL, "r", "Relu")


def test_missing_required_attribute(tmp_path):
    refused(model([NODE("Concat", ["x", "x"], ["y"], name="cat")], [X], [tensor("y", [4, 4])]),
            tmp_path, executable.MODEL, "cat", "axis")


def test_attribute_of_wrong_type(tmp_path):
    node = NODE("Concat", ["x", "x"], ["y"], name="cat", axis="zero")
    refused(model([node], [X], [tensor("y", [4, 4])]), tmp_path, executable.MODEL, "cat", "axis")


def test_operands_of_different_types(tmp_path):
    made = model([NODE("Add", ["x", "i"], ["y"], name="sum")], [X, tensor("i", [2, 4], TensorProto.INT64)], [Y])
    refused(made, tmp_path, executable.MODEL, "sum", "Add")


def test_shapes_that_do_not_fit(tmp_path):
    weight = [initializer("w", np.ones((5, 3), np.float32))]
    made = model([NODE("MatMul", ["x", "w"], ["y"], name="product")], [X], [tensor("y", [2, 3])], weight)
    refused(made, tmp_path, executable.MODEL, "product", "MatMul")


def test_attribute_out_of_range(tmp_path):
    refused(model([NODE("Concat", ["x", "x"], ["y"], name="cat", axis=7)], [X], [Y]), tmp_path, executable.MODEL, "cat")
    pool = NODE("MaxPool", ["x"], ["y"], name="pool", kernel_shape=[2, 2], strides=[0, 0])
    made = model([pool], [tensor("x", [1, 1, 4, 4])], [tensor("y", [1, 1, 4, 4])])
    refused(made, tmp_path, executable.MODEL, "pool")


def test_unknown_operator(tmp_path):
    made = model([NODE("Frobnicate", ["x"], ["y"], name="odd")], [X], [Y])
    refused(made, tmp_path, executable.UNSUPPORTED, "odd", "Frobnicate")


def test_unknown_domain(tmp_path):
    made = model([NODE("Magic", ["x"], ["y"], name="odd", domain="com.acme")], [X], [Y], domains=["com.acme"])
    refused(made, tmp_path, executable.UNSUPPORTED, "odd", "Magic", "com.acme")


def test_domain_that_is_not_imported(tmp_path):
    made = model([NODE("Magic", ["x"], ["y"], name="odd", domain="com.acme")], [X], [Y])
    refused(made, tmp_path, {executable.MODEL, executable.UNSUPPORTED}, "com.acme")


def test_newer_opset(tmp_path):
    refused(model([NODE("Relu", ["x"], ["y"], name="r")], [X], [Y], opset=99), tmp_path, executable.UNSUPPORTED, "99")


def test_newer_ir_version(tmp_path):
    made = model([NODE("Relu", ["x"], ["y"], name="r")], [X], [Y], ir_version=99)
    refused(made, tmp_path, executable.UNSUPPORTED, "99")


def test_operator_newer_than_the_models_opset(tmp_path):
    made = model([NODE("Gelu", ["x"], ["y"], name="late")], [X], [Y], opset=13)
    refused(made, tmp_path, {executable.MODEL, executable.UNSUPPORTED}, "late", "Gelu", "13")


@pytest.mark.parametrize("dims", [[2**31, 2**31], [2**62, 4], [2**40]], ids=str)
def test_initializer_with_huge_dimensions(tmp_path, dims):
    huge = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=bytes(16))
    made = model([NODE("Add", ["x", "w"], ["y"], name="sum")], [X], [Y], [huge])
    refused(made, tmp_path, {executable.MODEL, executable.LIMIT}, "w")


def test_initializer_with_negative_dimension(tmp_path):
    odd = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[-4], raw_data=bytes(16))
    made = model([NODE("Add", ["x", "w"], ["y"], name="sum")], [X], [Y], [odd])
    refused(made, tmp_path, executable.MODEL, "w")


@pytest.mark.parametrize("size", [0, 12, 15, 20])
def test_initializer_of_wrong_size(tmp_path, size):
    odd = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], raw_data=bytes(size))
    made = model([NODE("Add", ["x", "w"], ["y"], name="sum")], [X], [Y], [odd])
    refused(made, tmp_path, executable.MODEL, "w")


def test_initializer_of_unknown_type(tmp_path):
    odd = TensorProto(name="w", data_type=77, dims=[4], raw_data=bytes(16))
    made = model([NODE("Add", ["x", "w"], ["y"], name="sum")], [X], [Y], [odd])
    refused(made, tmp_path, {executable.MODEL, executable.UNSUPPORTED}, "w")


def test_huge_input(tmp_path):
    path = save(small_models.elementwise(shape=(2**20, 2**20)), tmp_path)
    assert_refused(run_quietly(path), executable.LIMIT, "'x'")


def test_input_whose_size_overflows(tmp_path):
    path = save(small_models.elementwise(shape=(2**40, 2**40)), tmp_path)
    assert_refused(run_quietly(path), {executable.MODEL, executable.LIMIT}, "'x'")


def test_computed_shape_that_is_huge(tmp_path):
    shape = [initializer("shape", np.array([2**20, 2**20], np.int64))]
    fill = model([NODE("ConstantOfShape", ["shape"], ["y"], name="fill")], [], [tensor("y", None)], shape)
    refused(fill, tmp_path, executable.LIMIT)
    expand = model([NODE("Expand", ["x", "shape"], ["y"], name="grow")], [tensor("x", [1])], [tensor("y", None)], shape)
    refused(expand, tmp_path, executable.LIMIT)


def test_function_that_calls_itself(tmp_path):
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    function = helper.make_function("local", "Again", ["a"], ["b"], [NODE("Again", ["a"], ["b"], domain="local")], opset)
    made = model([NODE("Again", ["x"], ["y"], name="call", domain="local")], [X], [Y], functions=[function],
                 domains=["local"])
    refused(made, tmp_path, {executable.MODEL, executable.LIMIT}, "Again")


def test_functions_that_call_each_other(tmp_path):
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    functions = [
        helper.make_function("local", name, ["a"], ["b"], [NODE(other, ["a"], ["b"], domain="local")], opset)
        for name, other in (("Ping", "Pong"), ("Pong", "Ping"))
    ]
    made = model([NODE("Ping", ["x"], ["y"], name="call", domain="local")], [X], [Y], functions=functions,
                 domains=["local"])
    refused(made, tmp_path, {executable.MODEL, executable.LIMIT})


def test_functions_that_double_at_every_level(tmp_path):
    # 2^40 nodes when inlined, out of 40 functions of two nodes.
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    functions = []
    for level in range(40):
        inner, domain = (f"F{level + 1}", "local") if level < 39 else ("Relu", "")
        body = [NODE(inner, ["a"], ["m"], domain=domain), NODE(inner, ["m"], ["b"], domain=domain)]
        functions.append(helper.make_function("local", f"F{level}", ["a"], ["b"], body, opset))
    made = model([NODE("F0", ["x"], ["y"], name="call", domain="local")], [X], [Y], functions=functions,
                 domains=["local"])
    refused(made, tmp_path, executable.LIMIT)


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes(encoded) + bytes([value])


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field of the protobuf wire format."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def test_ten_thousand_nested_bodies(tmp_path):
    # Written by hand: libraries refuse to write what they refuse to read. GraphProto.node is 1; NodeProto.input,
    # output, op_type, attribute are 1, 2, 4, 5; AttributeProto.name, g, type are 1, 6, 20 (5: a graph).
    body = b""
    for _ in range(10_000):
        branch = field(1, b"then_branch") + field(6, body) + varint(20 << 3) + varint(5)
        body = field(1, field(1, b"c") + field(2, b"y") + field(4, b"If") + field(5, branch))
    path = tmp_path / "deep.onnx"
    path.write_bytes(varint(1 << 3) + varint(8) + field(7, body) + field(8, varint(2 << 3) + varint(17)))
    assert_refused(run_quietly(path), {executable.MODEL, executable.LIMIT}, "deep.onnx")


def test_ten_thousand_nested_types(tmp_path):
    # TypeProto.tensor_type and sequence_type are 1 and 4; Sequence.elem_type is 1; ValueInfoProto.name, type are 1, 2.
    nested = field(1, varint(1 << 3) + varint(1))
    for _ in range(10_000):
        nested = field(4, field(1, nested))
    graph = field(1, field(1, b"x") + field(2, b"y") + field(4, b"Identity"))
    graph += field(11, field(1, b"x") + field(2, nested)) + field(12, field(1, b"y") + field(2, nested))
    path = tmp_path / "deep.onnx"
    path.write_bytes(varint(1 << 3) + varint(8) + field(7, graph) + field(8, varint(2 << 3) + varint(17)))
    refusal = {executable.MODEL, executable.UNSUPPORTED, executable.LIMIT}
    assert_refused(run_quietly(path), refusal, "deep.onnx")


def test_ten_thousand_nodes_in_a_chain_run(tmp_path):
    nodes = [NODE("Neg", [f"v{i}"], [f"v{i + 1}"], name=f"n{i}") for i in range(10_000)]
    path = save(model(nodes, [tensor("v0", [4])], [tensor("v10000", [4])]), tmp_path)
    np.savez(tmp_path / "in.npz", v0=np.array([1, -2, 3, 4], np.float32))
    result = run_quietly(path, "--input", tmp_path / "in.npz", "--output", tmp_path / "out.npz")
    assert result.exit_code == executable.OK, result.describe()
    np.testing.assert_array_equal(np.load(tmp_path / "out.npz")["v10000"], [1, -2, 3, 4])


def sparse(indices, values, dims) -> onnx.SparseTensorProto:
    return helper.make_sparse_tensor(
        initializer("w", np.asarray(values, np.float32)), initializer("w_indices", np.asarray(indices, np.int64)), dims
    )


def model_with_sparse(indices, values=(1.0, 2.0), dims=(4, 4)) -> onnx.ModelProto:
    made = model([NODE("MatMul", ["x", "w"], ["y"], name="product")], [X], [Y])
    made.graph.sparse_initializer.append(sparse(indices, values, dims))
    return made


@pytest.mark.parametrize("indices", [[3, 9], [[0, 3], [2, 1]]], ids=["linear", "coordinates"])
def test_sorted_sparse_indices_run(tmp_path, indices):
    path = save(model_with_sparse(indices), tmp_path)
    np.savez(tmp_path / "in.npz", x=np.arange(8, dtype=np.float32).reshape(2, 4))
    result = run_quietly(path, "--input", tmp_path / "in.npz", "--output", tmp_path / "out.npz")
    assert result.exit_code == executable.OK, result.describe()
    # w[0, 3] = 1 and w[2, 1] = 2: y[r, 3] = x[r, 0], y[r, 1] = 2 x[r, 2].
    np.testing.assert_array_equal(np.load(tmp_path / "out.npz")["y"], [[0, 4, 0, 0], [0, 12, 0, 4]])


@pytest.mark.parametrize(
    "indices",
    [[3, 16], [-1, 3], [9, 3], [3, 3], [3], [[0, 3], [4, 1]], [[2, 1], [0, 3]], [[0, 3], [0, 3]], [[0, -1], [2, 1]],
     [[0, 3, 0], [2, 1, 0]]],
    ids=["beyond", "negative", "unsorted", "repeated", "too_few", "row_beyond", "rows_unsorted", "pair_repeated",
         "column_negative", "too_many_columns"],
)
def test_bad_sparse_indices(tmp_path, indices):
    refused(model_with_sparse(indices), tmp_path, executable.MODEL, "w")


def test_sparse_tensor_with_huge_dimensions(tmp_path):
    refused(model_with_sparse([3, 9], dims=(2**40, 2**40)), tmp_path, {executable.MODEL, executable.LIMIT}, "w")


def test_endless_loop_ends_at_the_timeout(tmp_path):
    body = helper.make_graph(
        [NODE("Identity", ["condition"], ["still"]), NODE("Add", ["value", "value"], ["doubled"])],
        "body",
        [tensor("i", [], TensorProto.INT64), tensor("condition", [], TensorProto.BOOL), tensor("value", [2, 4])],
        [tensor("still", [], TensorProto.BOOL), tensor("doubled", [2, 4])],
    )
    made = model([NODE("Loop", ["", "yes", "x"], ["y"], name="forever", body=body)], [X], [Y],
                 [initializer("yes", np.array(True))])
    result = run_quietly(save(made, tmp_path), "--timeout", 1, timeout=30)
    assert_refused(result, executable.TIMEOUT)
