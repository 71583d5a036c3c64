# Compares graph/onnx/onnx.proto with the message descriptors of the onnx package: a wrong field number reads garbage.
import pathlib
import subprocess

import pytest
from google.protobuf import descriptor_pb2

onnx = pytest.importorskip("onnx")
from onnx import onnx_data_pb2, onnx_ml_pb2  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]


def collect(messages, prefix=""):
    """{message: (fields, enums)} for a list of message descriptors, nested ones included."""
    found = {}
    for message in messages:
        name = prefix + message.name
        oneofs = [oneof.name for oneof in message.oneof_decl]
        fields = {
            field.name: (
                field.number,
                field.label,
                field.type,
                # type names compare without their package
                field.type_name.replace(".sparse_run.onnx_wire.", "").replace(".onnx.", ""),
                oneofs[field.oneof_index] if field.HasField("oneof_index") else None,
                field.options.packed,
            )
            for field in message.field
        }
        enums = {enum.name: {value.name: value.number for value in enum.value} for enum in message.enum_type}
        found[name] = (fields, enums)
        found.update(collect(message.nested_type, name + "."))
    return found


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    output = tmp_path_factory.mktemp("wire") / "onnx.desc"
    subprocess.run(
        ["protoc", f"--proto_path={ROOT}", f"--descriptor_set_out={output}", str(ROOT / "graph/onnx/onnx.proto")],
        check=True,
    )
    files = descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes())
    return files.file[0]


@pytest.fixture(scope="module")
def theirs():
    messages = {}
    for module in (onnx_ml_pb2, onnx_data_pb2):
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        messages.update(collect(file.message_type))
    return messages


def test_package_is_private_so_that_other_onnx_libraries_can_share_the_process(ours):
    assert ours.package == "sparse_run.onnx_wire"
    assert ours.options.optimize_for == descriptor_pb2.FileOptions.LITE_RUNTIME


def test_every_message_of_onnx_is_listed_and_no_other(ours, theirs):
    assert sorted(collect(ours.message_type)) == sorted(theirs)


def test_fields_have_the_numbers_labels_and_types_of_onnx(ours, theirs):
    mine = collect(ours.message_type)
    for name, (fields, _) in theirs.items():
        assert mine[name][0] == fields, name


def test_enumerations_have_the_values_of_onnx(ours, theirs):
    mine = collect(ours.message_type)
    for name, (_, enums) in theirs.items():
        assert mine[name][1] == enums, name


def test_newest_ir_version_is_that_of_onnx():
    source = (ROOT / "graph/onnx/import.cpp").read_text()
    assert f"kNewestIr = {onnx.IR_VERSION};" in source
