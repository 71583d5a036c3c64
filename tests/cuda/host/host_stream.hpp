// Streams, events and graphs on the host.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace sparse_run::host_cuda {

class HostGpu;

/// A piece of work of a stream.
struct HostWork {
  std::function<void()> run;
  bool is_kernel = false;
};

/// Work in order of submission, on a thread of its own; or a list, while it is captured.
class HostStream {
 public:
  explicit HostStream(std::shared_ptr<HostGpu> gpu);
  ~HostStream();
  HostStream(const HostStream&) = delete;
  HostStream& operator=(const HostStream&) = delete;

  /// Enqueues, or captures.
  void submit(HostWork work);
  void synchronize();
  void begin_capture();
  std::vector<HostWork> end_capture();
  bool capturing() const { return capturing_; }
  HostGpu& gpu() { return *gpu_; }

 private:
  void serve();

  std::shared_ptr<HostGpu> gpu_;
  bool capturing_ = false;
  std::vector<HostWork> captured_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<HostWork> queue_;
  bool busy_ = false;
  bool closing_ = false;
  std::thread thread_;
};

/// Reached as often as it was recorded.
class HostEvent {
 public:
  std::uint64_t record();
  void reach(std::uint64_t turn);
  void wait(std::uint64_t turn);
  std::uint64_t recorded() const;
  std::int64_t when_ns() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t recorded_ = 0;
  std::uint64_t reached_ = 0;
  std::int64_t when_ns_ = 0;
};

/// The stream behind a handle of the driver.
inline HostStream& stream_of(void* handle) { return *static_cast<HostStream*>(handle); }

/// For libraries: work that reads and writes memory of the stream's GPU, left out once that is lost. The status.
int submit_kernel(void* stream, std::function<void()> run);

}  // namespace sparse_run::host_cuda
