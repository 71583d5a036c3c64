// Planning where constants lie.
#include "gpu/cuda/residency.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace sparse_run::gpu::cuda {

namespace {

/// Smaller constants are not worth a copy of their own.
constexpr std::size_t kLeastStreamed = std::size_t{64} << 10;
constexpr std::size_t kTableShare = 4;   ///< a table of more than this part of the memory leaves it in any case
constexpr std::size_t kCacheShare = 4;   ///< most that caches take of the memory
constexpr std::size_t kLeastCache = 16;  ///< least that they are left of it

/// The constants to stream when none is larger than `largest`; empty when that does not save enough.
struct Selection {
  std::vector<std::size_t> chosen;
  std::size_t bytes = 0;
  std::size_t buffer = 0;
};

std::size_t largest_step(std::span<const ConstantUse> constants, const std::vector<std::size_t>& chosen) {
  std::map<int, std::size_t> per_step;
  std::size_t largest = 0;
  for (const std::size_t i : chosen) largest = std::max(largest, per_step[constants[i].reader] += constants[i].bytes);
  return largest;
}

Selection select(std::span<const ConstantUse> constants, const std::vector<std::size_t>& candidates,
                 std::size_t largest, std::size_t total, std::size_t room) {
  Selection selection;
  std::vector<std::size_t> able;  // in the order of their steps
  std::size_t able_bytes = 0;
  for (const std::size_t i : candidates) {
    if (constants[i].bytes > largest) continue;
    able.push_back(i);
    able_bytes += constants[i].bytes;
  }
  selection.buffer = largest_step(constants, able);
  const std::size_t needed = total + 2 * selection.buffer > room ? total + 2 * selection.buffer - room : 0;
  if (needed == 0 || needed > able_bytes) return {};
  // The share of each stretch of steps that is streamed is the same, as in a line drawn with error diffusion.
  const double share = static_cast<double>(needed) / static_cast<double>(able_bytes);
  double due = 0;
  std::vector<std::size_t> rest;
  for (const std::size_t i : able) {
    due += share * static_cast<double>(constants[i].bytes);
    if (static_cast<double>(selection.bytes) < due) {
      selection.chosen.push_back(i);
      selection.bytes += constants[i].bytes;
    } else {
      rest.push_back(i);
    }
  }
  for (const std::size_t i : rest) {
    if (selection.bytes >= needed) break;
    selection.chosen.push_back(i);
    selection.bytes += constants[i].bytes;
  }
  return selection;
}

}  // namespace

Residency plan_residency(std::span<const ConstantUse> constants, std::size_t roomy, std::size_t tight) {
  Residency residency;
  residency.places.assign(constants.size(), Place::resident);
  std::vector<std::size_t> tables;
  for (std::size_t i = 0; i < constants.size(); ++i) {
    residency.resident_bytes += constants[i].bytes;
    if (constants[i].table) tables.push_back(i);
  }
  const auto by_size = [&](std::size_t a, std::size_t b) { return constants[a].bytes > constants[b].bytes; };
  std::stable_sort(tables.begin(), tables.end(), by_size);
  std::size_t table_bytes = 0;
  for (const std::size_t i : tables) {
    if (residency.resident_bytes <= roomy && constants[i].bytes <= roomy / kTableShare) break;
    residency.places[i] = Place::cached;
    residency.resident_bytes -= constants[i].bytes;
    table_bytes += constants[i].bytes;
  }
  if (table_bytes > 0) {
    const std::size_t left = roomy > residency.resident_bytes ? roomy - residency.resident_bytes : 0;
    residency.cache_bytes = std::min(table_bytes, std::max(roomy / kLeastCache, std::min(left, roomy / kCacheShare)));
  }
  if (residency.resident_bytes + residency.cache_bytes <= roomy) return residency;

  std::vector<std::size_t> candidates;
  std::set<std::size_t> sizes;
  for (std::size_t i = 0; i < constants.size(); ++i) {
    const ConstantUse& one = constants[i];
    if (residency.places[i] != Place::resident || one.reader < 0 || one.bytes < kLeastStreamed) continue;
    candidates.push_back(i);
    sizes.insert(one.bytes);
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [&](std::size_t a, std::size_t b) { return constants[a].reader < constants[b].reader; });
  Selection best;
  const std::size_t room = tight > residency.cache_bytes ? tight - residency.cache_bytes : 0;
  for (const std::size_t largest : sizes) {
    Selection one = select(constants, candidates, largest, residency.resident_bytes, room);
    if (!one.chosen.empty() && (best.chosen.empty() || one.bytes < best.bytes)) best = std::move(one);
  }
  residency.fits = !best.chosen.empty();
  for (const std::size_t i : best.chosen) residency.places[i] = Place::streamed;
  residency.streamed_bytes = best.bytes;
  residency.resident_bytes -= best.bytes;
  residency.buffer_bytes = largest_step(constants, best.chosen);
  return residency;
}

}  // namespace sparse_run::gpu::cuda
