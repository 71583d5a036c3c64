// Graphics cards in a machine that hwloc reads from a file, and in this one.
#include "device/graphics.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

namespace sparse_run {
namespace {

/// Two packages with a node and a core each; a 3D controller behind the second, a network card and a display controller
/// without a known neighbour.
const char* const kMachine = R"(<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0">
 <object type="Machine" os_index="0" cpuset="0x3" complete_cpuset="0x3" allowed_cpuset="0x3" nodeset="0x3" complete_nodeset="0x3" allowed_nodeset="0x3" gp_index="1">
  <object type="Package" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" gp_index="2">
   <object type="NUMANode" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" gp_index="3" local_memory="1073741824"/>
   <object type="Core" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" gp_index="4">
    <object type="PU" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" gp_index="5"/>
   </object>
  </object>
  <object type="Package" os_index="1" cpuset="0x2" complete_cpuset="0x2" nodeset="0x2" complete_nodeset="0x2" gp_index="6">
   <object type="NUMANode" os_index="1" cpuset="0x2" complete_cpuset="0x2" nodeset="0x2" complete_nodeset="0x2" gp_index="7" local_memory="1073741824"/>
   <object type="Core" os_index="1" cpuset="0x2" complete_cpuset="0x2" nodeset="0x2" complete_nodeset="0x2" gp_index="8">
    <object type="PU" os_index="1" cpuset="0x2" complete_cpuset="0x2" nodeset="0x2" complete_nodeset="0x2" gp_index="9"/>
   </object>
   <object type="Bridge" gp_index="10" bridge_type="0-1" depth="0" bridge_pci="0000:[40-41]">
    <object type="PCIDev" gp_index="11" pci_busid="0000:41:00.0" pci_type="0302 [10de:2330] [10de:0000] a1" pci_link_speed="0.000000">
     <info name="PCIVendor" value="Some Vendor"/>
     <info name="PCIDevice" value="Some Card"/>
    </object>
   </object>
  </object>
  <object type="Bridge" gp_index="12" bridge_type="0-1" depth="0" bridge_pci="0000:[00-00]">
   <object type="PCIDev" gp_index="13" pci_busid="0000:00:02.0" pci_type="0300 [1234:5678] [0000:0000] 00" pci_link_speed="0.000000"/>
   <object type="PCIDev" gp_index="14" pci_busid="0000:00:03.0" pci_type="0200 [1234:9999] [0000:0000] 00" pci_link_speed="0.000000"/>
  </object>
 </object>
</topology>
)";

/// graphics_cards(); what hwloc's plugins keep when they are unloaded does not count as a leak.
std::vector<GraphicsCard> found_cards() {
#if defined(__SANITIZE_ADDRESS__)
  const __lsan::ScopedDisabler disabler;
#endif
  return graphics_cards();
}

TEST(GraphicsCards, are_found_with_the_cores_that_are_near_them) {
  const auto file = std::filesystem::temp_directory_path() / ("graphics_test_" + std::to_string(::getpid()) + ".xml");
  std::ofstream(file) << kMachine;
  ::setenv("HWLOC_XMLFILE", file.c_str(), 1);
  const std::vector<GraphicsCard> cards = found_cards();
  ::unsetenv("HWLOC_XMLFILE");
  std::filesystem::remove(file);
  ASSERT_EQ(cards.size(), 2u);
  const bool near_first = cards[0].address == "0000:41:00.0";
  const GraphicsCard& near = cards[near_first ? 0 : 1];
  const GraphicsCard& apart = cards[near_first ? 1 : 0];
  EXPECT_EQ(near.name, "Some Vendor Some Card");
  EXPECT_EQ(near.numa_node, 1);
  EXPECT_EQ(near.cores, "1");
  EXPECT_EQ(apart.address, "0000:00:02.0");
  EXPECT_EQ(apart.name, "1234:5678");
  EXPECT_EQ(apart.numa_node, -1);
  EXPECT_EQ(apart.cores, "");
  EXPECT_EQ(describe({near}), "on the bus: 0000:41:00.0 Some Vendor Some Card, near NUMA node 1, cores 1\n");
}

TEST(GraphicsCards, of_this_machine_have_addresses) {
  for (const GraphicsCard& card : found_cards()) {
    EXPECT_EQ(card.address.size(), 12u) << card.address;
    EXPECT_FALSE(card.name.empty());
  }
  EXPECT_EQ(describe({}), "");
}

}  // namespace
}  // namespace sparse_run
