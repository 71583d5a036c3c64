// What a transport needs of the medium below it: one thread opens, drives and closes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "comm/contract/transport.hpp"

namespace sparse_run::comm {

/// What a poll brought.
struct LinkEvents {
  struct Finished {
    std::uint64_t token = 0;
    bool ok = true;
    std::string what;
    std::size_t bytes = 0;  // of a receive: the length of the message, which may be less than the memory
  };
  struct Arrived {
    int from = 0;
    std::vector<std::byte> bytes;
  };
  std::vector<Finished> finished;
  std::vector<Arrived> arrived;
  void clear() {
    finished.clear();
    arrived.clear();
  }
  bool empty() const noexcept { return finished.empty() && arrived.empty(); }
};

/// Not thread-safe: every call comes from the one thread that opened it. Throws Error(comm).
class Link {
 public:
  virtual ~Link() = default;
  virtual void open() = 0;
  virtual int rank() const noexcept = 0;  ///< valid once open
  virtual int size() const noexcept = 0;
  virtual void send(std::uint64_t token, Address to, std::span<const std::byte> bytes) = 0;
  virtual void receive(std::uint64_t token, Address from, std::span<std::byte> bytes) = 0;
  /// Afterwards the token is finished or forgotten; a receive does not write to its memory any more.
  virtual void cancel(std::uint64_t token) = 0;
  /// Bytes of any length; the link keeps them until they are sent.
  virtual void send_bytes(int peer, std::vector<std::byte> bytes) = 0;
  virtual void poll(LinkEvents& events) = 0;
  /// Whether everything given to send_bytes has left.
  virtual bool flushed() const = 0;
  /// Whether bytes are on their way in or out that only polling moves on.
  virtual bool moving() const = 0;
  /// The orderly end, after all ranks agreed to part.
  virtual void close() = 0;
};

}  // namespace sparse_run::comm
