// Pairs of measurements, one alone and one beside a thread that copies.
#include "partitioner/contention.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "partitioner/layer_timing.hpp"

namespace sparse_run {

namespace {

constexpr int kPairs = 15;
/// About an activation of a large layer: more than a private cache, so that memory is what is shared.
constexpr std::size_t kCopiedBytes = std::size_t{8} << 20;

/// Two buffers and the copy between them.
class Copier {
 public:
  double once() {
    const auto start = Clock::now();
    std::memcpy(to_.data(), from_.data(), kCopiedBytes);
    __asm__ volatile("" : : "r"(to_.data()) : "memory");  // the copy must not be optimised away
    return seconds_since(start);
  }

 private:
  std::vector<char> from_ = std::vector<char>(kCopiedBytes, 1);
  std::vector<char> to_ = std::vector<char>(kCopiedBytes, 2);
};

/// Copies for as long as it lives.
class CopyingThread {
 public:
  CopyingThread() { started_.wait(false); }
  ~CopyingThread() {
    stop_ = true;
    thread_.join();
  }
  CopyingThread(const CopyingThread&) = delete;
  CopyingThread& operator=(const CopyingThread&) = delete;

 private:
  std::atomic<bool> stop_{false};
  std::atomic<bool> started_{false};
  std::thread thread_{[this] {
    Copier copier;
    copier.once();
    started_ = true;
    started_.notify_all();
    while (!stop_) copier.once();
  }};
};

}  // namespace

MeasuredNumber contention_with_copies(const std::function<double()>& once) {
  once();  // fills caches
  std::vector<double> ratios;
  for (int pair = 0; pair < kPairs; ++pair) {
    const double alone = once();
    const CopyingThread copies;
    const double beside = once();
    if (alone > 0) ratios.push_back(std::max(1.0, beside / alone));
  }
  if (ratios.empty()) return {};
  const Timing timing = timing_of(std::move(ratios));
  return {timing.median_s, timing.spread, timing.count};
}

MeasuredNumber contention_of_copies() {
  Copier copier;
  return contention_with_copies([&] { return copier.once(); });
}

}  // namespace sparse_run
