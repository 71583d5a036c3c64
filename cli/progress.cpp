// Drawing progress.
#include "cli/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "cli/quantities.hpp"

namespace sparse_run::cli {

namespace {
constexpr double kBarInterval = 0.1;
constexpr double kLineInterval = 5;
constexpr int kBarWidth = 30;
}  // namespace

std::string progress_line(std::int64_t done, std::int64_t total, double seconds, bool with_bar) {
  const double share = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 1;
  std::string line;
  if (with_bar) {
    const auto filled = static_cast<std::size_t>(share * kBarWidth);
    line = fmt::format("[{}{}] ", std::string(filled, '#'), std::string(kBarWidth - filled, '-'));
  }
  line += fmt::format("{:3.0f}%  {} of {}", 100 * share, format_count(static_cast<double>(done)),
                      format_count(static_cast<double>(total)));
  if (seconds <= 0 || done == 0) return line;
  const double rate = static_cast<double>(done) / seconds;
  line += fmt::format("  {} rows/s", rate >= 100 ? format_count(rate) : fmt::format("{:.1f}", rate));
  if (done < total) line += fmt::format("  {} left", format_seconds(static_cast<double>(total - done) / rate));
  return line;
}

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) == 1) {}

void Progress::update(std::int64_t done, std::int64_t total) {
  if (quiet_) return;
  const bool complete = done == total;
  if (seconds_since(last_) < (terminal_ ? kBarInterval : kLineInterval) && !(complete && drawn_)) return;
  last_ = Clock::now();
  drawn_ = true;
  const std::string line = progress_line(done, total, seconds_since(start_), terminal_);
  if (terminal_) {
    fmt::print(stderr, "\r{}\x1b[K", line);  // the escape sequence clears what a longer line left behind
  } else {
    fmt::print(stderr, "{}\n", line);
  }
  std::fflush(stderr);
}

void Progress::finish() {
  if (drawn_ && terminal_) fmt::print(stderr, "\n");
  drawn_ = false;
}

}  // namespace sparse_run::cli
