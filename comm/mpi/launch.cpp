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
    const char* local_size;
  };
  // SLURM sets its variables in the batch script too, where no job of ranks runs: the step's are asked.
  constexpr std::array<Variables, 3> known{
      {{"mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
       {"mpirun", "PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS"},
       {"srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_NTASKS_PER_NODE"}}};
  for (const Variables& variables : known) {
    const auto size = number(variables.size);
    const auto rank = number(variables.rank);
    if (!size || !rank || *size < 1 || *rank < 0 || *rank >= *size) continue;
    const auto local = number(variables.local_size);
    return {variables.launcher, *rank, *size, local && *local >= 1 && *local <= *size ? *local : 1};
  }
  return {};
}

}  // namespace sparse_run::comm
