// Packed activations are unpacked to the same bits, damaged ones are refused, and packing is chosen where it pays.
#include "runtime/distributed/packing.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "base/error.hpp"

namespace sparse_run {
namespace {

std::vector<float> random_words(std::mt19937& random, std::size_t count, double zeros) {
  std::vector<float> words(count);
  std::uniform_real_distribution<double> chance;
  for (float& word : words) word = chance(random) < zeros ? 0.0f : static_cast<float>(chance(random) - 0.5);
  return words;
}

TEST(Packing, gives_back_the_same_bits_for_every_size_and_share_of_zeros) {
  const unsigned seed = 31;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (const std::size_t count : {1u, 2u, 63u, 64u, 65u, 127u, 1000u, 4099u}) {
    for (const double zeros : {0.0, 0.03, 0.5, 0.97, 1.0}) {
      const auto words = random_words(random, count, zeros);
      std::vector<std::byte> packed;
      if (!pack_words(std::as_bytes(std::span(words)), packed)) {
        EXPECT_TRUE(zeros < 0.5 || count < 4) << count << " words, " << zeros;
        continue;
      }
      EXPECT_LT(packed.size(), count * sizeof(float));
      std::vector<float> back(count, 9);
      unpack_words(packed, std::as_writable_bytes(std::span(back)));
      EXPECT_EQ(std::memcmp(back.data(), words.data(), count * sizeof(float)), 0) << count << " words, " << zeros;
    }
  }
}

TEST(Packing, keeps_negative_zero_and_what_is_no_number) {
  std::vector<float> words(70, 0);
  words[3] = -0.0f;
  words[64] = std::numeric_limits<float>::quiet_NaN();
  std::vector<std::byte> packed;
  ASSERT_TRUE(pack_words(std::as_bytes(std::span(words)), packed));
  EXPECT_EQ(packed.size(), 2 * 8 + 2 * 4u);
  std::vector<float> back(70, 1);
  unpack_words(packed, std::as_writable_bytes(std::span(back)));
  EXPECT_TRUE(std::signbit(back[3]));
  EXPECT_TRUE(std::isnan(back[64]));
  EXPECT_EQ(back[69], 0);
}

TEST(Packing, messages_without_enough_zeros_are_not_packed) {
  const std::vector<float> words(640, 1);
  std::vector<std::byte> packed;
  EXPECT_FALSE(pack_words(std::as_bytes(std::span(words)), packed));
  EXPECT_FALSE(pack_words({}, packed));
}

TEST(Packing, damaged_messages_are_refused) {
  std::vector<float> words(100, 0);
  words[5] = words[70] = 1;
  std::vector<std::byte> packed;
  ASSERT_TRUE(pack_words(std::as_bytes(std::span(words)), packed));
  const auto refused = [](std::vector<std::byte> message) {
    std::vector<float> back(100);
    try {
      unpack_words(message, std::as_writable_bytes(std::span(back)));
    } catch (const Error& error) {
      return error.kind() == ErrorKind::comm;
    }
    return false;
  };
  EXPECT_FALSE(refused(packed));
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused({packed.begin(), packed.end() - 4}));  // a value is missing
  EXPECT_TRUE(refused({packed.begin(), packed.end() - 1}));
  std::vector<std::byte> longer = packed;
  longer.resize(longer.size() + 4);
  EXPECT_TRUE(refused(longer));
  std::vector<std::byte> beyond = packed;
  beyond[15] = std::byte{0x80};  // word 127 of 100
  EXPECT_TRUE(refused(beyond));
}

TEST(Packing, zeros_are_found_by_sampling) {
  std::vector<float> words(100'000, 0);
  EXPECT_EQ(sampled_zeros(std::as_bytes(std::span(words))), 1);
  for (std::size_t i = 0; i < words.size(); i += 2) words[i] = 1;
  EXPECT_NEAR(sampled_zeros(std::as_bytes(std::span(words))), 0.5, 0.01);
  EXPECT_EQ(sampled_zeros({}), 0);
}

TEST(Packing, pays_where_the_link_sets_the_pace_and_enough_is_zero) {
  // 4 MB: 40 ms on the link, 1 ms to pack, 10 ms of computing.
  PackingCase weighed{4e6, 0.6, 0, 0.010, 1e8, 4e9};
  EXPECT_TRUE(packing_pays(weighed));
  weighed.zeros = 0.05;
  EXPECT_FALSE(packing_pays(weighed));
  weighed.zeros = 0.6;
  weighed.stage_s = 0.050;  // sending is hidden anyway
  EXPECT_FALSE(packing_pays(weighed));
  weighed.stage_s = 0.010;
  weighed.link_bytes_per_s = 1e10;
  EXPECT_FALSE(packing_pays(weighed));
  weighed.link_bytes_per_s = 1e8;
  weighed.pack_bytes_per_s = 1e8;  // packing takes as long as sending
  EXPECT_FALSE(packing_pays(weighed));
  weighed.pack_bytes_per_s = 4e9;
  weighed.other_bytes = 4e7;  // what cannot be packed dominates
  EXPECT_FALSE(packing_pays(weighed));
  weighed.link_bytes_per_s = 0;
  EXPECT_FALSE(packing_pays(weighed));
}

}  // namespace
}  // namespace sparse_run
