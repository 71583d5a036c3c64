// Attributes other than bodies: from the wire format to Attribute.
#pragma once

#include "graph/ir/node.hpp"
#include "graph/onnx/onnx.pb.h"
#include "graph/onnx/tensor_proto.hpp"

namespace sparse_run::onnx {

/// The declared type, or that of the one field that is set where an old writer left the type out.
/// Error(model) when that is not exactly one.
onnx_wire::AttributeProto::AttributeType attribute_type(const onnx_wire::AttributeProto& proto);

/// Any attribute but GRAPH. Error(unsupported) for lists of tensors, graphs and types.
Attribute read_attribute(const onnx_wire::AttributeProto& proto, TensorReader& tensors, Budget& budget);

}  // namespace sparse_run::onnx
