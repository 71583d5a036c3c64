// The topologies of examples/topologies, for tests.
#pragma once

#include <string>
#include <vector>

#include "partitioner/topology.hpp"

namespace sparse_run {

/// Names of the shipped files, without the extension.
const std::vector<std::string>& example_topologies();

/// The CPU that files which leave it to be discovered get: the same on every machine that tests run on.
DeviceSpec example_cpu();

/// Reads one of them; the calling test fails when the file cannot be opened.
Topology example_topology(const std::string& name);

}  // namespace sparse_run
