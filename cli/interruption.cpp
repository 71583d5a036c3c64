// The thread that waits for signals and for the end of the time allowed.
//
// Signals are not handled on the threads that compute: kernels generated at run time may keep something else than a
// stack in the stack pointer, and a handler's frame would then overwrite memory (oneDNN's matrix products do).
#include "cli/interruption.hpp"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <mutex>
#include <thread>

#include "cli/partial_file.hpp"

namespace sparse_run::cli {

namespace {

/// How long work may take to notice that it should stop.
constexpr double kGraceSeconds = 5;
constexpr double kShortGraceSeconds = 1;

std::atomic<bool> stop_requested{false};
std::atomic<bool> timed_out{false};
std::mutex hook_mutex;
std::function<void()> hook;

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

/// Waits for a signal, at most `seconds` (0: without end). False when the time is over.
bool wait_for_signal(const sigset_t& set, double seconds) {
  timespec time{};
  time.tv_sec = static_cast<time_t>(seconds);
  time.tv_nsec = static_cast<long>((seconds - std::floor(seconds)) * 1e9);
  for (;;) {
    const int signal = seconds > 0 ? ::sigtimedwait(&set, nullptr, &time) : ::sigwaitinfo(&set, nullptr);
    if (signal > 0) return true;
    if (errno == EAGAIN) return false;
  }
}

[[noreturn]] void end_by_force() {
  remove_partial_files();
  const std::string line = fmt::format("sparse-run: {}\n", interruption_message());
  if (::write(STDERR_FILENO, line.data(), line.size()) < 0) {
    // There is nobody left to tell.
  }
  ::_exit(exit_code(interruption_kind()));
}

void watch(double timeout_seconds) {
  const sigset_t set = watched_signals();
  timed_out = !wait_for_signal(set, timeout_seconds);
  stop_requested = true;
  std::function<void()> called;
  {
    const std::lock_guard lock(hook_mutex);
    called = hook;
  }
  if (called) called();
  wait_for_signal(set, called ? kShortGraceSeconds : kGraceSeconds);
  end_by_force();
}

void on_broken_pipe(int signal) {
  remove_partial_files();
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

}  // namespace

void watch_for_interruption(double timeout_seconds) {
  const sigset_t set = watched_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, on_broken_pipe);  // comes from writing, never from within a kernel
  ::signal(SIGXFSZ, SIG_IGN);         // a file that may not grow is an error of write, not a death
  std::thread(watch, timeout_seconds).detach();
}

void on_interruption(std::function<void()> called) {
  const std::lock_guard lock(hook_mutex);
  hook = std::move(called);
}

const std::atomic<bool>& interruption_flag() noexcept { return stop_requested; }

ErrorKind interruption_kind() noexcept { return timed_out ? ErrorKind::timeout : ErrorKind::interrupted; }

const char* interruption_message() noexcept {
  return timed_out ? "--timeout: the time is up; give it more, or less to do"
                   : "interrupted; no partial output is left";
}

void check_interruption() {
  if (stop_requested) throw Error(interruption_kind(), interruption_message());
}

}  // namespace sparse_run::cli
