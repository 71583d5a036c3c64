// A fast 64-bit fingerprint of file contents, to tell whether a plan was made for this model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sparse_run::onnx {

/// Contents are hashed in chunks of this many bytes, each seeded with the hash of those before it.
inline constexpr std::size_t kHashChunk = std::size_t{1} << 22;

/// Not cryptographic: it detects accidents, not forgery. `seed` chains several files into one fingerprint.
std::uint64_t content_hash(std::span<const std::byte> bytes, std::uint64_t seed = 0) noexcept;

/// 16 hexadecimal digits.
std::string hash_text(std::uint64_t hash);

}  // namespace sparse_run::onnx
