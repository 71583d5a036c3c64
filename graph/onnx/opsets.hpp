// Which version of each operator domain a model or function follows.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "graph/onnx/limits.hpp"
#include "graph/onnx/onnx.pb.h"

namespace sparse_run::onnx {

/// Versions of ai.onnx that this project implements.
inline constexpr int kOldestOpset = 7;
inline constexpr int kNewestOpset = 27;

/// Versions by domain, ai.onnx being "".
using Opsets = std::map<std::string, int, std::less<>>;

/// Adds `imports` to `base` (a function's override its model's). Error(unsupported) for a version of ai.onnx outside
/// the range above, Error(model) for contradicting or senseless entries.
Opsets read_opsets(const google::protobuf::RepeatedPtrField<onnx_wire::OperatorSetIdProto>& imports, Opsets base,
                   const ImportLimits& limits);

}  // namespace sparse_run::onnx
