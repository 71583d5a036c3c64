// Reading /proc about processes with the same parent.
#include "comm/mpi/siblings.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>

#include "comm/mpi/mpi_link.hpp"

namespace sparse_run::comm {

namespace {

struct Process {
  char state = '?';
  long parent = 0;
};

std::optional<Process> read_process(const std::filesystem::path& folder) {
  std::ifstream file(folder / "stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const std::size_t end_of_name = text.rfind(')');  // the name may hold anything
  if (end_of_name == std::string::npos || end_of_name + 4 >= text.size()) return std::nullopt;
  Process process;
  process.state = text[end_of_name + 2];
  process.parent = std::strtol(text.c_str() + end_of_name + 4, nullptr, 10);
  return process;
}

std::optional<int> rank_of(const std::filesystem::path& folder) {
  std::ifstream file(folder / "environ");
  std::string variable;
  while (std::getline(file, variable, '\0')) {
    for (const std::string name : {"OMPI_COMM_WORLD_RANK=", "PMI_RANK=", "SLURM_PROCID="}) {
      if (variable.starts_with(name)) return static_cast<int>(std::strtol(variable.c_str() + name.size(), nullptr, 10));
    }
  }
  return std::nullopt;
}

}  // namespace

namespace {

std::string describe(bool missing_too) {
  std::string text;
  std::set<int> alive;
  const auto tell = [&](const std::string& what) { text += (text.empty() ? "" : "; ") + what; };
  std::error_code error;
  // Processes end while this looks at them: errors end the search, they are not thrown.
  for (std::filesystem::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
    const auto& entry = *at;
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto process = read_process(entry.path());
    if (!process || process->parent != ::getppid()) continue;
    const auto rank = rank_of(entry.path());
    if (!rank || process->state == 'Z' || process->state == 'X') continue;
    alive.insert(*rank);
    if (process->state == 'T' || process->state == 't')
      tell(fmt::format("rank {} (process {}) is stopped", *rank, name));
  }
  const Launch launch = detect_launch();
  if (missing_too && text.empty() && launch.on_this_host == launch.size) {
    for (int rank = 0; rank < launch.size; ++rank) {
      if (!alive.contains(rank)) tell(fmt::format("rank {} is not running", rank));
    }
  }
  return text;
}

}  // namespace

std::string describe_siblings_in_trouble() { return describe(true); }
std::string describe_stopped_siblings() { return describe(false); }

}  // namespace sparse_run::comm
