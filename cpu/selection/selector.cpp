// Asking the table, ranking by estimate, timing the best, honouring pins.
#include "cpu/selection/selector.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "cpu/selection/fingerprint.hpp"
#include "cpu/selection/signature.hpp"

namespace sparse_run::cpu {

namespace {

constexpr std::string_view kReference = "cpu.reference";
/// Sparse constants of more elements are not made dense for a kernel that needs them so.
constexpr std::int64_t kLargestDense = std::int64_t{1} << 26;
/// Layers expected to take less are not worth timing.
constexpr double kTooShort = 4e-6;
/// Contenders expected to take this many times longer than the first are not timed: estimates are not that wrong.
constexpr double kBeyondHope = 4;
/// Further variants of a kernel whose fastest so far takes this many times as long as the best are not timed.
constexpr double kFarBehind = 1.6;
constexpr std::size_t kMostVariants = 12;  // of one kernel
/// A variant replaces one that was expected to be faster when it takes at most this share of its time: trials of the
/// same step differ by a few per cent.
constexpr double kClearlyFaster = 0.97;

Verdict ask(const KernelEntry& entry, const NodeView& view, const Environment& environment) {
  if (!entry.takes_sparse) {
    for (std::size_t i = 0; i < view.input_count(); ++i) {
      const SparseTensor* sparse = view.sparse_constant(i);
      if (sparse != nullptr && element_count(sparse->shape) > kLargestDense) {
        return Verdict::reject(fmt::format("operand {} would have to be made dense, all {} elements of it", i,
                                           element_count(sparse->shape)));
      }
    }
  }
  return entry.check(view, environment);
}

/// The weight whose zeros decide between kernels: the second operand, or else the first.
const WeightFacts* deciding_weight(const NodeView& view) {
  return view.weight(1) != nullptr ? view.weight(1) : view.weight(0);
}

double density_of(const NodeView& view) {
  const WeightFacts* weight = deciding_weight(view);
  return weight == nullptr ? 1 : 1 - weight->zeros();
}

std::string known_kernels(const std::vector<KernelEntry>& table) {
  std::string known(kReference);
  for (const KernelEntry& entry : table) known += ", " + std::string(entry.name);
  return known;
}

}  // namespace

struct KernelSelector::Contender {
  const KernelEntry* entry = nullptr;
  std::string variant;
  Estimate estimate;
  double seconds = 0;  ///< estimated, or timed
  bool timed = false;
  std::unique_ptr<Step> step;

  std::string name() const {
    return variant.empty() ? std::string(entry->name) : std::string(entry->name) + "@" + variant;
  }
};

void KernelChoice::build(const NodeView& view, Environment environment) {
  if (entry == nullptr || step != nullptr) return;
  environment.variant = variant;
  step = entry->build(view, environment);
}

std::vector<KernelSelector::Contender> KernelSelector::contenders_of(const NodeView& view, std::string_view pinned,
                                                                     std::string& refusals) const {
  const auto& table = KernelTable::standard().candidates(view.node());
  const std::string_view kernel = pinned.substr(0, pinned.find('@'));
  const std::string_view variant =
      kernel.size() == pinned.size() ? std::string_view() : pinned.substr(kernel.size() + 1);
  std::vector<Contender> contenders;
  for (const KernelEntry& entry : table) {
    if (pinned.empty()) {
      if (!contenders.empty() && (entry.estimate == nullptr || contenders.front().entry->estimate == nullptr)) continue;
    } else if (entry.name != kernel) {
      continue;
    }
    const Verdict verdict = ask(entry, view, environment_);
    if (!verdict.accepted()) {
      if (!pinned.empty()) throw_error(ErrorKind::usage, "{} cannot run it: {}", pinned, verdict.reason());
      if (verdict.reason().empty()) continue;
      if (!refusals.empty()) refusals += "; ";
      refusals += std::string(entry.name) + ": " + verdict.reason();
      continue;
    }
    const Estimate estimate = entry.estimate == nullptr ? Estimate() : entry.estimate(view, environment_);
    auto variants = entry.variants == nullptr ? std::vector<std::string>() : entry.variants(view, environment_);
    if (variants.empty()) variants.emplace_back();
    for (std::string& name : variants) {
      if (!variant.empty() && name != variant) continue;
      contenders.push_back({&entry, std::move(name), estimate, 0, false, nullptr});
    }
  }
  if (contenders.empty() && !pinned.empty()) {
    throw_error(ErrorKind::usage, "{} is no kernel for it; there are {}", pinned, known_kernels(table));
  }
  if (contenders.size() > 1) {
    const double density = density_of(view);
    for (Contender& contender : contenders) contender.seconds = contender.estimate.seconds(density);
    std::ranges::stable_sort(contenders, {}, &Contender::seconds);
  }
  return contenders;
}

bool KernelSelector::time(std::vector<Contender>& contenders, const NodeView& view) {
  const double first = contenders.front().seconds;
  if (first < kTooShort || spent_s_ >= policy_.budget_s) return false;
  const auto start = Clock::now();
  double best = std::numeric_limits<double>::infinity();
  std::size_t winner = contenders.size();
  // The first variant of each kernel before any second one: then the budget may end it at any point.
  std::vector<std::pair<std::size_t, std::size_t>> order;  // how many of its kernel stand before it, which
  std::map<const KernelEntry*, std::size_t> seen;
  for (std::size_t i = 0; i < contenders.size(); ++i) order.emplace_back(seen[contenders[i].entry]++, i);
  std::ranges::stable_sort(order);
  std::map<const KernelEntry*, double> fastest;
  for (const auto& [rank, i] : order) {
    Contender& contender = contenders[i];
    if (contender.seconds > kBeyondHope * first || rank >= kMostVariants) continue;
    if (rank > 0 &&
        (spent_s_ + seconds_since(start) > policy_.budget_s || fastest[contender.entry] > kFarBehind * best)) {
      continue;
    }
    Environment environment = environment_;
    environment.variant = contender.variant;
    auto step = contender.entry->build(view, environment);
    const double seconds = trial_.seconds(*step, view, 1.5 * best);
    if (seconds < 0) break;
    const auto known = fastest.try_emplace(contender.entry, seconds).first;
    known->second = std::min(known->second, seconds);
    contender.seconds = seconds;
    contender.timed = true;
    const bool variant_of_best = winner < contenders.size() && contenders[winner].entry == contender.entry;
    if (seconds >= (variant_of_best ? kClearlyFaster : 1.0) * best) continue;
    if (winner < contenders.size()) contenders[winner].step.reset();
    best = seconds;
    winner = i;
    contender.step = std::move(step);
  }
  spent_s_ += seconds_since(start);
  if (winner == contenders.size()) return false;
  std::rotate(contenders.begin(), contenders.begin() + static_cast<std::ptrdiff_t>(winner),
              contenders.begin() + static_cast<std::ptrdiff_t>(winner) + 1);
  std::stable_sort(contenders.begin() + 1, contenders.end(), [](const Contender& a, const Contender& b) {
    return a.timed != b.timed ? a.timed : a.seconds < b.seconds;
  });
  return true;
}

namespace {

/// From which share of zeros on a sparse kernel is the faster one, its estimate scaled by how wrong it was.
template <class Contenders>
double crossover(const Contenders& contenders, double density) {
  const auto sparse = std::ranges::find_if(contenders, [](const auto& c) { return c.estimate.per_density > 0; });
  const auto dense = std::ranges::find_if(contenders, [](const auto& c) { return c.estimate.per_density == 0; });
  if (sparse == contenders.end() || dense == contenders.end()) return -1;
  const double expected = sparse->estimate.seconds(density);
  if (expected <= 0) return -1;
  const double error = sparse->seconds / expected;
  const double flips = (dense->seconds / error - sparse->estimate.fixed) / sparse->estimate.per_density;
  return 1 - std::clamp(flips, 0.0, 1.0);
}

}  // namespace

KernelChoice KernelSelector::choose(const NodeView& view, std::string_view pinned) {
  KernelChoice choice;
  if (!pinned.empty()) choice.choice = "pinned";
  if (pinned == kReference) return choice;
  if (!view.concrete()) {
    if (!pinned.empty()) throw_error(ErrorKind::usage, "{} cannot run it: its shapes depend on data", pinned);
    if (!KernelTable::standard().candidates(view.node()).empty()) choice.refusals = "shapes depend on data";
    return choice;
  }
  auto contenders = contenders_of(view, pinned, choice.refusals);
  if (contenders.empty()) return choice;
  if (contenders.size() > 1) {
    const bool remembers = policy_.memory != nullptr;
    const std::uint64_t signature = remembers ? fingerprint(layer_signature(view, environment_)) : 0;
    auto known = remembers ? policy_.memory->find(signature) : std::nullopt;
    std::string how = "estimated";
    if (known) {
      std::size_t found = 0;
      for (const KernelCandidate& timed : *known) {  // fastest first; what is no contender now is passed over
        const auto same =
            std::ranges::find_if(contenders.begin() + static_cast<std::ptrdiff_t>(found), contenders.end(),
                                 [&](const Contender& c) { return c.name() == timed.kernel; });
        if (same == contenders.end()) continue;
        same->seconds = timed.seconds;
        same->timed = true;
        std::rotate(contenders.begin() + static_cast<std::ptrdiff_t>(found), same, same + 1);
        ++found;
      }
      if (found > 0) how = "timed before";
    }
    if (how == "estimated" && time(contenders, view)) {
      how = "timed";
      if (remembers) {
        TimedCandidates timed;
        for (const Contender& contender : contenders) {
          if (contender.timed) timed.push_back({contender.name(), contender.seconds, true});
        }
        policy_.memory->remember(signature, std::move(timed));
      }
    }
    if (choice.choice.empty()) choice.choice = how;
    for (const Contender& contender : contenders) {
      choice.candidates.push_back({contender.name(), contender.seconds, contender.timed});
    }
    if (deciding_weight(view) != nullptr) choice.sparse_from = crossover(contenders, density_of(view));
  }
  Contender& chosen = contenders.front();
  choice.entry = chosen.entry;
  choice.kernel = chosen.name();
  choice.variant = std::move(chosen.variant);
  choice.step = std::move(chosen.step);
  return choice;
}

}  // namespace sparse_run::cpu
