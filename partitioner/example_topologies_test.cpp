// The shipped topologies: reading them, and that they are all valid.
#include "partitioner/example_topologies.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace sparse_run {

const std::vector<std::string>& example_topologies() {
  static const std::vector<std::string> kNames = {
      "workstation",       "cpu_and_gpu_node", "eight_gpu_nodes",      "cpu_cluster_256",
      "small_accelerator", "two_emulated",     "this_machine_and_gpu", "this_machine_and_small_gpu"};
  return kNames;
}

Topology example_topology(const std::string& name) {
  const std::string path = std::string(SPARSE_RUN_SOURCE_DIR) + "/examples/topologies/" + name + ".json";
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  const DeviceSpec this_cpu = example_cpu();
  return topology_from_json(text.str(), &this_cpu);
}

DeviceSpec example_cpu() {
  DeviceSpec cpu;
  cpu.name = "cpu";
  cpu.memory_bytes = std::size_t{16} << 30;
  cpu.dense_gflops = 200;
  cpu.sparse_gflops = 70;
  cpu.memory_gb_per_s = 16;
  cpu.caches = {{2, std::size_t{4} << 20, 200}, {3, std::size_t{32} << 20, 60}};
  cpu.launch_us = 2;
  cpu.dispatch_us = 5;
  return cpu;
}

namespace {

TEST(ExampleTopologies, every_shipped_file_is_listed_and_read) {
  std::set<std::string> shipped;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(SPARSE_RUN_SOURCE_DIR) + "/examples/topologies")) {
    if (entry.path().extension() == ".json") shipped.insert(entry.path().stem().string());
  }
  EXPECT_EQ(shipped, std::set<std::string>(example_topologies().begin(), example_topologies().end()));
  for (const std::string& name : example_topologies()) EXPECT_NO_THROW(example_topology(name)) << name;
}

}  // namespace
}  // namespace sparse_run
