// Decisions between kernels that were taken before, in this process or in earlier ones.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "device/machine.hpp"
#include "device/profile.hpp"

namespace sparse_run::cpu {

/// Timed candidates of a layer, fastest first.
using TimedCandidates = std::vector<KernelCandidate>;

/// Remembers timings by layer signature, and keeps them in a file of a folder. The file belongs to one machine
/// description (model, caches, instruction set) and one build of the kernels; others are ignored and in time removed.
/// Whatever is wrong with it (absent, truncated, foreign, edited) costs the timings in it and nothing else: every line
/// has a check sum and is dropped alone. Thread-safe, and safe between processes: a file is written under another name
/// and renamed, with the lines that others have added since merged in.
class KernelMemory {
 public:
  /// `folder` empty: nothing is read or written. Created when the first timings are saved.
  KernelMemory(std::filesystem::path folder, const Machine& machine);

  std::optional<TimedCandidates> find(std::uint64_t signature);
  void remember(std::uint64_t signature, TimedCandidates candidates);
  /// Writes what is new. A folder that cannot be written is no error: timings are then taken again by the next process;
  /// `problem()` says why.
  void save();
  std::string problem() const;
  /// The file, empty when there is none to be.
  const std::filesystem::path& file() const noexcept { return file_; }

 private:
  void load();

  std::filesystem::path folder_, file_;
  mutable std::mutex mutex_;
  bool loaded_ = false;
  bool changed_ = false;
  std::string problem_;
  std::unordered_map<std::uint64_t, TimedCandidates> known_;
};

/// The folder for files that may be lost: $XDG_CACHE_HOME/sparse-run, else ~/.cache/sparse-run; empty when neither
/// variable is set.
std::filesystem::path default_cache_folder();

}  // namespace sparse_run::cpu
