// What devices do unless they say otherwise.
#include "device/device.hpp"

namespace sparse_run {

void Executable::run(std::span<const Value>, std::span<Value>, RunState&) const {
  throw Error(ErrorKind::internal, "an executable with memory of its own was run on values of the host");
}

EventPtr Executable::submit(std::vector<Value>, std::vector<Value>, RunState&, const std::vector<EventPtr>&) const {
  throw Error(ErrorKind::internal, "an executable that computes in host memory was given a stream");
}

std::string Device::refusal(const Graph&, const Node&) const { return {}; }

}  // namespace sparse_run
