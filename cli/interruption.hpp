// Ctrl-C, SIGTERM and --timeout: first a request to stop, then an end by force.
#pragma once

#include <atomic>
#include <functional>

#include "base/error.hpp"

namespace sparse_run::cli {

/// Call once, before any other thread is started: signals are taken by a thread of their own, and all others inherit
/// that they are blocked. After the first signal, or `timeout_seconds` (0: never), the flag is set and work has some
/// seconds to end; then, or at a second signal, partial files are removed and the process exits with the documented
/// code, whatever its threads are doing.
void watch_for_interruption(double timeout_seconds);

/// `hook` is called on the thread that watches for signals, after the flag is set; a process of several ranks finds out
/// there who is missing. The grace that work has afterwards is then short: launchers kill soon.
void on_interruption(std::function<void()> hook);

/// Set once the process was asked to stop. Hand it to every run.
const std::atomic<bool>& interruption_flag() noexcept;

/// Why: ErrorKind::timeout or ErrorKind::interrupted.
ErrorKind interruption_kind() noexcept;

/// The line for people that goes with interruption_kind().
const char* interruption_message() noexcept;

/// Error of interruption_kind() once the flag is set.
void check_interruption();

}  // namespace sparse_run::cli
