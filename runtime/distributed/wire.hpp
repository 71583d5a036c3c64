// How numbers, texts, types and values travel between ranks.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "graph/ir/type.hpp"

namespace sparse_run {

/// Appends to a byte string. Ranks are of one build (checked when they meet), so numbers keep their layout.
class WireWriter {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void put(T value) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + sizeof value);
    std::memcpy(bytes_.data() + at, &value, sizeof value);
  }
  void put(std::string_view text);
  void put(const Shape& shape);
  void put(const Type& type);
  /// Tensors are aligned to 64 bytes within the string, so that a reader can view them.
  void put(const Value& value);
  void put(std::span<const Value> values);
  void put_bytes(std::span<const std::byte> bytes);

  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

/// Reads what WireWriter wrote. Everything is checked: Error(comm) for a string that is short or makes no sense.
class WireReader {
 public:
  /// Tensors that are read view `bytes` and keep them alive.
  explicit WireReader(std::vector<std::byte> bytes)
      : bytes_(std::make_shared<const std::vector<std::byte>>(std::move(bytes))) {}

  template <class T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T> T get() {
    T value{};
    std::memcpy(&value, next(sizeof value), sizeof value);
    return value;
  }
  std::string text();
  Shape shape();
  Type type(int depth = 0);
  Value value(int depth = 0);
  std::vector<Value> values();
  std::vector<std::byte> bytes();
  /// A count of things of at least `least_bytes` each, which the rest of the string can hold.
  std::size_t count(std::size_t least_bytes);
  bool at_end() const noexcept { return at_ == bytes_->size(); }

 private:
  const std::byte* next(std::size_t size);
  std::shared_ptr<const std::vector<std::byte>> bytes_;  // shared with the tensors that view it
  std::size_t at_ = 0;
};

}  // namespace sparse_run
