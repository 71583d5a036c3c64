// Walking the PCI devices that hwloc finds.
#include "device/graphics.hpp"

#include <fmt/format.h>
#include <hwloc.h>

#include <cstdlib>
#include <memory>

namespace sparse_run {

namespace {

/// Classes of the PCI code assignment: display controllers, 3D among them, and processing accelerators.
bool computes_or_displays(unsigned class_id) { return class_id >> 8 == 0x03 || class_id >> 8 == 0x12; }

std::string address_of(const hwloc_obj_attr_u::hwloc_pcidev_attr_s& pci) {
  return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", static_cast<unsigned>(pci.domain), pci.bus, pci.dev, pci.func);
}

std::string name_of(hwloc_obj_t card, const hwloc_obj_attr_u::hwloc_pcidev_attr_s& pci) {
  const char* vendor = hwloc_obj_get_info_by_name(card, "PCIVendor");
  const char* model = hwloc_obj_get_info_by_name(card, "PCIDevice");
  if (vendor == nullptr && model == nullptr) return fmt::format("{:04x}:{:04x}", pci.vendor_id, pci.device_id);
  return fmt::format("{}{}{}", vendor == nullptr ? "" : vendor, vendor != nullptr && model != nullptr ? " " : "",
                     model == nullptr ? "" : model);
}

std::string listed(hwloc_const_bitmap_t set) {
  char* text = nullptr;
  if (hwloc_bitmap_list_asprintf(&text, set) < 0) return {};
  const std::unique_ptr<char, decltype(&std::free)> owner(text, std::free);
  return text;
}

}  // namespace

std::vector<GraphicsCard> graphics_cards() {
  std::vector<GraphicsCard> cards;
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return cards;
  const std::unique_ptr<hwloc_topology, decltype(&hwloc_topology_destroy)> topology(raw, hwloc_topology_destroy);
  hwloc_topology_set_io_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_ALL);
  if (hwloc_topology_load(raw) != 0) return cards;
  for (hwloc_obj_t card = hwloc_get_next_pcidev(raw, nullptr); card != nullptr;
       card = hwloc_get_next_pcidev(raw, card)) {
    const hwloc_obj_attr_u::hwloc_pcidev_attr_s& pci = card->attr->pcidev;
    if (!computes_or_displays(pci.class_id)) continue;
    GraphicsCard found;
    found.address = address_of(pci);
    found.name = name_of(card, pci);
    const hwloc_obj_t near = hwloc_get_non_io_ancestor_obj(raw, card);
    if (near != nullptr && near->parent != nullptr) {  // the root is the whole machine: nothing is nearer
      if (near->nodeset != nullptr && hwloc_bitmap_weight(near->nodeset) == 1) {
        found.numa_node = hwloc_bitmap_first(near->nodeset);
      }
      if (near->cpuset != nullptr) found.cores = listed(near->cpuset);
    }
    cards.push_back(std::move(found));
  }
  return cards;
}

std::string describe(const std::vector<GraphicsCard>& cards) {
  std::string text;
  for (const GraphicsCard& card : cards) {
    text += fmt::format("on the bus: {} {}", card.address, card.name);
    if (card.numa_node >= 0) text += fmt::format(", near NUMA node {}", card.numa_node);
    if (!card.cores.empty()) text += fmt::format(", cores {}", card.cores);
    text += '\n';
  }
  return text;
}

}  // namespace sparse_run
