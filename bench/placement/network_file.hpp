// Sample networks as ONNX files, for the executable and for other programs.
#pragma once

#include <filesystem>

#include "partitioner/sample_networks.hpp"

namespace sparse_run::bench {

/// Writes the network as FOLDER/NAME.onnx and returns that path. Error(input) when it cannot be written.
std::filesystem::path write_network(const SampleNetwork& network, const std::filesystem::path& folder);

}  // namespace sparse_run::bench
