// Parts survive what a job does not.
#include "cli/part_store.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.hpp"

namespace sparse_run::cli {
namespace {

class PartStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / fmt::format("part_store_test_{}", ::getpid());
    std::filesystem::create_directories(folder_);
    path_ = (folder_ / "out.npz.parts").string();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  static std::vector<Value> part(float first) {
    return {Tensor::of<float>({2}, {first, first + 1}), Tensor::of<std::int64_t>({1}, {7})};
  }
  void fill(int count) {
    PartStore store(path_, "job", false);
    for (int i = 0; i < count; ++i) store.append(i, part(static_cast<float>(i)));
  }
  std::filesystem::path folder_;
  std::string path_;
};

TEST_F(PartStoreTest, parts_are_found_again) {
  fill(3);
  const PartStore store(path_, "job", true);
  EXPECT_EQ(store.size(), 3u);
  EXPECT_FALSE(store.contains(3));
  const auto values = store.load(2);
  ASSERT_EQ(values.size(), 2u);
  EXPECT_EQ(values[0].tensor.data<float>()[1], 3.0f);
  EXPECT_EQ(values[1].tensor.data<std::int64_t>()[0], 7);
}

TEST_F(PartStoreTest, without_resume_the_store_begins_empty) {
  fill(3);
  EXPECT_EQ(PartStore(path_, "job", false).size(), 0u);
}

TEST_F(PartStoreTest, parts_of_another_job_are_refused) {
  fill(1);
  EXPECT_THROW(PartStore(path_, "other", true), Error);
}

TEST_F(PartStoreTest, a_part_that_was_cut_off_does_not_count_and_is_written_again) {
  fill(3);
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 5);
  {
    PartStore store(path_, "job", true);
    EXPECT_EQ(store.size(), 2u);
    store.append(2, part(2));
  }
  EXPECT_EQ(PartStore(path_, "job", true).load(2)[0].tensor.data<float>()[0], 2.0f);
}

TEST_F(PartStoreTest, a_damaged_part_does_not_count) {
  fill(2);
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-3, std::ios::end);
  file.put('x');
  file.close();
  EXPECT_EQ(PartStore(path_, "job", true).size(), 1u);
}

TEST_F(PartStoreTest, nothing_is_left_when_there_was_nothing_to_keep_or_the_job_is_done) {
  { PartStore store(path_, "job", false); }
  EXPECT_FALSE(std::filesystem::exists(path_));
  PartStore store(path_, "job", false);
  store.append(0, part(0));
  store.remove();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

}  // namespace
}  // namespace sparse_run::cli
