// Recording events per thread and writing them as Chrome trace JSON.
#include "runtime/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/clock.hpp"

namespace sparse_run {

namespace {

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

double microseconds(std::int64_t ns) { return static_cast<double>(ns) / 1000.0; }

}  // namespace

Trace::Trace() : origin_ns_(now_ns()) {}

void Trace::add(Event event) {
  const std::lock_guard lock(mutex_);
  int track = static_cast<int>(tracks_.size());
  if (event.track.empty()) {
    const auto [known, added] = thread_tracks_.try_emplace(std::this_thread::get_id(), track);
    track = known->second;
    if (added) tracks_.push_back(fmt::format("thread {}", thread_tracks_.size() - 1));
  } else {
    const auto known = std::find(tracks_.begin(), tracks_.end(), event.track);
    track = static_cast<int>(known - tracks_.begin());
    if (known == tracks_.end()) tracks_.push_back(event.track);
  }
  events_.push_back({std::move(event), track});
}

std::vector<Trace::Event> Trace::events() const {
  const std::lock_guard lock(mutex_);
  std::vector<Event> events;
  for (const Recorded& recorded : events_) events.push_back(recorded.event);
  return events;
}

void Trace::write(std::ostream& out) const {
  const std::lock_guard lock(mutex_);
  out << "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"
      << R"({"name":"process_name","ph":"M","pid":0,"tid":0,"args":{"name":"sparse-run"}})";
  for (std::size_t track = 0; track < tracks_.size(); ++track) {
    out << fmt::format(",\n{{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":0,\"tid\":{},\"args\":{{\"name\":{}}}}}",
                       track, quoted(tracks_[track]));
  }
  for (const auto& [event, track] : events_) {
    out << fmt::format(",\n{{\"name\":{},\"cat\":{},\"ph\":\"X\",\"pid\":0,\"tid\":{},\"ts\":{:.3f},\"dur\":{:.3f}",
                       quoted(event.name), quoted(event.category), track, microseconds(event.begin_ns - origin_ns_),
                       microseconds(event.end_ns - event.begin_ns));
    if (!event.detail.empty()) out << ",\"args\":{\"detail\":" << quoted(event.detail) << '}';
    out << '}';
  }
  out << "\n]}\n";
}

}  // namespace sparse_run
