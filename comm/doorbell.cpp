// Sleeping on an event descriptor.
#include "comm/doorbell.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

#include "base/error.hpp"

namespace sparse_run::comm {

Doorbell::Doorbell() : descriptor_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (descriptor_ < 0) {
    throw_error(ErrorKind::comm, "no event descriptor: {}", std::generic_category().message(errno));
  }
}

Doorbell::~Doorbell() { ::close(descriptor_); }

void Doorbell::ring() noexcept {
  if (!asleep_.exchange(false, std::memory_order_seq_cst)) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(descriptor_, &one, sizeof one);  // fails only when it is rung already
}

void Doorbell::wait(long microseconds) noexcept {
  pollfd waited{descriptor_, POLLIN, 0};
  const timespec time{microseconds / 1'000'000, microseconds % 1'000'000 * 1000};
  if (::ppoll(&waited, 1, &time, nullptr) > 0) {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto read = ::read(descriptor_, &count, sizeof count);
  }
}

}  // namespace sparse_run::comm
