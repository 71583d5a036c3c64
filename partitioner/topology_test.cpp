// Topology files: what is read, what is written, what is refused.
#include "partitioner/topology.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "partitioner/example_topologies.hpp"

namespace sparse_run {
namespace {

using testing::HasSubstr;

const char* const kCpu = R"({"name":"cpu","kind":"cpu","memory_bytes":1000,"dense_gflops":1,"memory_gb_per_s":1})";
const char* const kGpu = R"({"name":"gpu:0","kind":"gpu","memory_bytes":1000,"dense_gflops":1,"memory_gb_per_s":1})";

std::string with_devices(const std::string& devices, const std::string& rest = "") {
  return R"({"schema_version":1,"hosts":[{"name":"h","devices":[)" + devices + "]" + rest + "}]}";
}

std::string refusal(const std::string& text) {
  try {
    topology_from_json(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage) << error.what();
    return error.what();
  }
  return "accepted";
}

TEST(Topology, examples_are_read_and_round_trip) {
  for (const std::string& name : example_topologies()) {
    const Topology topology = example_topology(name);
    const std::string text = topology_to_json(topology);
    EXPECT_EQ(topology_to_json(topology_from_json(text)), text) << name;
    EXPECT_EQ(topology_hash(topology_from_json(text)), topology_hash(topology));
  }
  EXPECT_EQ(example_topology("cpu_cluster_256").ranks(), 256);
}

TEST(Topology, this_machine_has_a_cpu_with_positive_rates_and_can_be_written) {
  const Topology topology = discover_topology(discover_machine(), 0);
  const DeviceSpec& cpu = topology.hosts.at(0).cpu();
  EXPECT_EQ(cpu.name, "cpu");
  EXPECT_GT(cpu.dense_gflops, 0);
  EXPECT_GT(cpu.memory_gb_per_s, 0);
  EXPECT_EQ(refusal(topology_to_json(topology)), "accepted");
}

TEST(Topology, links_go_both_ways_unless_said_otherwise_and_devices_without_one_meet_in_host_memory) {
  const Topology topology = topology_from_json(with_devices(
      std::string(kCpu) + "," + kGpu +
          R"(,{"name":"gpu:1","kind":"gpu","memory_bytes":1000,"dense_gflops":1,"memory_gb_per_s":1})",
      R"(,"links":[{"from":"cpu","to":"gpu:0","gb_per_s":10,"latency_us":1},{"from":"cpu","to":"gpu:1","gb_per_s":10,"latency_us":2}])"));
  const HostSpec& host = topology.host_of(0);
  EXPECT_EQ(host.link("gpu:0", "cpu").gb_per_s, 10);
  EXPECT_DOUBLE_EQ(host.link("gpu:0", "gpu:1").gb_per_s, 5);
  EXPECT_DOUBLE_EQ(host.link("gpu:0", "gpu:1").latency_us, 3);
}

TEST(Topology, numbers_that_are_none_are_refused_by_name) {
  const auto cpu_with = [](const std::string& field) {
    return with_devices(R"({"name":"cpu","kind":"cpu","memory_bytes":1000,"dense_gflops":1,"memory_gb_per_s":1,)" +
                        field + "}");
  };
  EXPECT_THAT(refusal(cpu_with(R"("dense_gflops":0)")), HasSubstr("dense_gflops"));
  EXPECT_THAT(refusal(cpu_with(R"("memory_gb_per_s":-1)")), HasSubstr("memory_gb_per_s"));
  EXPECT_THAT(refusal(cpu_with(R"("memory_bytes":0)")), HasSubstr("memory_bytes"));
  EXPECT_THAT(refusal(cpu_with(R"("memory_bytes":1e30)")), HasSubstr("memory_bytes"));
  EXPECT_THAT(refusal(cpu_with(R"("launch_us":-5)")), HasSubstr("launch_us"));
  EXPECT_THAT(refusal(cpu_with(R"("sparse_gflops":"many")")), HasSubstr("sparse_gflops"));
  EXPECT_THAT(refusal(cpu_with(R"("caches":[{"level":1,"bytes":0,"gb_per_s":1}])")), HasSubstr("caches[0].bytes"));
  EXPECT_THAT(refusal(cpu_with(R"("gflops":3)")), HasSubstr("gflops"));
}

TEST(Topology, a_discovered_cpu_gives_its_numbers_to_the_file_and_to_devices_that_are_multiples_of_it) {
  const char* const here = R"({"name":"cpu","kind":"cpu","discovered":true})";
  const auto gpu = [](const std::string& rate) {
    return R"(,{"name":"emulated:0","kind":"gpu","emulated":true,"memory_bytes":9,"memory_times_cpu":2,)" + rate + "}";
  };
  const DeviceSpec this_cpu = example_cpu();
  const Topology topology = topology_from_json(with_devices(here + gpu(R"("dense_times_cpu":4)")), &this_cpu);
  EXPECT_TRUE(topology.hosts[0].cpu().discovered);
  EXPECT_EQ(topology.hosts[0].cpu().dense_gflops, this_cpu.dense_gflops);
  EXPECT_EQ(topology.hosts[0].devices[1].dense_gflops, 4 * this_cpu.dense_gflops);
  EXPECT_EQ(topology.hosts[0].devices[1].memory_gb_per_s, 2 * this_cpu.memory_gb_per_s);
  EXPECT_THAT(refusal(with_devices(here)), HasSubstr("discovered"));
  EXPECT_THAT(refusal(with_devices(kCpu + gpu(R"("dense_times_cpu":4)"))), HasSubstr("times_cpu"));
  EXPECT_THAT(refusal(with_devices(kCpu + gpu(R"("dense_times_cpu":4,"dense_gflops":1)"))), HasSubstr("not both"));
  EXPECT_THAT(refusal(with_devices(kCpu + gpu(R"("dense_times_cpu":-4)"))), HasSubstr("dense_times_cpu"));
  EXPECT_THAT(refusal(with_devices(R"({"name":"cpu","kind":"cpu","discovered":true,"dense_gflops":1})")),
              HasSubstr("dense_gflops"));
  EXPECT_THAT(refusal(with_devices(R"({"name":"gpu:0","kind":"gpu","discovered":true})")), HasSubstr("only the CPU"));
}

TEST(Topology, costs_of_doing_things_at_once_belong_to_the_host) {
  const Topology topology =
      topology_from_json(with_devices(kCpu, R"(,"handover_us":25,"copy_contention":1.5,"compute_contention":1.25)"));
  EXPECT_EQ(topology.hosts[0].handover_us, 25);
  EXPECT_EQ(topology.hosts[0].copy_contention, 1.5);
  EXPECT_EQ(topology.hosts[0].compute_contention, 1.25);
  EXPECT_EQ(topology_to_json(topology_from_json(topology_to_json(topology))), topology_to_json(topology));
  EXPECT_THAT(refusal(with_devices(kCpu, R"(,"handover_us":-1)")), HasSubstr("handover_us"));
  EXPECT_THAT(refusal(with_devices(kCpu, R"(,"copy_contention":0)")), HasSubstr("copy_contention"));
  EXPECT_THAT(refusal(with_devices(kCpu, R"(,"compute_contention":"much")")), HasSubstr("compute_contention"));
}

TEST(Topology, only_emulated_devices_have_an_error) {
  const auto device = [](const char* emulated, const char* error) {
    return std::string(kCpu) + R"(,{"name":")" + (std::string(emulated) == "true" ? "emulated" : "gpu") +
           R"(:0","kind":"gpu","memory_bytes":9,"dense_gflops":1,"memory_gb_per_s":1,"emulated":)" + emulated +
           R"(,"relative_error":)" + error + "}";
  };
  EXPECT_EQ(topology_from_json(with_devices(device("true", "0.25"))).hosts[0].devices[1].relative_error, 0.25);
  EXPECT_THAT(refusal(with_devices(device("false", "0.25"))), HasSubstr("relative_error"));
  EXPECT_THAT(refusal(with_devices(device("true", "-1"))), HasSubstr("relative_error"));
}

TEST(Topology, shapes_that_make_no_sense_are_refused) {
  EXPECT_THAT(refusal(""), HasSubstr("JSON"));
  EXPECT_THAT(refusal("[1]"), HasSubstr("object"));
  EXPECT_THAT(refusal(R"({"schema_version":2})"), HasSubstr("schema_version"));
  EXPECT_THAT(refusal(R"({"schema_version":1,"hosts":[]})"), HasSubstr("at least one"));
  EXPECT_THAT(refusal(with_devices("")), HasSubstr("kind cpu"));
  EXPECT_THAT(refusal(with_devices(kGpu)), HasSubstr("kind cpu"));
  EXPECT_THAT(refusal(with_devices(std::string(kCpu) + "," + kCpu)), HasSubstr("twice"));
  EXPECT_THAT(refusal(with_devices(kCpu, R"(,"count":0)")), HasSubstr("count"));
  EXPECT_THAT(refusal(with_devices(kCpu, R"(,"count":100000000)")), HasSubstr("count"));
  EXPECT_THAT(refusal(with_devices(kCpu, R"(,"links":[{"from":"cpu","to":"gpu:7","gb_per_s":1}])")),
              HasSubstr("gpu:7"));
  EXPECT_THAT(
      refusal(with_devices(R"({"name":"npu","kind":"npu","memory_bytes":1,"dense_gflops":1,"memory_gb_per_s":1})")),
      HasSubstr("npu"));
  EXPECT_THAT(refusal(with_devices(
                  R"({"name":"cpu:../../x","kind":"cpu","memory_bytes":1,"dense_gflops":1,"memory_gb_per_s":1})")),
              HasSubstr("no name"));
}

}  // namespace
}  // namespace sparse_run
