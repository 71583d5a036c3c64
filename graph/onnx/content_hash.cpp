// Multiply-and-rotate hashing in eight independent lanes, so that the multiplier stays busy.
#include "graph/onnx/content_hash.hpp"

#include <bit>
#include <cstring>

#include <fmt/core.h>

namespace sparse_run::onnx {

namespace {

constexpr std::uint64_t kSpread = 0x9e3779b97f4a7c15u;  // odd, close to 2^64 divided by the golden ratio
constexpr std::uint64_t kMix = 0xd6e8feb86659fd93u;

constexpr std::uint64_t absorb(std::uint64_t lane, std::uint64_t word) noexcept {
  return std::rotl(lane ^ (word * kSpread), 29) * kMix;
}

constexpr std::uint64_t finish(std::uint64_t hash) noexcept {
  hash ^= hash >> 32;
  hash *= kMix;
  hash ^= hash >> 29;
  hash *= kSpread;
  return hash ^ (hash >> 32);
}

std::uint64_t load(const std::byte* from) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, from, sizeof word);
  return word;
}

std::uint64_t hash_chunk(std::span<const std::byte> bytes, std::uint64_t seed) noexcept {
  constexpr std::size_t kLanes = 8;
  std::uint64_t lanes[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i) lanes[i] = seed + (i + 1) * kSpread;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= kLanes * 8; left -= kLanes * 8, at += kLanes * 8) {
    for (std::size_t i = 0; i < kLanes; ++i) lanes[i] = absorb(lanes[i], load(at + 8 * i));
  }
  std::uint64_t hash = bytes.size();
  for (const std::uint64_t lane : lanes) hash = absorb(hash, lane);
  for (; left >= 8; left -= 8, at += 8) hash = absorb(hash, load(at));
  for (; left > 0; --left, ++at) hash = absorb(hash, static_cast<std::uint64_t>(*at) + 1);
  return finish(hash);
}

}  // namespace

std::uint64_t content_hash(std::span<const std::byte> bytes, std::uint64_t seed) noexcept {
  while (bytes.size() > kHashChunk) {
    seed = hash_chunk(bytes.first(kHashChunk), seed);
    bytes = bytes.subspan(kHashChunk);
  }
  return hash_chunk(bytes, seed);
}

std::string hash_text(std::uint64_t hash) { return fmt::format("{:016x}", hash); }

}  // namespace sparse_run::onnx
