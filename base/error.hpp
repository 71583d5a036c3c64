// The one exception type of the project: what kind of thing went wrong, what it was, and where.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

namespace sparse_run {

/// Who has to act, and how. Each kind has one exit code of the command line (exit_code).
enum class ErrorKind {
  usage,        ///< the call itself is wrong: option, policy, pin, plan, topology
  model,        ///< the model is missing, unreadable or invalid
  unsupported,  ///< a valid model needs something that is not built: node, operator, opset named
  mismatch,     ///< a result differs from the expected one
  device,       ///< a device is absent, failed, or is out of memory
  comm,         ///< a peer or link failed; rank and edge named
  input,        ///< an input or output file cannot be read, written, or does not fit the model
  limit,        ///< a limit was exceeded
  internal,     ///< our own bug
  timeout,      ///< --timeout elapsed
  interrupted,  ///< SIGINT or SIGTERM
};

/// The documented exit code of a kind.
constexpr int exit_code(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::usage: return 2;
    case ErrorKind::model: return 3;
    case ErrorKind::unsupported: return 4;
    case ErrorKind::mismatch: return 5;
    case ErrorKind::device: return 6;
    case ErrorKind::comm: return 7;
    case ErrorKind::input: return 8;
    case ErrorKind::limit: return 9;
    case ErrorKind::internal: return 70;
    case ErrorKind::timeout: return 124;
    case ErrorKind::interrupted: return 130;
  }
  return 70;
}

/// Thrown by everything above kernels. what() is one line: outermost context first, then the message.
class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string message) : kind_(kind), message_(std::move(message)), line_(message_) {}

  ErrorKind kind() const noexcept { return kind_; }
  const std::string& message() const noexcept { return message_; }
  const char* what() const noexcept override { return line_.c_str(); }

  /// Adds where it happened as the error rises: "model.onnx", then "node 'conv1' (Conv)".
  Error& add_context(std::string_view where) {
    line_ = fmt::format("{}: {}", where, line_);
    return *this;
  }

 private:
  ErrorKind kind_;
  std::string message_;
  std::string line_;
};

/// throw_error(ErrorKind::model, "graph has {} outputs", n)
template <class... Args>
[[noreturn]] void throw_error(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

/// A check of our own reasoning, never reachable from input: kind internal.
inline void require(bool condition, const char* what) {
  if (!condition) throw Error(ErrorKind::internal, what);
}

/// Runs `body`; an Error that leaves it gains `where()` as context.
template <class Where, class Body>
decltype(auto) with_context(Where&& where, Body&& body) {
  try {
    return body();
  } catch (Error& error) {
    error.add_context(where());
    throw;
  }
}

}  // namespace sparse_run
