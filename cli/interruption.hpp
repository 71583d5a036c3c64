// Ctrl-C, SIGTERM and --timeout: first a request to stop, then an end by force.
#pragma once

#include <atomic>

#include "base/error.hpp"

namespace sparse_run::cli {

/// Installs the handlers and starts the thread they run on; call once, before other threads are started. After the first signal, or `timeout_seconds` (0: never), the
/// flag is set and work has some seconds to end; then, or at a second signal, partial files are removed and the
/// process exits with the documented code, whatever its threads are doing.
void watch_for_interruption(double timeout_seconds);

/// Set once the process was asked to stop. Hand it to every run.
const std::atomic<bool>& interruption_flag() noexcept;

/// Why: ErrorKind::timeout or ErrorKind::interrupted.
ErrorKind interruption_kind() noexcept;

/// Error(interrupted) or Error(timeout) once the flag is set.
void check_interruption();

}  // namespace sparse_run::cli
