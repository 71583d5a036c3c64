// Looking over the machine.
#include "cli/doctor.hpp"

#include <fmt/ranges.h>
#include <netdb.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "cli/process_memory.hpp"
#include "cli/quantities.hpp"
#include "cli/version.hpp"
#include "comm/mpi/mpi_link.hpp"

namespace sparse_run::cli {

namespace {

class Findings {
 public:
  void ok(const char* subject, const std::string& found) { add("ok", subject, found, "nothing to do"); }
  void note(const char* subject, const std::string& found, const std::string& advice) {
    add("note", subject, found, advice);
  }
  void fix(const char* subject, const std::string& found, const std::string& advice) {
    add("fix", subject, found, advice);
  }
  std::string take() { return std::move(text_); }

 private:
  void add(const char* verdict, const char* subject, const std::string& found, const std::string& advice) {
    text_ += fmt::format("{:<5} {:<15} {}: {}\n", verdict, subject, found, advice);
  }
  std::string text_;
};

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The word in brackets of "always [madvise] never".
std::string chosen_of(const std::string& line) {
  const auto open = line.find('[');
  const auto close = line.find(']');
  return open == std::string::npos || close == std::string::npos ? std::string()
                                                                 : line.substr(open + 1, close - open - 1);
}

void check_isa(const Machine& machine, Findings& findings) {
  const std::string found = fmt::format("{} ({})", machine.cpu_model, fmt::join(machine.isa, " "));
  if (machine.has_isa("avx512f")) {
    findings.ok("instructions", found);
  } else if (machine.has_isa("avx2") && machine.has_isa("fma")) {
    findings.note("instructions", found, "AVX2 kernels run; a CPU with AVX-512 does up to twice as much per cycle");
  } else {
    findings.fix("instructions", found, "plain kernels run; use a CPU with AVX2, or show its flags to the container");
  }
}

void check_caches(const Machine& machine, Findings& findings) {
  std::vector<std::string> words;
  for (const CacheLevel& cache : machine.caches) {
    words.push_back(fmt::format("L{} {}", cache.level, format_bytes(static_cast<double>(cache.bytes))));
  }
  if (words.empty()) {
    findings.note("caches", "not visible", "tiles are cut for 32 KiB and 1 MiB; mount /sys to let them be read");
  } else {
    findings.ok("caches", fmt::format("{}", fmt::join(words, ", ")));
  }
}

void check_memory(const Machine& machine, Findings& findings) {
  const std::size_t available = available_bytes();
  const std::string found =
      fmt::format("{} in all, {} available", format_bytes(static_cast<double>(machine.memory_bytes)),
                  format_bytes(static_cast<double>(available)));
  if (available < (std::size_t{1} << 30)) {
    findings.fix("memory", found, "stop other work, or lower --micro-batch");
  } else {
    findings.ok("memory", found);
  }
}

void check_huge_pages(Findings& findings) {
  const std::string mode = chosen_of(first_line("/sys/kernel/mm/transparent_hugepage/enabled"));
  if (mode.empty()) {
    findings.note("huge pages", "not visible", "ask the administrator whether transparent huge pages are on");
  } else if (mode == "never") {
    findings.fix("huge pages", "off", "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, as root");
  } else {
    findings.ok("huge pages", mode);
  }
}

void check_container(const Machine& machine, Findings& findings) {
  const std::size_t limit = cgroup_limit_bytes();
  if (limit > 0 && limit <= machine.memory_bytes) {
    findings.note("memory limit", format_bytes(static_cast<double>(limit)) + " by the container",
                  "it is respected; raise it if jobs end with exit code 9");
  } else {
    findings.ok("memory limit", "none by a container");
  }
  std::istringstream quota(first_line("/sys/fs/cgroup/cpu.max"));
  double microseconds = 0;
  double period = 0;
  if (quota >> microseconds >> period && period > 0) {
    findings.note("cpu limit", fmt::format("{:.2f} cores by the container", microseconds / period),
                  fmt::format("{} threads are used; more would be throttled", machine.cores));
  } else {
    findings.ok("cpu limit", "none by a container");
  }
}

void check_binding(const Machine& machine, Findings& findings) {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int bound = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
  const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
  if (bound > 0 && bound < online) {
    findings.note("binding", fmt::format("bound to {} of {} processors", bound, online),
                  "start without taskset or --cpuset-cpus to use them all");
  } else {
    findings.ok("binding", fmt::format("free to use all {} processors", online));
  }
  if (machine.numa_nodes > 1) {
    findings.note("memory nodes", fmt::format("{} NUMA nodes", machine.numa_nodes),
                  "for steady times run one process per node: numactl --cpunodebind=N --membind=N");
  }
}

void check_load(const Machine& machine, Findings& findings) {
  std::array<double, 1> load{};
  if (::getloadavg(load.data(), 1) != 1) return;
  const std::string found = fmt::format("load {:.1f} on {} processors", load[0], machine.cores);
  if (load[0] > 0.5 * machine.cores) {
    findings.fix("other work", found, "stop other programs before measuring, or lower --threads");
  } else {
    findings.ok("other work", found);
  }
  const char* openmp = std::getenv("OMP_NUM_THREADS");
  if (openmp != nullptr) {
    findings.note("OpenMP", fmt::format("OMP_NUM_THREADS={}", openmp), "it has no effect here; use --threads");
  }
}

void check_frequency(Findings& findings) {
  const std::string governor = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  if (governor.empty() || governor == "performance") return;
  findings.note("frequency", "governor " + governor,
                "for steady times: cpupower frequency-set -g performance, as root");
}

/// The folder, or the nearest one above it that exists, has to let files be made.
void check_cache(const std::filesystem::path& folder, Findings& findings) {
  if (folder.empty()) {
    findings.note("kernel timings", "not kept", "name a folder with --cache-dir, or set HOME: starts become shorter");
    return;
  }
  std::error_code error;
  std::filesystem::path existing = std::filesystem::absolute(folder, error);
  while (!std::filesystem::exists(existing, error) && existing.has_relative_path()) existing = existing.parent_path();
  if (std::filesystem::is_directory(existing, error) && ::access(existing.c_str(), W_OK | X_OK) == 0) {
    findings.ok("kernel timings", "kept in " + folder.string());
  } else {
    findings.fix("kernel timings", existing.string() + " cannot be written",
                 "name another folder with --cache-dir: kernels are timed again at every start");
  }
}

void check_build(Findings& findings) {
  if (build_type() == "Debug") {
    findings.fix("build", "Debug", "build with cmake --preset release: this one is many times slower");
  } else {
    findings.ok("build", fmt::format("{} {}, {}", version(), build_type(), compiler()));
  }
  findings.ok("oneDNN", onednn_version());
  findings.ok("oneTBB", tbb_version());
  const bool gpu_seen = std::ifstream("/dev/nvidiactl").good() || std::ifstream("/proc/driver/nvidia/version").good();
  if (built_with_cuda()) {
    findings.ok("CUDA", "in this build");
  } else if (gpu_seen) {
    findings.note("CUDA", "an NVIDIA GPU is there, this build cannot use it", "models run on the CPU");
  } else {
    findings.note("CUDA", "not in this build, and no NVIDIA GPU is visible", "models run on the CPU");
  }
}

void check_ranks(const Machine& machine, Findings& findings) {
  const comm::Launch launch = comm::detect_launch();
  if (!comm::built_with_mpi()) {
    findings.note("MPI", "not in this build",
                  "models run in one process; install libopenmpi-dev and openmpi-bin and build again");
    return;
  }
  findings.ok("MPI", comm::mpi_version() + ", used by one thread (MPI_THREAD_SERIALIZED)");
  const char* transports = std::getenv("OMPI_MCA_btl");
  findings.ok("transports", transports != nullptr ? std::string(transports) + " (OMPI_MCA_btl)" : "chosen by MPI");
  std::array<char, 256> host{};
  addrinfo* addresses = nullptr;
  if (::gethostname(host.data(), host.size() - 1) == 0 &&
      ::getaddrinfo(host.data(), nullptr, nullptr, &addresses) == 0) {
    ::freeaddrinfo(addresses);
    findings.ok("host name", fmt::format("{} resolves", host.data()));
  } else {
    findings.fix("host name", fmt::format("{} does not resolve", host.data()),
                 "add it to /etc/hosts, or name addresses in the host file: ranks on other hosts could not connect");
  }
  if (launch.size == 1) {
    findings.ok("ranks", "one; mpirun -n N starts several");
    return;
  }
  const std::string found = fmt::format("{} by {}, {} on this host", launch.size, launch.launcher, launch.on_this_host);
  const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
  if (machine.cores < online || launch.on_this_host == 1) {
    findings.ok("ranks", fmt::format("{}, {} processors for each", found, machine.cores));
  } else if (launch.on_this_host > online) {
    findings.fix("ranks", found + fmt::format(", more than {} processors", online), "start fewer ranks on each host");
  } else {
    findings.note("ranks", found + ", none bound to processors of its own",
                  "start with mpirun --map-by ppr:1:numa --bind-to numa, or --bind-to core for ranks of one core");
  }
}

}  // namespace

std::string doctor_text(const Machine& machine, const std::filesystem::path& cache_folder) {
  Findings findings;
  check_isa(machine, findings);
  check_caches(machine, findings);
  check_memory(machine, findings);
  check_container(machine, findings);
  check_huge_pages(findings);
  check_binding(machine, findings);
  check_load(machine, findings);
  check_frequency(findings);
  check_cache(cache_folder, findings);
  check_build(findings);
  check_ranks(machine, findings);
  return findings.take();
}

}  // namespace sparse_run::cli
