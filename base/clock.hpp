// The one monotonic clock that profiles, traces and deadlines read.
#pragma once

#include <chrono>
#include <cstdint>

namespace sparse_run {

using Clock = std::chrono::steady_clock;

/// Nanoseconds since an arbitrary point that is fixed for the process.
inline std::int64_t now_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

inline double seconds_since(Clock::time_point start) noexcept {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace sparse_run
