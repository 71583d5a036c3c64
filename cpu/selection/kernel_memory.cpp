// The file of timings: one line per layer signature, checked line by line.
#include "cpu/selection/kernel_memory.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "cpu/isa.hpp"
#include "cpu/selection/build_identity.hpp"
#include "cpu/selection/fingerprint.hpp"

namespace sparse_run::cpu {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kPrefix = "kernels-";
constexpr std::string_view kSuffix = ".txt";
constexpr std::uintmax_t kLargestFile = 8 << 20;
constexpr std::size_t kMostSignatures = 20000;
constexpr std::size_t kMostCandidates = 32;
constexpr std::size_t kKeptFiles = 8;  // of other machines and builds

std::string describe(const Machine& machine) {
  std::string text = fmt::format("{}|{}", machine.cpu_model, to_string(active_isa()));
  for (const CacheLevel& cache : machine.caches) text += fmt::format("|L{}:{}", cache.level, cache.bytes);
  return text;
}

/// "SIGNATURE kernel seconds kernel seconds …", without its check sum.
std::string line_of(std::uint64_t signature, const TimedCandidates& candidates) {
  std::string line = fmt::format("{:016x}", signature);
  for (const KernelCandidate& candidate : candidates)
    line += fmt::format(" {} {:.9g}", candidate.kernel, candidate.seconds);
  return line;
}

template <class T>
std::optional<T> number(std::string_view text, int base = 10) {
  T value{};
  std::from_chars_result result{};
  if constexpr (std::is_floating_point_v<T>) {
    result = std::from_chars(text.data(), text.data() + text.size(), value);
  } else {
    result = std::from_chars(text.data(), text.data() + text.size(), value, base);
  }
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Line {
  std::uint64_t signature;
  TimedCandidates candidates;
};

/// A line as save() wrote it; nullopt for anything else.
std::optional<Line> parse(const std::string& text) {
  const auto space = text.find(' ');
  if (space == std::string::npos) return std::nullopt;
  const auto sum = number<std::uint64_t>(std::string_view(text).substr(0, space), 16);
  const std::string_view rest = std::string_view(text).substr(space + 1);
  if (!sum || *sum != fingerprint(rest)) return std::nullopt;
  std::istringstream words{std::string(rest)};
  std::string word;
  if (!(words >> word)) return std::nullopt;
  const auto signature = number<std::uint64_t>(word, 16);
  if (!signature) return std::nullopt;
  Line line{*signature, {}};
  std::string kernel;
  while (words >> kernel) {
    if (!(words >> word)) return std::nullopt;
    const auto seconds = number<double>(word);
    if (!seconds || !std::isfinite(*seconds) || *seconds < 0 || line.candidates.size() == kMostCandidates) {
      return std::nullopt;
    }
    line.candidates.push_back({kernel, *seconds, true});
  }
  if (line.candidates.empty()) return std::nullopt;
  return line;
}

void read_lines(const fs::path& file, std::unordered_map<std::uint64_t, TimedCandidates>& into) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(file, error);
  if (error || size > kLargestFile || !fs::is_regular_file(file, error)) return;
  std::ifstream stream(file);
  for (std::string text; into.size() < kMostSignatures && std::getline(stream, text);) {
    if (auto line = parse(text)) into.try_emplace(line->signature, std::move(line->candidates));
  }
}

/// Removes the oldest files of other machines and builds.
void remove_stale(const fs::path& folder, const fs::path& own) {
  std::vector<std::pair<fs::file_time_type, fs::path>> others;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code unreadable;
    if (name.size() != kPrefix.size() + 16 + kSuffix.size() || !name.starts_with(kPrefix) || !name.ends_with(kSuffix))
      continue;
    if (entry->path() == own || !entry->is_regular_file(unreadable)) continue;
    const auto time = entry->last_write_time(unreadable);
    if (!unreadable) others.emplace_back(time, entry->path());
  }
  if (others.size() <= kKeptFiles) return;
  std::ranges::sort(others);
  for (std::size_t i = 0; i + kKeptFiles < others.size(); ++i) fs::remove(others[i].second, error);
}

}  // namespace

KernelMemory::KernelMemory(fs::path folder, const Machine& machine) : folder_(std::move(folder)) {
  const std::string build = build_identity();
  if (folder_.empty() || build.empty()) return;
  file_ = folder_ / fmt::format("{}{:016x}{}", kPrefix, fingerprint(describe(machine) + "|" + build), kSuffix);
}

void KernelMemory::load() {
  if (loaded_) return;
  loaded_ = true;
  if (!file_.empty()) read_lines(file_, known_);
}

std::optional<TimedCandidates> KernelMemory::find(std::uint64_t signature) {
  const std::lock_guard lock(mutex_);
  load();
  const auto found = known_.find(signature);
  return found == known_.end() ? std::nullopt : std::optional(found->second);
}

void KernelMemory::remember(std::uint64_t signature, TimedCandidates candidates) {
  const std::lock_guard lock(mutex_);
  load();
  if (known_.size() >= kMostSignatures) return;
  known_[signature] = std::move(candidates);
  changed_ = true;
}

void KernelMemory::save() {
  const std::lock_guard lock(mutex_);
  if (!changed_ || file_.empty()) return;
  changed_ = false;
  problem_.clear();
  std::error_code error;
  fs::create_directories(folder_, error);
  auto all = known_;  // ours win over what others wrote since
  read_lines(file_, all);
  static std::atomic<unsigned> saves{0};  // memories of one process may share a file
  const fs::path temporary = file_.string() + fmt::format(".{}.{}", ::getpid(), saves++);
  {
    std::ofstream stream(temporary, std::ios::trunc);
    for (const auto& [signature, candidates] : all) {
      const std::string line = line_of(signature, candidates);
      stream << fmt::format("{:016x} {}\n", fingerprint(line), line);
    }
    stream.flush();
    if (!stream) problem_ = fmt::format("{} cannot be written", temporary.string());
  }
  if (problem_.empty()) {
    fs::rename(temporary, file_, error);
    if (error) problem_ = fmt::format("{} cannot be written: {}", file_.string(), error.message());
  }
  if (problem_.empty()) {
    remove_stale(folder_, file_);
  } else {
    fs::remove(temporary, error);
  }
}

std::string KernelMemory::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

fs::path default_cache_folder() {
  for (const auto& [variable, below] :
       {std::pair("XDG_CACHE_HOME", "sparse-run"), std::pair("HOME", ".cache/sparse-run")}) {
    const char* value = std::getenv(variable);
    if (value != nullptr && fs::path(value).is_absolute()) return fs::path(value) / below;
  }
  return {};
}

}  // namespace sparse_run::cpu
