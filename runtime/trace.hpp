// A recording of what ran when on which thread, written in the Chrome trace format that Perfetto opens.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace sparse_run {

/// Collects complete events from several threads. Times are now_ns() of base/clock.hpp.
class Trace {
 public:
  struct Event {
    std::string name;      ///< layer or phase
    std::string category;  ///< "layer", "partition", "copy", "request", "compile"
    std::int64_t begin_ns = 0;
    std::int64_t end_ns = 0;
    std::string detail = {};  ///< kernel, shape; may be empty
    std::string track = {};   ///< of a device's stream, by name; empty: the calling thread's
  };

  Trace();
  /// Records an event on its track. Thread-safe.
  void add(Event event);
  /// What was recorded so far, in the order of recording. Thread-safe.
  std::vector<Event> events() const;
  /// When it was made, of now_ns(): where its times count from.
  std::int64_t origin_ns() const noexcept { return origin_ns_; }
  /// One JSON object; times relative to construction. Thread-safe against add().
  void write(std::ostream& out) const;

 private:
  struct Recorded {
    Event event;
    int track;
  };
  mutable std::mutex mutex_;
  std::int64_t origin_ns_;
  std::map<std::thread::id, int> thread_tracks_;
  std::vector<std::string> tracks_;  ///< their names
  std::vector<Recorded> events_;
};

}  // namespace sparse_run
