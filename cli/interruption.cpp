// Signal handlers. Everything here but watch_for_interruption() has to be async-signal-safe.
#include "cli/interruption.hpp"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <string_view>
#include <system_error>
#include <thread>

#include "cli/partial_file.hpp"

namespace sparse_run::cli {

namespace {

/// How long work may take to notice that it should stop.
constexpr double kGraceSeconds = 5;

std::atomic<bool> stop_requested{false};
std::atomic<int> stop_signal{0};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

void set_timer(double seconds) noexcept {
  itimerval timer{};
  timer.it_value.tv_sec = static_cast<time_t>(seconds);
  timer.it_value.tv_usec = static_cast<suseconds_t>((seconds - std::floor(seconds)) * 1e6);
  if (timer.it_value.tv_sec == 0 && timer.it_value.tv_usec == 0) timer.it_value.tv_usec = 1;
  ::setitimer(ITIMER_REAL, &timer, nullptr);
}

[[noreturn]] void end_by_force() noexcept {
  remove_partial_files();
  const bool timed_out = stop_signal == SIGALRM;
  const std::string_view line = timed_out ? "sparse-run: --timeout: the time is up; give it more, or less to do\n"
                                          : "sparse-run: interrupted; no partial output is left\n";
  if (::write(STDERR_FILENO, line.data(), line.size()) < 0) {
    // There is nobody left to tell.
  }
  ::_exit(exit_code(timed_out ? ErrorKind::timeout : ErrorKind::interrupted));
}

void on_signal(int signal) {
  if (stop_requested.exchange(true)) end_by_force();
  stop_signal = signal;
  set_timer(kGraceSeconds);
}

void on_broken_pipe(int signal) {
  remove_partial_files();
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

constexpr std::array kStopSignals = {SIGINT, SIGTERM, SIGHUP, SIGALRM};

/// Leaves the stop signals to one thread that does nothing else. A handler runs on the stack of the thread that gets
/// the signal, and generated kernels of oneDNN compute with the stack pointer inside a buffer on the heap: there the
/// kernel's signal frame would overwrite whatever lies below it. Threads made later inherit the mask.
void handle_on_own_thread() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : kStopSignals) sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  try {
    std::thread([signals] {
      ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
      for (;;) ::pause();
    }).detach();
  } catch (const std::system_error& error) {
    throw_error(ErrorKind::limit, "no thread can be started ({}); raise the limit of processes (ulimit -u)",
                error.what());
  }
}

void install(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

void watch_for_interruption(double timeout_seconds) {
  for (const int signal : kStopSignals) install(signal, on_signal);
  install(SIGPIPE, on_broken_pipe);
  handle_on_own_thread();
  if (timeout_seconds > 0) set_timer(timeout_seconds);
}

const std::atomic<bool>& interruption_flag() noexcept { return stop_requested; }

ErrorKind interruption_kind() noexcept { return stop_signal == SIGALRM ? ErrorKind::timeout : ErrorKind::interrupted; }

void check_interruption() {
  if (!stop_requested) return;
  if (interruption_kind() == ErrorKind::timeout) {
    throw_error(ErrorKind::timeout, "--timeout: the time is up; give it more, or less to do");
  }
  throw_error(ErrorKind::interrupted, "interrupted; no partial output is left");
}

}  // namespace sparse_run::cli
