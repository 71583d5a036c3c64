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
  mine.put(own.hidden_s);
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
    report.hidden_s = reader.get<double>();
    report.sent_bytes = reader.get<std::uint64_t>();
    report.received_bytes = reader.get<std::uint64_t>();
    report.halo_rows = reader.get<std::int64_t>();
    report.halo_bytes = reader.get<std::uint64_t>();
    reports.push_back(report);
  }
  return reports;
}

namespace {

/// Of transfers, what fell into computing; where that is not known, at least what was not waited for.
double hidden_seconds(const RankReport& report) {
  return report.hidden_s >= 0 ? report.hidden_s : report.transfer_s - std::min(report.waiting_s, report.transfer_s);
}

std::vector<std::string> row_of(std::string name, const RankReport& report) {
  const double all = report.busy_s + report.waiting_s;
  return {std::move(name),
          std::to_string(report.requests),
          format_seconds(report.busy_s),
          format_seconds(report.waiting_s),
          all > 0 ? fmt::format("{:.1f}%", 100 * report.waiting_s / all) : "-",
          format_bytes(static_cast<double>(report.sent_bytes)),
          format_bytes(static_cast<double>(report.received_bytes)),
          report.transfer_s > 0 ? format_seconds(report.transfer_s) : "-",
          report.transfer_s > 0 ? fmt::format("{:.0f}%", 100 * hidden_seconds(report) / report.transfer_s) : "-"};
}

}  // namespace

std::string rank_table(const std::vector<RankReport>& ranks) {
  TextTable table({"rank", "requests", "busy", "waiting", "bubble", "sent", "received", "transfers", "hidden"},
                  "rrrrrrrrr");
  RankReport all;
  all.hidden_s = 0;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const RankReport& report = ranks[rank];
    table.add(row_of(std::to_string(rank), report));
    all.requests += report.requests;
    all.busy_s += report.busy_s;
    all.waiting_s += report.waiting_s;
    all.transfer_s += report.transfer_s;
    all.hidden_s += hidden_seconds(report);
    all.sent_bytes += report.sent_bytes;
    all.received_bytes += report.received_bytes;
  }
  if (ranks.size() > 1) table.add(row_of("all", all));
  return table.text();
}

}  // namespace sparse_run::cli
