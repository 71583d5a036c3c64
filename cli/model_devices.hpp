// Device configurations inside model files: followed when a model has one, written by --export-placed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/device.hpp"
#include "graph/onnx/import.hpp"
#include "runtime/model_placement.hpp"
#include "runtime/session.hpp"

namespace sparse_run::cli {

/// The placement of the model's first configuration all of whose devices are among `devices`; nullopt when it has
/// none. Nodes that it spreads over several devices are left open, and `notice` is told how many.
std::optional<NamedPlacement> configured_placement(const Model& model, std::span<const std::shared_ptr<Device>> devices,
                                                   const std::function<void(const std::string&)>& notice);

/// Writes the model's file again, with the plan's devices as the configuration "sparse-run". Error(usage) when external
/// data would be left behind in another folder; Error(input) when the file cannot be written.
void export_placed(const std::string& file, const std::string& model_file, const Model& model,
                   const CompileReport& compiled, const ImportLimits& limits);

}  // namespace sparse_run::cli
