// Pages of mapped files can be given back; other memory is left alone.
#include "graph/onnx/file_pages.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "graph/onnx/mapped_file.hpp"

namespace sparse_run::onnx {
namespace {

TEST(FilePages, discarded_pages_read_the_same_later) {
  const auto path = std::filesystem::temp_directory_path() / ("file_pages_" + std::to_string(::getpid()));
  std::string content(64 * 1024, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i % 251);
  {
    std::ofstream file(path, std::ios::binary);
    file << content;
    ASSERT_TRUE(file.good());
  }
  {
    const auto mapped = MappedFile::open(path, 1 << 20);
    EXPECT_TRUE(is_file_memory(mapped->bytes().subspan(7, 100)));
    EXPECT_FALSE(is_file_memory(std::as_bytes(std::span(content))));
    discard_file_pages(mapped->bytes());
    discard_file_pages(mapped->bytes().subspan(5000, 20000));
    EXPECT_TRUE(std::ranges::equal(mapped->bytes(), std::as_bytes(std::span(content))));
  }
  std::filesystem::remove(path);
}

TEST(FilePages, memory_of_no_file_keeps_its_contents) {
  std::vector<float> values(64 * 1024, 3.0f);
  discard_file_pages(std::as_bytes(std::span(values)));
  discard_file_pages({});
  EXPECT_EQ(std::ranges::count(values, 3.0f), 64 * 1024);
}

}  // namespace
}  // namespace sparse_run::onnx
