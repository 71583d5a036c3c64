// Collecting and formatting reports of ranks.
#include "cli/rank_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "cli/quantities.hpp"
#include "cli/text_table.hpp"
#include "runtime/distributed/wire.hpp"

namespace sparse_run::cli {

std::vector<RankReport> gather_rank_reports(Cluster& cluster, const RankReport& own) {
  static_assert(std::is_trivially_copyable_v<RankReport>);  // ranks are of one build
  WireWriter mine;
  mine.put(sizeof own);
  mine.put_bytes(std::as_bytes(std::span(&own, 1)));
  std::vector<RankReport> reports;
  for (auto& bytes : cluster.gather(mine.take())) {
    const auto report = WireReader(std::move(bytes)).bytes();
    if (report.size() != sizeof(RankReport)) throw_error(ErrorKind::comm, "a report of a rank is damaged");
    std::memcpy(&reports.emplace_back(), report.data(), sizeof(RankReport));
  }
  return reports;
}

namespace {

/// Of transfers, what fell into computing; where that is not known, at least what was not waited for.
double hidden_seconds(const RankReport& report) {
  return report.hidden_s >= 0 ? report.hidden_s : report.transfer_s - std::min(report.waiting_s, report.transfer_s);
}

/// Columns that only some forms and links have.
struct Extras {
  bool halos = false;
  bool packing = false;
};

void add_row(TextTable& table, std::string name, const RankReport& report, const Extras& extras) {
  const double all = report.busy_s + report.waiting_s;
  const std::string bubble = all > 0 ? fmt::format("{:.1f}%", 100 * report.waiting_s / all) : std::string("-");
  std::string transfers("-"), hidden("-");
  if (report.transfer_s > 0) {
    transfers = format_seconds(report.transfer_s);
    hidden = fmt::format("{:.0f}%", 100 * hidden_seconds(report) / report.transfer_s);
  }
  std::vector<std::string> row = {std::move(name),
                                  std::to_string(report.requests),
                                  format_seconds(report.busy_s),
                                  format_seconds(report.waiting_s),
                                  bubble,
                                  format_bytes(static_cast<double>(report.sent_bytes)),
                                  format_bytes(static_cast<double>(report.received_bytes)),
                                  transfers,
                                  hidden};
  if (extras.packing) {
    row.push_back(report.plain_bytes == 0
                      ? std::string("-")
                      : fmt::format("{} to {}", format_bytes(static_cast<double>(report.plain_bytes)),
                                    format_bytes(static_cast<double>(report.packed_bytes))));
  }
  if (extras.halos) row.insert(row.end(), {std::to_string(report.halo_rows), std::to_string(report.halo_bytes)});
  table.add(std::move(row));
}

}  // namespace

std::string rank_table(const std::vector<RankReport>& ranks) {
  std::vector<std::string> header = {"rank", "requests", "busy",      "waiting", "bubble",
                                     "sent", "received", "transfers", "hidden"};
  Extras extras;
  for (const RankReport& rank : ranks) {
    extras.halos = extras.halos || rank.halo_rows > 0;
    extras.packing = extras.packing || rank.plain_bytes > 0;
  }
  if (extras.packing) header.emplace_back("packed");
  if (extras.halos) header.insert(header.end(), {"halo rows", "halo bytes"});
  const std::string alignment(header.size(), 'r');
  TextTable table(std::move(header), alignment);
  RankReport all;
  all.hidden_s = 0;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const RankReport& report = ranks[rank];
    add_row(table, std::to_string(rank), report, extras);
    all.requests += report.requests;
    all.busy_s += report.busy_s;
    all.waiting_s += report.waiting_s;
    all.transfer_s += report.transfer_s;
    all.hidden_s += hidden_seconds(report);
    all.sent_bytes += report.sent_bytes;
    all.received_bytes += report.received_bytes;
    all.plain_bytes += report.plain_bytes;
    all.packed_bytes += report.packed_bytes;
    all.halo_rows += report.halo_rows;
    all.halo_bytes += report.halo_bytes;
  }
  if (ranks.size() > 1) add_row(table, "all", all, extras);
  return table.text();
}

}  // namespace sparse_run::cli
