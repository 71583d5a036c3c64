// What the progress thread and the transport object share, and the requests that pass between them.
#pragma once

#include <map>

#include "comm/progress.hpp"

namespace sparse_run::comm {

struct Progress::Request {
  enum class Kind { send, receive, cancel, message, abort, ping } kind = Kind::send;
  OperationId id = 0;
  Address address;
  std::span<std::byte> bytes;  // of a send: only read
  Completion completion;
  double seconds = 0;
  Length length = Length::exact;
  std::vector<std::byte> message;
  Failure failure;
};

struct Progress::Shared {
  std::unique_ptr<Link> link;
  ProgressOptions options;
  RequestQueue<Request> queue;
  Doorbell doorbell;
  std::atomic<OperationId> next_id{1};
  std::atomic<bool> stop{false};
  std::atomic<bool> failed{false};
  std::atomic<int> hurry{0};
  std::atomic<int> waits{0};  // how often hurry began
  std::atomic<int> helpers{0};
  std::atomic<int> computing{0};
  std::mutex driving;    // held by whoever calls the link
  Loop* loop = nullptr;  // while it works; guarded by driving
  std::atomic<std::int64_t> clock_offset_ns{0};
  std::atomic<std::uint64_t> sent_bytes{0}, received_bytes{0}, sent_operations{0}, received_operations{0};
  std::promise<std::pair<int, int>> opened;  // rank and size
  std::promise<void> ended;

  std::mutex mutex;  // guards what follows
  std::optional<Failure> failure;
  std::function<void(Message)> on_message;
  std::vector<Message> undelivered;  // came before there was a handler
  std::function<void(const Failure&)> on_failure;
  std::vector<std::int64_t> heard_ns;
};

}  // namespace sparse_run::comm
