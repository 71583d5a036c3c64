// Quantities as people write them.
#include "cli/quantities.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace sparse_run::cli {
namespace {

TEST(Quantities, sizes_have_binary_and_decimal_units) {
  EXPECT_EQ(parse_bytes("1000"), 1000u);
  EXPECT_EQ(parse_bytes("2GiB"), std::uint64_t{2} << 30);
  EXPECT_EQ(parse_bytes("2g"), std::uint64_t{2} << 30);
  EXPECT_EQ(parse_bytes("1.5 MiB"), 3u << 19);
  EXPECT_EQ(parse_bytes("3kB"), 3000u);
  for (const char* bad : {"", "GiB", "-1", "0", "1e300", "nan", "inf", "1GiBx"})
    EXPECT_THROW(parse_bytes(bad), Error) << bad;
}

TEST(Quantities, shapes_are_numbers_with_an_x_between) {
  EXPECT_EQ(parse_shape("1x3x224"), (Shape{1, 3, 224}));
  EXPECT_EQ(parse_shape("7"), (Shape{7}));
  EXPECT_EQ(parse_shape("0x2"), (Shape{0, 2}));
  EXPECT_TRUE(parse_shape("scalar").empty());
  for (const char* bad : {"", "x", "1x", "x1", "-1x2", "1,2", "99999999999999999999"}) {
    EXPECT_THROW(parse_shape(bad), Error) << bad;
  }
}

TEST(Quantities, assignments_split_at_the_last_equals_sign) {
  EXPECT_EQ(split_assignment("a=b=3"), (std::pair<std::string, std::string>("a=b", "3")));
  for (const char* bad : {"", "a", "=3", "a="}) EXPECT_THROW(split_assignment(bad), Error) << bad;
}

TEST(Quantities, formats_are_short) {
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_seconds(0.85), "850 ms");
  EXPECT_EQ(format_seconds(125), "2 min 5 s");
  EXPECT_EQ(format_seconds(3720), "1 h 2 min");
  EXPECT_EQ(format_count(1234567), "1,234,567");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_milliseconds(12.345678), "12.35");
  EXPECT_EQ(format_milliseconds(0.0123456), "0.0123");
}

}  // namespace
}  // namespace sparse_run::cli
