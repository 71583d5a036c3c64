// Weighing, packing, and remembering how fast packing was.
#include "runtime/distributed/stage_packer.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "runtime/distributed/packing.hpp"

namespace sparse_run {

namespace {

constexpr double kNewShare = 0.25;  // of a measurement in what is remembered

}  // namespace

std::shared_ptr<const std::vector<std::byte>> StagePacker::pack(std::span<const std::byte> words,
                                                                std::size_t other_bytes, double stage_s) {
  if (link_bytes_per_s_ <= 0) return nullptr;
  const PackingCase weighed{static_cast<double>(words.size()),
                            sampled_zeros(words),
                            static_cast<double>(other_bytes),
                            stage_s,
                            link_bytes_per_s_,
                            pack_bytes_per_s_};
  if (!packing_pays(weighed)) return nullptr;
  auto packed = std::make_shared<std::vector<std::byte>>();  // shared: a send's completion is copied
  const auto start = Clock::now();
  if (!pack_words(words, *packed)) return nullptr;
  const double rate = static_cast<double>(words.size()) / std::max(seconds_since(start), 1e-9);
  pack_bytes_per_s_ += kNewShare * (rate - pack_bytes_per_s_);
  plain_bytes_ += words.size();
  packed_bytes_ += packed->size();
  return packed;
}

void StagePacker::unpack(std::span<std::byte> words, std::size_t packed_bytes) {
  arrived_.assign(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(packed_bytes));
  unpack_words(arrived_, words);
}

}  // namespace sparse_run
