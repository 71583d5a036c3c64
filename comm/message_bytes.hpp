// Values as the bytes of a message, in the order and byte order of the machine.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

namespace sparse_run::comm {

/// Appends a value's bytes.
template <class T>
void put(std::vector<std::byte>& bytes, const T& value) {
  bytes.resize(bytes.size() + sizeof value);
  std::memcpy(bytes.data() + bytes.size() - sizeof value, &value, sizeof value);
}

/// Takes a value off the front; false when there are too few bytes.
template <class T>
bool take(std::span<const std::byte>& bytes, T& value) {
  if (bytes.size() < sizeof value) return false;
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes = bytes.subspan(sizeof value);
  return true;
}

/// A message as it travels: its topic, then its body.
inline std::vector<std::byte> envelope(int topic, std::span<const std::byte> body = {}) {
  std::vector<std::byte> bytes;
  bytes.reserve(sizeof topic + body.size());
  put(bytes, topic);
  bytes.insert(bytes.end(), body.begin(), body.end());
  return bytes;
}

}  // namespace sparse_run::comm
