// Recording events per thread and writing them as Chrome trace JSON.
#include "runtime/trace.hpp"

#include <fmt/format.h>

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
  const auto track = tracks_.try_emplace(std::this_thread::get_id(), static_cast<int>(tracks_.size())).first->second;
  events_.push_back({std::move(event), track});
}

void Trace::write(std::ostream& out) const {
  const std::lock_guard lock(mutex_);
  out << "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"
      << R"({"name":"process_name","ph":"M","pid":0,"tid":0,"args":{"name":"sparse-run"}})";
  for (const auto& [thread, track] : tracks_) {
    out << fmt::format(
        ",\n{{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":0,\"tid\":{0},"
        "\"args\":{{\"name\":\"thread {0}\"}}}}",
        track);
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
