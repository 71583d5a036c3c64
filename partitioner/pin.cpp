// Reading pins and finding the nodes they mean.
#include "partitioner/pin.hpp"

#include <fmt/ranges.h>

#include <charconv>

#include "base/error.hpp"

namespace sparse_run {

namespace {

/// Longer names are not compared: the expression's matcher needs stack for every character.
constexpr std::size_t kLongestName = 2000;

int device_index(const Pin& pin, const std::vector<CandidateDevice>& devices) {
  const auto find = [&](const std::string& name, int rank) {
    for (std::size_t d = 0; d < devices.size(); ++d) {
      if (devices[d].spec.name == name && devices[d].rank == rank) return static_cast<int>(d);
    }
    return -1;
  };
  int found = find(pin.device, 0);
  const auto colon = pin.device.rfind(':');
  if (found < 0 && colon != std::string::npos) {
    int rank = 0;
    const char* end = pin.device.data() + pin.device.size();
    const auto [stop, failure] = std::from_chars(pin.device.data() + colon + 1, end, rank);
    if (failure == std::errc() && stop == end) found = find(pin.device.substr(0, colon), rank);
  }
  if (found < 0 && (pin.device == "gpu" || pin.device == "emulated")) found = find(pin.device + ":0", 0);
  if (found >= 0) return found;
  std::vector<std::string> names;
  for (std::size_t d = 0; d < devices.size() && d < 16; ++d) {
    names.push_back(devices[d].rank == 0 ? devices[d].spec.name
                                         : fmt::format("{}:{}", devices[d].spec.name, devices[d].rank));
  }
  throw_error(ErrorKind::usage, "--pin {}: '{}' is no device in use; there are {}", pin.text, pin.device,
              fmt::join(names, ", "));
}

}  // namespace

Pin parse_pin(const std::string& text) {
  const auto equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    throw_error(ErrorKind::usage, "--pin {}: write REGEX=device[:rank][/kernel]", text);
  }
  Pin pin;
  pin.text = text;
  std::string target = text.substr(equals + 1);
  const auto slash = target.find('/');
  if (slash != std::string::npos) {
    pin.kernel = target.substr(slash + 1);
    target.resize(slash);
    if (pin.kernel.empty()) throw_error(ErrorKind::usage, "--pin {}: a kernel's name has to follow the '/'", text);
  }
  if (target.empty()) throw_error(ErrorKind::usage, "--pin {}: write REGEX=device[:rank][/kernel]", text);
  pin.device = std::move(target);
  try {
    pin.nodes = std::regex(text.substr(0, equals), std::regex::ECMAScript | std::regex::optimize);
  } catch (const std::regex_error& error) {
    throw_error(ErrorKind::usage, "--pin {}: '{}' is no regular expression: {}", text, text.substr(0, equals),
                error.what());
  }
  return pin;
}

ResolvedPins resolve_pins(const std::vector<Pin>& pins, const Graph& graph, const std::vector<CandidateDevice>& devices,
                          bool all_must_match) {
  ResolvedPins resolved;
  resolved.device.assign(graph.nodes().size(), -1);
  resolved.kernel.resize(graph.nodes().size());
  std::vector<const Pin*> by(graph.nodes().size(), nullptr);
  for (const Pin& pin : pins) {
    const int device = device_index(pin, devices);
    bool matched = false;
    for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
      const std::string& name = graph.nodes()[n].name;
      if (name.size() > kLongestName || !std::regex_match(name, pin.nodes)) continue;
      matched = true;
      const bool contradicts =
          by[n] != nullptr && (resolved.device[n] != device || (!pin.kernel.empty() && !resolved.kernel[n].empty() &&
                                                                pin.kernel != resolved.kernel[n]));
      if (contradicts) {
        throw_error(ErrorKind::usage, "--pin {} and --pin {} contradict each other on {}", by[n]->text, pin.text,
                    graph.nodes()[n].describe());
      }
      by[n] = &pin;
      resolved.device[n] = device;
      if (!pin.kernel.empty()) {
        resolved.kernel[n] = pin.kernel;
        resolved.any_kernel = true;
      }
    }
    if (!matched && all_must_match) {
      throw_error(ErrorKind::usage,
                  "--pin {}: matches no node of the compiled graph; --dry-run --plan-out FILE.json lists their names",
                  pin.text);
    }
  }
  return resolved;
}

}  // namespace sparse_run
