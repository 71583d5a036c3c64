// Bitmaps and what they leave.
#include "runtime/distributed/packing.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "base/error.hpp"

namespace sparse_run {

namespace {

constexpr std::size_t kWord = sizeof(std::uint32_t), kGroup = 64;  // words of a bitmap's element
constexpr std::size_t kSamples = 4096;
constexpr double kClearly = 0.9;

std::size_t groups_of(std::size_t words) { return (words + kGroup - 1) / kGroup; }

std::uint32_t load(const std::byte* from) {
  std::uint32_t word = 0;
  std::memcpy(&word, from, kWord);
  return word;
}

}  // namespace

bool pack_words(std::span<const std::byte> words, std::vector<std::byte>& packed) {
  require(words.size() % kWord == 0, "pack_words: not whole words");
  const std::size_t count = words.size() / kWord;
  const std::size_t head = groups_of(count) * sizeof(std::uint64_t);
  if (head >= words.size()) return false;
  packed.resize(words.size() + kGroup * kWord);  // every word is written before it is known whether it stays
  std::byte* out = packed.data() + head;
  const std::byte* const full = packed.data() + words.size();
  for (std::size_t group = 0; group < groups_of(count); ++group) {
    const std::size_t first = group * kGroup;
    const std::size_t length = std::min(kGroup, count - first);
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < length; ++i) {
      const std::uint32_t word = load(words.data() + (first + i) * kWord);
      std::memcpy(out, &word, kWord);
      const std::uint64_t filled = word != 0 ? 1 : 0;
      bits |= filled << i;
      out += filled * kWord;
    }
    std::memcpy(packed.data() + group * sizeof bits, &bits, sizeof bits);
    if (out >= full) return false;
  }
  packed.resize(static_cast<std::size_t>(out - packed.data()));
  return true;
}

void unpack_words(std::span<const std::byte> packed, std::span<std::byte> words) {
  require(words.size() % kWord == 0, "unpack_words: not whole words");
  const std::size_t count = words.size() / kWord;
  const std::size_t head = groups_of(count) * sizeof(std::uint64_t);
  const auto refuse = [&] {
    throw_error(ErrorKind::comm, "a packed message of {} bytes does not stand for {} words", packed.size(), count);
  };
  if (packed.size() < head || (packed.size() - head) % kWord != 0) refuse();
  std::size_t left = (packed.size() - head) / kWord;
  const std::byte* in = packed.data() + head;
  std::memset(words.data(), 0, words.size());
  for (std::size_t group = 0; group < groups_of(count); ++group) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, packed.data() + group * sizeof bits, sizeof bits);
    const std::size_t first = group * kGroup;
    if (count - first < kGroup && bits >> (count - first) != 0) refuse();
    const auto filled = static_cast<std::size_t>(std::popcount(bits));
    if (filled > left) refuse();
    left -= filled;
    for (; bits != 0; bits &= bits - 1, in += kWord) {
      std::memcpy(words.data() + (first + static_cast<std::size_t>(std::countr_zero(bits))) * kWord, in, kWord);
    }
  }
  if (left != 0) refuse();
}

double sampled_zeros(std::span<const std::byte> words) {
  const std::size_t count = words.size() / kWord;
  if (count == 0) return 0;
  const std::size_t step = std::max<std::size_t>(1, count / kSamples) | 1;  // odd: no column of an even width
  std::size_t zeros = 0, seen = 0;
  for (std::size_t i = 0; i < count; i += step, ++seen) zeros += load(words.data() + i * kWord) == 0 ? 1 : 0;
  return static_cast<double>(zeros) / static_cast<double>(seen);
}

bool packing_pays(const PackingCase& weighed) {
  if (weighed.link_bytes_per_s <= 0 || weighed.pack_bytes_per_s <= 0) return false;
  const double packed_bytes = weighed.bytes * (1 - weighed.zeros + 1.0 / 32);
  const double plain_s = (weighed.other_bytes + weighed.bytes) / weighed.link_bytes_per_s;
  const double packed_s = (weighed.other_bytes + packed_bytes) / weighed.link_bytes_per_s;
  const double packing_s = weighed.bytes / weighed.pack_bytes_per_s;
  return std::max(weighed.stage_s + packing_s, packed_s) < kClearly * std::max(weighed.stage_s, plain_s);
}

}  // namespace sparse_run
