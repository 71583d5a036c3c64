// Pins: a person's word on where a node runs, which beats plan files and policies.
#pragma once

#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "partitioner/placement_problem.hpp"

namespace sparse_run {

/// REGEX=device[:rank][/kernel] of --pin.
struct Pin {
  std::string text;    ///< as typed
  std::regex nodes;    ///< matches whole node names
  std::string device;  ///< may still carry ":rank", see resolve_pins
  std::string kernel;  ///< "": the device chooses
};

/// Error(usage) when the form or the expression is wrong.
Pin parse_pin(const std::string& text);

/// What pins come to for one graph.
struct ResolvedPins {
  std::vector<int> device;          ///< per node: index into the devices, or -1
  std::vector<std::string> kernel;  ///< per node: "" where none is pinned
  bool any_kernel = false;
};

/// Error(usage) naming the pin when it names a device that is not there, when two pins contradict each other on a node,
/// and, with `all_must_match`, when one matches no node.
ResolvedPins resolve_pins(const std::vector<Pin>& pins, const Graph& graph, const std::vector<CandidateDevice>& devices,
                          bool all_must_match);

}  // namespace sparse_run
