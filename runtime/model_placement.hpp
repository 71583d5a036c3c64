// Devices of nodes by name: the bridge between a plan of the compiled graph and the nodes of the model's file.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "device/device.hpp"
#include "partitioner/plan.hpp"

namespace sparse_run {

/// Where nodes and the values they compute were placed, under their names in some form of a model.
struct NamedPlacement {
  struct Place {
    std::string device;
    int stage = 0;
  };
  std::unordered_map<std::string, Place> nodes;
  std::unordered_map<std::string, Place> values;

  void add(const Graph& graph, NodeId node, const Place& place);
};

/// What a plan says of its graph.
NamedPlacement placement_of(const Plan& plan, const Graph& graph);

/// The place of every node of another form of the same model, in which passes may have joined, added or removed nodes:
/// that of the node of its name; else of whoever computes its first result; else of a reader; else of an operand's
/// producer; else `fallback`.
std::vector<NamedPlacement::Place> places_in(const Graph& graph, const NamedPlacement& placement,
                                             const NamedPlacement::Place& fallback);

/// A valid plan that follows a placement, its policy called "model". Nodes that their device refuses, and those that
/// nothing is known of, are on the first of `devices`. Neighbours in topological order on one device are one partition.
Plan follow_placement(const Graph& graph, const NamedPlacement& placement,
                      std::span<const std::shared_ptr<Device>> devices, const std::string& model_hash);

}  // namespace sparse_run
