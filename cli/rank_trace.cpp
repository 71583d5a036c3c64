// Merging traces.
#include "cli/rank_trace.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "runtime/distributed/wire.hpp"

namespace sparse_run::cli {

std::string merged_trace(Cluster& cluster, const Trace& own) {
  std::ostringstream text;
  own.write(text);
  WireWriter mine;
  mine.put(own.origin_ns() + cluster.transport().clock_offset_ns());
  mine.put(std::string_view(text.str()));
  auto all = cluster.gather(mine.take());
  if (!cluster.leads()) return {};
  auto events = nlohmann::json::array();
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    WireReader reader(std::move(all[rank]));
    const double shift_us = static_cast<double>(reader.get<std::int64_t>() - own.origin_ns()) / 1e3;
    auto one = nlohmann::json::parse(reader.text(), nullptr, false);
    if (one.is_discarded()) throw_error(ErrorKind::comm, "the trace of rank {} is damaged", rank);
    for (auto& event : one.at("traceEvents")) {
      event["pid"] = rank;
      if (event.contains("ts")) event["ts"] = event["ts"].get<double>() + shift_us;
      if (event.value("name", "") == "process_name") event["args"]["name"] = fmt::format("rank {}", rank);
      events.push_back(std::move(event));
    }
  }
  return nlohmann::json{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}}.dump() + "\n";
}

}  // namespace sparse_run::cli
