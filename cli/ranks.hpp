// This process as one of several ranks: joining, agreeing, and ending when another rank is lost.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "cli/options.hpp"
#include "comm/progress.hpp"
#include "runtime/distributed/cluster.hpp"

namespace sparse_run::cli {

/// Membership from MPI's initialisation to its end. While it lives, a lost rank ends this process within the deadline,
/// whatever its threads are doing; SIGTERM, which launchers send when a rank was killed, becomes a report of who is
/// missing.
class Ranks {
 public:
  explicit Ranks(const Options& options);
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  Cluster& cluster() noexcept { return *cluster_; }
  bool leads() const noexcept { return cluster_->leads(); }
  int rank() const noexcept { return cluster_->rank(); }
  int size() const noexcept { return cluster_->size(); }

  /// Something that all ranks must have alike, like "model file": Error(comm) names one that has it otherwise, or that
  /// runs another version of the program. Collective.
  void check_same(std::string_view what, const std::string& hash);
  /// Brings the job down because of an error of this rank alone, and throws it as the others see it.
  [[noreturn]] void abort(const comm::Failure& failure);
  /// Ends the process after the job went down: prints what happened and what this rank was at, removes partial files,
  /// and does not wait for ranks that are lost.
  [[noreturn]] void leave_after(const Error& error);

 private:
  void look_for_missing();

  struct Watched;
  std::shared_ptr<Watched> watched_;  // shared with the thread that watches for signals
  std::unique_ptr<comm::Progress> transport_;
  std::unique_ptr<Cluster> cluster_;
};

/// nullptr when this process was started alone, or with one rank, unless it is to resume a job. Error(usage) when it
/// was started with several and the build has no MPI.
std::unique_ptr<Ranks> join_ranks(const Options& options);

/// Whether this process should print errors: rank 0 does, the others only what concerns them alone.
bool speaks_of_errors() noexcept;
/// Threads of this rank when it may use `cores` and was not told: the ranks on this host share them unless the launcher
/// has bound each to its own.
int threads_per_rank(int cores) noexcept;
/// Ranks on this host, of this job; 1 when started alone.
int ranks_on_this_host() noexcept;

}  // namespace sparse_run::cli
