// Values in ONNX's own files: the input_N.pb and output_N.pb of test data folders.
#pragma once

#include <filesystem>

#include "graph/ir/type.hpp"
#include "graph/ir/value.hpp"
#include "graph/onnx/limits.hpp"

namespace sparse_run {

/// Reads a serialised TensorProto, SequenceProto or OptionalProto; `expected.kind` says which of them it is, as the
/// file itself does not. Tensors view the mapped file where memory allows and must not be written.
/// Error(input) when the file is missing, damaged, or holds another kind or element type than expected (shapes are
/// left to the caller); Error(unsupported) for maps, sparse tensors and unsupported element types; Error(limit).
/// Messages name the file.
Value read_value_file(const std::filesystem::path& path, const Type& expected, const ImportLimits& limits = {});

}  // namespace sparse_run
