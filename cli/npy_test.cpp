// Headers of .npy files: what NumPy writes, what it does not, and bytes of chance.
#include "cli/npy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/error.hpp"

namespace sparse_run::cli {
namespace {

using testing::HasSubstr;

std::string file_of(std::string dictionary, int version = 1) {
  dictionary += '\n';
  std::string file = "\x93NUMPY";
  file += static_cast<char>(version);
  file += '\0';
  const int length_bytes = version == 1 ? 2 : 4;
  for (int i = 0; i < length_bytes; ++i) file += static_cast<char>(dictionary.size() >> (8 * i));
  return file + dictionary;
}

NpyHeader parsed(const std::string& file) {
  const auto bytes = std::as_bytes(std::span(file));
  npy_header_bytes(bytes.first(std::min(bytes.size(), kNpyPreambleBytes)));
  return parse_npy_header(bytes);
}

std::string refusal(const std::string& file) {
  try {
    parsed(file);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    return error.what();
  }
  return "accepted";
}

TEST(NpyHeader, what_numpy_writes_is_read) {
  const auto header = parsed(file_of("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }          "));
  EXPECT_EQ(header.dtype, DType::f32);
  EXPECT_EQ(header.shape, (Shape{3, 4}));
  EXPECT_FALSE(header.fortran);
  EXPECT_FALSE(header.swapped);
  EXPECT_EQ(header.data_bytes(), 48u);
}

TEST(NpyHeader, versions_two_and_three_have_longer_lengths) {
  for (const int version : {2, 3}) {
    EXPECT_EQ(parsed(file_of("{'descr': '<i8', 'fortran_order': True, 'shape': (5,), }", version)).shape, (Shape{5}));
  }
  EXPECT_THAT(refusal(file_of("{'descr': '<i8', 'fortran_order': True, 'shape': (5,), }", 4)), HasSubstr("version 4"));
}

TEST(NpyHeader, scalars_and_python_2_longs_are_read) {
  EXPECT_TRUE(parsed(file_of("{'descr': '|b1', 'fortran_order': False, 'shape': (), }")).shape.empty());
  EXPECT_EQ(parsed(file_of("{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 3L), }")).shape, (Shape{2, 3}));
}

TEST(NpyHeader, every_element_type_has_its_counterpart) {
  const std::pair<const char*, DType> types[] = {
      {"<f2", DType::f16}, {"<f4", DType::f32}, {"<f8", DType::f64},     {"|i1", DType::i8},   {"<i2", DType::i16},
      {"<i4", DType::i32}, {"<i8", DType::i64}, {"|u1", DType::u8},      {"<u2", DType::u16},  {"<u4", DType::u32},
      {"<u8", DType::u64}, {"<c8", DType::c64}, {"|b1", DType::boolean}, {"<c16", DType::c128}};
  for (const auto& [descr, dtype] : types) {
    EXPECT_EQ(npy_descr(dtype), descr);
    const auto header = parsed(fmt::format("{}", format_npy_header(descr, {2, 1})));
    EXPECT_EQ(header.dtype, dtype) << descr;
    EXPECT_EQ(header.width, element_size(dtype)) << descr;
  }
}

TEST(NpyHeader, big_endian_is_marked_except_for_single_bytes) {
  EXPECT_TRUE(parsed(file_of("{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}")).swapped);
  EXPECT_FALSE(parsed(file_of("{'descr': '>u1', 'fortran_order': False, 'shape': (1,)}")).swapped);
}

TEST(NpyHeader, strings_and_raw_bytes_keep_their_width) {
  const auto text = parsed(file_of("{'descr': '<U7', 'fortran_order': False, 'shape': (2,)}"));
  EXPECT_EQ(text.element, NpyElement::unicode);
  EXPECT_EQ(text.width, 28u);
  EXPECT_EQ(parsed(file_of("{'descr': '|S3', 'fortran_order': False, 'shape': (2,)}")).element, NpyElement::bytes);
  EXPECT_EQ(parsed(file_of("{'descr': '|V2', 'fortran_order': False, 'shape': (2,)}")).element, NpyElement::raw);
}

TEST(NpyHeader, written_headers_align_data_and_are_read_back) {
  for (const Shape& shape : {Shape{}, Shape{0}, Shape{7}, Shape{1, 2, 3}, Shape{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}}) {
    const std::string text = format_npy_header("<f4", shape);
    EXPECT_EQ(text.size() % 64, 0u);
    EXPECT_EQ(npy_header_bytes(std::as_bytes(std::span(text)).first(kNpyPreambleBytes)), text.size());
    EXPECT_EQ(parsed(text).shape, shape);
  }
  EXPECT_THAT(format_npy_header("<f4", {7}), HasSubstr("(7,)"));
}

TEST(NpyHeader, malformed_headers_are_refused) {
  const char* bad[] = {
      "",
      "{",
      "{}",
      "{'descr': '<f4'}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (3, -4)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
      "{'descr': '<f4', 'fortran_order': 1, 'shape': (3,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'more': 1}",
      "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
      "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}",
      "{'descr': '|O', 'fortran_order': False, 'shape': (3,)}",
      "{'descr': '|O8', 'fortran_order': False, 'shape': (3,)}",
      "{'descr': '<M8', 'fortran_order': False, 'shape': (3,)}",
      "{'descr': '<f3', 'fortran_order': False, 'shape': (3,)}",
      "{'descr': '<U0', 'fortran_order': False, 'shape': (3,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} trailing",
      "{'descr': '<f4, 'fortran_order': False, 'shape': (3,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': "
      "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
      "1,1)}",
  };
  for (const char* dictionary : bad) EXPECT_NE(refusal(file_of(dictionary)), "accepted") << dictionary;
}

TEST(NpyHeader, sizes_beyond_memory_are_refused_as_a_limit) {
  try {
    parsed(file_of("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904,)}"));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::limit);
  }
}

TEST(NpyHeader, truncated_files_are_refused_at_every_length) {
  const std::string file = format_npy_header("<f4", {3, 4});
  for (std::size_t length = 0; length < file.size() - 1; ++length) {
    EXPECT_NE(refusal(file.substr(0, length)), "accepted") << length;
  }
}

TEST(NpyHeader, damaged_headers_are_refused_or_read_but_never_crash) {
  const unsigned seed = 20240611;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const std::string sound = file_of("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }");
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string file = sound;
    for (int hits = 1 + static_cast<int>(random() % 4); hits > 0; --hits) {
      file[random() % file.size()] = static_cast<char>(random());
    }
    try {
      EXPECT_LE(parsed(file).shape.size(), 32u);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 15000);
}

}  // namespace
}  // namespace sparse_run::cli
