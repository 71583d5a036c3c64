// Graphics cards and accelerators on this machine's buses, and which cores are near them.
#pragma once

#include <string>
#include <vector>

namespace sparse_run {

/// What the buses say of a card: it may be there without a driver that makes it usable.
struct GraphicsCard {
  std::string address;  ///< on the PCI bus, "0000:65:00.0"
  std::string name;     ///< vendor and model, or their numbers "10de:2330"
  int numa_node = -1;   ///< whose memory is nearest; -1: the machine does not say
  std::string cores;    ///< near it, "0-15,32-47"; empty: all are equally near, or not known
};

/// Display controllers, 3D controllers and processing accelerators in the order of the bus. Asks hwloc, which does not
/// load any driver; empty where it sees none, as in most virtual machines.
std::vector<GraphicsCard> graphics_cards();

/// "0000:65:00.0 NVIDIA H100, near NUMA node 1, cores 32-63", a line each.
std::string describe(const std::vector<GraphicsCard>& cards);

}  // namespace sparse_run
