// Checks and normal forms of the names in a model.
#pragma once

#include <string>
#include <string_view>

#include "graph/onnx/limits.hpp"

namespace sparse_run::onnx {

/// Error(limit) when the name is too long, Error(model) when it is not UTF-8 or has control characters. `what` says whose name it is.
void check_name(std::string_view name, const ImportLimits& limits, std::string_view what);

/// "ai.onnx" and "" are the same domain, written "".
inline std::string_view normal_domain(std::string_view domain) { return domain == "ai.onnx" ? "" : domain; }

}  // namespace sparse_run::onnx
