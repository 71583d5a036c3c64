// Declared types: from the wire format to Type.
#pragma once

#include <string>
#include <vector>

#include "graph/ir/type.hpp"
#include "graph/onnx/limits.hpp"
#include "graph/onnx/onnx.pb.h"

namespace sparse_run::onnx {

/// A type and the names of its symbolic dimensions, as ValueDef::symbols. What exporters write in place of a name ("?",
/// "-1", "None") is no name.
struct DeclaredType {
  Type type;
  std::vector<std::string> symbols;
};

/// Error(model) for an invalid description, Error(unsupported) for maps, sparse tensors and opaque values,
/// Error(limit) for too high a rank or too deep a composition.
DeclaredType read_type(const onnx_wire::TypeProto& proto, const ImportLimits& limits);

/// The element type of a wire number; Error(model) when ONNX has no such type.
DType read_dtype(std::int32_t number);

}  // namespace sparse_run::onnx
