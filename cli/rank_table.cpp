// Collecting and formatting reports of ranks.
#include "cli/rank_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/quantities.hpp"
#include "cli/text_table.hpp"
#include "runtime/distributed/wire.hpp"

namespace sparse_run::cli {

std::vector<RankReport> gather_rank_reports(Cluster& cluster, const RankReport& own) {
  WireWriter mine;
  mine.put(own.requests);
  mine.put(own.busy_s);
  mine.put(own.waiting_s);
  mine.put(own.transfer_s);
  mine.put(own.sent_bytes);
  mine.put(own.received_bytes);
  mine.put(own.halo_rows);
  mine.put(own.halo_bytes);
  std::vector<RankReport> reports;
  for (auto& bytes : cluster.gather(mine.take())) {
    WireReader reader(std::move(bytes));
    RankReport report;
    report.requests = reader.get<std::int64_t>();
    report.busy_s = reader.get<double>();
    report.waiting_s = reader.get<double>();
    report.transfer_s = reader.get<double>();
    report.sent_bytes = reader.get<std::uint64_t>();
    report.received_bytes = reader.get<std::uint64_t>();
    report.halo_rows = reader.get<std::int64_t>();
    report.halo_bytes = reader.get<std::uint64_t>();
    reports.push_back(report);
  }
  return reports;
}

std::string rank_table(const std::vector<RankReport>& ranks) {
  const bool halos = std::any_of(ranks.begin(), ranks.end(), [](const RankReport& rank) { return rank.halo_rows > 0; });
  std::vector<std::string> header = {"rank", "requests", "busy",      "waiting", "bubble",
                                     "sent", "received", "transfers", "hidden"};
  if (halos) header.insert(header.end(), {"halo rows", "halo bytes"});
  TextTable table(header, std::string(header.size(), 'r'));
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const RankReport& report = ranks[rank];
    const double all = report.busy_s + report.waiting_s;
    const double exposed = std::min(report.waiting_s, report.transfer_s);
    std::vector<std::string> line = {
        std::to_string(rank),
        std::to_string(report.requests),
        format_seconds(report.busy_s),
        format_seconds(report.waiting_s),
        all > 0 ? fmt::format("{:.1f}%", 100 * report.waiting_s / all) : "-",
        format_bytes(static_cast<double>(report.sent_bytes)),
        format_bytes(static_cast<double>(report.received_bytes)),
        report.transfer_s > 0 ? format_seconds(report.transfer_s) : "-",
        report.transfer_s > 0 ? fmt::format("{:.0f}%", 100 * (1 - exposed / report.transfer_s)) : "-"};
    if (halos) line.insert(line.end(), {std::to_string(report.halo_rows), std::to_string(report.halo_bytes)});
    table.add(std::move(line));
  }
  return table.text();
}

}  // namespace sparse_run::cli
