// sparse-run as a function.
#pragma once

namespace sparse_run::cli {

/// Does what the command line says and returns the documented exit code. Every failure is one line on stderr.
int run_command_line(int argc, const char* const* argv) noexcept;

}  // namespace sparse_run::cli
