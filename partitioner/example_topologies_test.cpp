// The shipped topologies: reading them, and that they are all valid.
#include "partitioner/example_topologies.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace sparse_run {

const std::vector<std::string>& example_topologies() {
  static const std::vector<std::string> kNames = {"workstation",     "cpu_and_gpu_node",  "eight_gpu_nodes",
                                                  "cpu_cluster_256", "small_accelerator", "two_emulated"};
  return kNames;
}

Topology example_topology(const std::string& name) {
  const std::string path = std::string(SPARSE_RUN_SOURCE_DIR) + "/examples/topologies/" + name + ".json";
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return topology_from_json(text.str());
}

namespace {

TEST(ExampleTopologies, every_shipped_file_is_listed_and_read) {
  std::set<std::string> shipped;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(SPARSE_RUN_SOURCE_DIR) + "/examples/topologies")) {
    if (entry.path().extension() == ".json") shipped.insert(entry.path().stem().string());
  }
  EXPECT_EQ(shipped, std::set<std::string>(example_topologies().begin(), example_topologies().end()));
  for (const std::string& name : example_topologies()) EXPECT_NO_THROW(example_topology(name)) << name;
}

}  // namespace
}  // namespace sparse_run
