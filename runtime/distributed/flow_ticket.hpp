// Keeps a flow graph waiting for something outside it, and lets the message go on when that has happened.
#pragma once

#include <memory>
#include <utility>

namespace sparse_run {

/// Everything that has to happen holds a share; the last to let go passes the message on. No path can forget it.
template <class Gateway, class Message>
class FlowTicket {
 public:
  FlowTicket(Gateway& gateway, Message message) : gateway_(gateway), message_(std::move(message)) {
    gateway_.reserve_wait();
  }
  ~FlowTicket() {
    gateway_.try_put(message_);
    gateway_.release_wait();
  }
  FlowTicket(const FlowTicket&) = delete;
  FlowTicket& operator=(const FlowTicket&) = delete;

 private:
  Gateway& gateway_;
  Message message_;
};

}  // namespace sparse_run
