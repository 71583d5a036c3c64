// Precedence through the scheduler's own means.
#include "base/thread_precedence.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

namespace sparse_run {

namespace {

constexpr int kSteps = 5;  // of niceness

}  // namespace

void take_precedence() noexcept {
  const int policy = ::sched_getscheduler(0);
  if (policy == SCHED_FIFO || policy == SCHED_RR) {
    sched_param parameters{};
    if (::sched_getparam(0, &parameters) != 0) return;
    ++parameters.sched_priority;
    static_cast<void>(::sched_setscheduler(0, policy, &parameters));
  } else {
    const auto self = static_cast<id_t>(::gettid());
    static_cast<void>(::setpriority(PRIO_PROCESS, self, ::getpriority(PRIO_PROCESS, self) - kSteps));
  }
}

}  // namespace sparse_run
