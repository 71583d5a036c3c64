// Progress of a job on stderr: a bar on a terminal, a line every few seconds otherwise.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.hpp"

namespace sparse_run::cli {

/// Not thread-safe. Rates and times left come from the whole run so far.
class Progress {
 public:
  /// `quiet`: nothing is printed.
  explicit Progress(bool quiet);
  void update(std::int64_t done, std::int64_t total);
  /// Ends the bar's line.
  void finish();

 private:
  bool quiet_;
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = start_;
};

/// "[#####-----]  50%  1,234 of 2,468  310 rows/s  4.0 s left"
std::string progress_line(std::int64_t done, std::int64_t total, double seconds, bool with_bar);

}  // namespace sparse_run::cli
