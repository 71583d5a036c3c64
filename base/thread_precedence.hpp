// Threads that do little and that others wait for go before those that compute.
#pragma once

namespace sparse_run {

/// Gives the calling thread precedence over the process's computing threads, as far as the system lets it (a step of
/// niceness, or of priority where the process runs in real time). Without the right to do so nothing changes.
void take_precedence() noexcept;

}  // namespace sparse_run
