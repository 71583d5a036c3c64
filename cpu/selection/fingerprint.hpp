// A 64-bit hash of text, stable between processes and machines.
#pragma once

#include <cstdint>
#include <string_view>

namespace sparse_run::cpu {

/// FNV-1a with a final mix. Not cryptographic: collisions cost a wrong timing, never a wrong result.
constexpr std::uint64_t fingerprint(std::string_view text) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3u;
  }
  hash ^= hash >> 32;
  hash *= 0xd6e8feb86659fd93u;
  return hash ^ (hash >> 32);
}

}  // namespace sparse_run::cpu
