// Joining, watching and leaving.
#include "cli/ranks.hpp"

#include <fmt/ranges.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "cli/interruption.hpp"
#include "cli/partial_file.hpp"
#include "cli/version.hpp"
#include "comm/faults.hpp"
#include "comm/loopback.hpp"
#include "comm/mpi/mpi_link.hpp"
#include "comm/mpi/siblings.hpp"
#include "runtime/distributed/wire.hpp"

namespace sparse_run::cli {

namespace {

/// How long a thread that works may take to notice that the job is over.
constexpr auto kGrace = std::chrono::milliseconds(700);
/// How long a rank that lives may take to answer when everybody is told to end.
constexpr auto kAnswerTime = std::chrono::milliseconds(150);
constexpr auto kLookAround = std::chrono::milliseconds(10);

std::atomic<bool> silent{false};
std::atomic<bool> reported{false};

/// Prints the report of this rank once, whoever comes first.
void report(int rank, const std::string& line, const std::string& doing) {
  if (reported.exchange(true)) return;
  if (line.starts_with(fmt::format("rank {} has", rank))) {
    fmt::print(stderr, "sparse-run: rank {}: was stopped or cut off, and the other ranks have ended the job\n", rank);
    return;
  }
  fmt::print(stderr, "sparse-run: rank {}: {}{}\n", rank, line,
             doing.empty() ? "" : fmt::format(" (was at: {})", doing));
}

/// The launcher ends the job before the ranks have met, or a person does.
[[noreturn]] void leave_while_starting(int rank) {
  const std::string culprits = comm::describe_siblings_in_trouble();
  report(rank, culprits.empty() ? "interrupted" : culprits, "start");
  ::_exit(exit_code(culprits.empty() ? ErrorKind::interrupted : ErrorKind::comm));
}

}  // namespace

/// What the thread that watches for signals may look at.
struct Ranks::Watched {
  std::mutex mutex;
  Ranks* ranks = nullptr;  // null once it is gone
};

bool speaks_of_errors() noexcept { return !silent; }
int ranks_on_this_host() noexcept { return comm::detect_launch().on_this_host; }

int threads_per_rank(int cores) noexcept {
  const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
  return cores < online ? cores : std::max(1, cores / ranks_on_this_host());
}

Ranks::Ranks(const Options& options) : watched_(std::make_shared<Watched>()) {
  const comm::Launch launch = comm::detect_launch();
  silent = launch.rank != 0;
  const comm::Faults faults =
      with_context([] { return "--inject"; }, [&] { return comm::parse_faults(options.inject); });
  comm::ProgressOptions progress;
  progress.deadline_s = options.deadline;
  progress.obstacle = [rank = launch.rank] {
    if (interruption_flag()) leave_while_starting(rank);
    return comm::describe_stopped_siblings();
  };
  if (launch.on_this_host > ::sysconf(_SC_NPROCESSORS_ONLN)) progress.patience_s = 0;  // others want the core
  try {
    // Alone, the same way of running jobs is for resuming them.
    auto link = launch.size == 1 ? comm::LoopbackHub(1).link(0) : comm::make_mpi_link();
    transport_ = std::make_unique<comm::Progress>(with_faults(std::move(link), faults), progress);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::comm) throw;
    // The thread that hangs in MPI cannot be ended, so neither can this process in the usual way.
    const bool named = std::string_view(error.what()).find("is stopped") != std::string_view::npos;
    const std::string culprits = named ? std::string() : comm::describe_siblings_in_trouble();
    report(launch.rank, fmt::format("{}{}{}", error.what(), culprits.empty() ? "" : "; ", culprits), "start");
    ::_exit(exit_code(error.kind()));
  }
  cluster_ = std::make_unique<Cluster>(*transport_, [this](const comm::Failure& failure) {
    // From here on nothing may keep the process: a kernel in the middle of a long step is not waited for.
    std::thread([failure, rank = transport_->rank(), doing = cluster_ ? cluster_->doing() : std::string()] {
      std::this_thread::sleep_for(kGrace);
      report(rank, failure.text, doing);
      remove_partial_files();
      ::_exit(exit_code(failure.kind));
    }).detach();
  });
  watched_->ranks = this;
  on_interruption([watched = watched_] {
    const std::lock_guard lock(watched->mutex);
    if (watched->ranks != nullptr) watched->ranks->look_for_missing();
  });
}

Ranks::~Ranks() {
  {
    const std::lock_guard lock(watched_->mutex);
    watched_->ranks = nullptr;
  }
  cluster_.reset();
  transport_.reset();
}

void Ranks::look_for_missing() {
  if (transport_->failure()) return;
  transport_->ping();
  const auto asked = Clock::now();
  std::this_thread::sleep_for(kAnswerTime);
  const std::vector<double> silence = transport_->silence();
  for (int rank = 0; rank < transport_->size(); ++rank) {
    if (rank == transport_->rank() || silence[static_cast<std::size_t>(rank)] < seconds_since(asked)) continue;
    transport_->abort(
        {ErrorKind::comm, rank, fmt::format("rank {} does not answer any more, and the launcher ends the job", rank)});
    return;
  }
}

void Ranks::abort(const comm::Failure& failure) {
  transport_->abort(failure);
  for (int wait = 0; wait < 100 && !transport_->failure(); ++wait) std::this_thread::sleep_for(kLookAround);
  comm::throw_failure(transport_->failure().value_or(failure));
}

void Ranks::check_same(std::string_view what, const std::string& hash) {
  WireWriter mine;
  mine.put(std::string_view(hash));
  mine.put(std::string_view(version_line()));
  const auto all = cluster_->gather(mine.take());
  cluster_->phase(what, [&] {
    for (std::size_t rank = 1; rank < all.size(); ++rank) {
      WireReader reader(all[rank]);
      const std::string other_hash = reader.text();
      const std::string other_version = reader.text();
      if (other_version != version_line()) {
        throw_error(ErrorKind::comm, "rank {} runs another version: {}; rank 0 runs {}", rank, other_version,
                    version_line());
      }
      if (other_hash != hash) {
        throw_error(ErrorKind::comm, "rank {} has another {} (fingerprint {}) than rank 0 ({})", rank, what, other_hash,
                    hash);
      }
    }
  });
}

std::unique_ptr<Ranks> join_ranks(const Options& options) {
  const comm::Launch launch = comm::detect_launch();
  if (launch.size == 1 && !options.resume) return nullptr;
  return std::make_unique<Ranks>(options);
}

void Ranks::leave_after(const Error& error) {
  std::fflush(stdout);
  report(rank(), error.what(), cluster_->doing());
  remove_partial_files();
  ::_exit(exit_code(error.kind()));
}

}  // namespace sparse_run::cli
