// --test-data: folders of inputs and expected outputs in ONNX's own layout.
#pragma once

#include <string>
#include <vector>

#include "cli/comparison.hpp"
#include "graph/onnx/limits.hpp"
#include "runtime/session.hpp"

namespace sparse_run::cli {

/// Runs every test_data_set_* folder in `folder` (or `folder` itself when it holds input and output files) and
/// compares. Comparisons are named "test_data_set_0 y". Error(input) when there is none, or a file is missing.
std::vector<Comparison> run_test_data(Session& session, const std::string& folder, Tolerance tolerance,
                                      const ImportLimits& limits, const RunOptions& options);

}  // namespace sparse_run::cli
