// Activations with many zeros as a bitmap and the rest, for links that are slower than the ranks they join.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace sparse_run {

/// Packed: a bit per word of 32 bits, set where it is not zero, in little-endian groups of 64; then the words that are
/// not zero, in order. Only words whose bits are all zero are left out, so that packing loses nothing, whatever the
/// words are. A packed message is shorter than the words it stands for: its length tells that it is packed.

/// Packs `words`, a multiple of 4 bytes, into `packed`. False, with nothing said about `packed`, when that would not be
/// shorter.
bool pack_words(std::span<const std::byte> words, std::vector<std::byte>& packed);
/// The opposite. Error(comm) when `packed` does not stand for as many words.
void unpack_words(std::span<const std::byte> packed, std::span<std::byte> words);

/// Share of words that are zero, from at most some thousands spread over all of them.
double sampled_zeros(std::span<const std::byte> words);

/// What a stage that sends a message has to weigh.
struct PackingCase {
  double bytes = 0;             ///< of the message
  double zeros = 0;             ///< share of its words
  double other_bytes = 0;       ///< that leave for each request besides
  double stage_s = 0;           ///< computing, for each request
  double link_bytes_per_s = 0;  ///< 0: not known, and nothing is packed
  double pack_bytes_per_s = 0;  ///< of the unpacked message
};

/// Whether requests follow each other clearly faster with the message packed: the slower of computing, to which packing
/// adds, and of sending, from which it takes, sets the pace.
bool packing_pays(const PackingCase& weighed);

}  // namespace sparse_run
