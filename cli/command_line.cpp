// From arguments to an exit code.
#include "cli/command_line.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <new>
#include <stdexcept>
#include <system_error>

#include "base/error.hpp"
#include "cli/calibration_run.hpp"
#include "cli/devices.hpp"
#include "cli/doctor.hpp"
#include "cli/interruption.hpp"
#include "cli/listings.hpp"
#include "cli/options.hpp"
#include "cli/partial_file.hpp"
#include "cli/placement.hpp"
#include "cli/ranks.hpp"
#include "cli/run_model.hpp"

namespace sparse_run::cli {

namespace {

/// Time that --untrusted allows, unless --timeout says otherwise.
constexpr double kUntrustedSeconds = 300;

void flush_stdout() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    throw_error(ErrorKind::input, "stdout: cannot be written: {}", std::generic_category().message(errno));
  }
}

void execute(const Options& options) {
  bool asked = false;
  const auto answer = [&](bool wanted, auto&& text) {
    if (!wanted) return;
    std::fputs(text().c_str(), stdout);
    asked = true;
  };
  answer(options.list_devices, [&] { return list_topology(options, discover_machine()); });
  answer(options.list_policies, list_policies);
  answer(!options.plan_diff.empty(), [&] { return diff_plans(options.plan_diff[0], options.plan_diff[1]); });
  answer(options.calibrate, [&] { return calibrate(options); });
  answer(options.list_operators, list_operators);
  answer(options.list_passes, list_passes);
  answer(options.doctor, [&] { return doctor_text(discover_machine(), cache_folder(options)); });
  if (options.model.empty()) {
    if (!options.topology_out.empty()) {
      const Machine machine = discover_machine();
      write_text_file(options.topology_out,
                      topology_to_json(topology_in_use(options, machine, computing_threads(options, machine))));
      return;
    }
    if (!asked) throw_error(ErrorKind::usage, "no model is named; give one, or see --help");
    return;
  }
  if (options.inspect) {
    inspect_model(options);
  } else if (!asked) {
    run_model(options);
  }
}

/// Prints the one line of a failure: control characters of foreign names are not passed on to a terminal.
int fail(ErrorKind kind, std::string line) {
  if (interruption_flag() && kind == ErrorKind::interrupted) {
    kind = interruption_kind();
    line = interruption_message();
  }
  if (!speaks_of_errors()) return exit_code(kind);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  std::fflush(stdout);
  fmt::print(stderr, "sparse-run: {}\n", line);
  return exit_code(kind);
}

}  // namespace

int run_command_line(int argc, const char* const* argv) noexcept {
  try {
    try {
      const ParsedCommandLine parsed = parse_command_line(argc, argv);
      if (parsed.text) {
        std::fputs(parsed.text->c_str(), stdout);
      } else {
        const Options& options = parsed.options;
        watch_for_interruption(options.timeout == 0 && options.untrusted ? kUntrustedSeconds : options.timeout);
        execute(options);
      }
      flush_stdout();
      return 0;
    } catch (const Error& error) {
      return fail(error.kind(), error.what());
    } catch (const std::bad_alloc&) {
      return fail(ErrorKind::limit, "memory is exhausted; use smaller inputs, --micro-batch or a larger machine");
    } catch (const std::length_error&) {
      return fail(ErrorKind::limit, "something is too large for memory; use smaller inputs");
    } catch (const std::exception& error) {
      return fail(ErrorKind::internal, fmt::format("internal error: {}; please report it", error.what()));
    }
  } catch (...) {
    return exit_code(ErrorKind::internal);  // not even the message could be made
  }
}

}  // namespace sparse_run::cli
