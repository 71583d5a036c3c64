// Recognising launchers by the variables they set.
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "comm/mpi/mpi_link.hpp"

namespace sparse_run::comm {

namespace {

std::optional<int> number(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  int value = 0;
  const char* end = text + std::strlen(text);
  const auto [stopped, error] = std::from_chars(text, end, value);
  return error == std::errc{} && stopped == end ? std::optional(value) : std::nullopt;
}

}  // namespace

Launch detect_launch() {
  struct Variables {
    const char* launcher;
    const char* size;
    const char* rank;
  };
  // SLURM sets its variables in the batch script too, where no job of ranks runs: the step's are asked.
  constexpr std::array<Variables, 3> known{{{"mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
                                            {"mpirun", "PMI_SIZE", "PMI_RANK"},
                                            {"srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"}}};
  for (const Variables& variables : known) {
    const auto size = number(variables.size);
    const auto rank = number(variables.rank);
    if (size && rank && *size >= 1 && *rank >= 0 && *rank < *size) return {variables.launcher, *rank, *size};
  }
  return {};
}

}  // namespace sparse_run::comm
