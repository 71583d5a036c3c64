// The topologies of examples/topologies, for tests.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "partitioner/topology.hpp"

namespace sparse_run {

inline const std::vector<std::string>& example_topologies() {
  static const std::vector<std::string> kNames = {"workstation",     "cpu_and_gpu_node",  "eight_gpu_nodes",
                                                  "cpu_cluster_256", "small_accelerator", "two_emulated"};
  return kNames;
}

inline Topology example_topology(const std::string& name) {
  const std::string path = std::string(SPARSE_RUN_SOURCE_DIR) + "/examples/topologies/" + name + ".json";
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return topology_from_json(text.str());
}

}  // namespace sparse_run
