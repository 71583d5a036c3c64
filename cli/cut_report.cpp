// Comparing both sides of every cut.
#include "cli/cut_report.hpp"

#include <fmt/format.h>

#include "cli/quantities.hpp"

namespace sparse_run::cli {

std::vector<Comparison> verify_cuts(Session& session, std::span<const Value> request, Tolerance tolerance,
                                    const RunOptions& run_options,
                                    const std::function<void(const std::string&)>& notice) {
  std::vector<Comparison> comparisons;
  bool any = false;
  const CutVisitor visit = [&](const Cut& cut, const Value& planned, const Value& other) {
    any = true;
    const std::string where = fmt::format("cut {} -> {} '{}', {}, {} -> {}", cut.from, cut.to, cut.value,
                                          format_bytes(static_cast<double>(cut.bytes)), cut.from_device, cut.to_device);
    if (!cut.skipped.empty()) {
      notice(fmt::format("{}: not verified, {}", where, cut.skipped));
      return;
    }
    comparisons.emplace_back(where, tolerance);
    comparisons.back().add(other, planned, false);
  };
  RunOptions options = run_options;
  options.cuts = &visit;
  session.run(request, options);
  if (!any) notice("--verify-cuts: nothing crosses from one device to another in this plan");
  return comparisons;
}

}  // namespace sparse_run::cli
