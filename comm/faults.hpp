// Injected faults: a link that delays, loses or fails what goes through it, to rehearse bad networks.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "comm/link.hpp"

namespace sparse_run::comm {

/// What goes wrong on the way out of a rank. Counts are of the rank's sends on channels, from 0.
struct Faults {
  double delay_s = 0;                    ///< every send and message leaves this much later, in order
  std::optional<std::uint64_t> lose;     ///< this send says it is done and never arrives
  std::optional<std::uint64_t> fail;     ///< this send fails
  std::optional<double> silent_after_s;  ///< nothing leaves any more after this time, as if the cable were cut
  bool any() const noexcept { return delay_s > 0 || lose || fail || silent_after_s; }
};

/// "delay=1ms,lose=17,fail=3,silent=2s", each part optional. Error(usage) says what is accepted.
Faults parse_faults(std::string_view text);

/// Wraps a link.
std::unique_ptr<Link> with_faults(std::unique_ptr<Link> link, const Faults& faults);

}  // namespace sparse_run::comm
