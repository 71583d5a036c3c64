// Timings on disk: kept, shared, and distrusted.
#include "cpu/selection/kernel_memory.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "cpu/selection/build_identity.hpp"
#include "cpu/selection/temporary_folder_test.hpp"

namespace sparse_run::cpu {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;

const TimedCandidates kTimed{{"cpu.a", 1e-3, true}, {"cpu.b@4x128", 2.5e-3, true}};

std::string content_of(const fs::path& file) {
  std::ifstream stream(file);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

void expect_timed(const std::optional<TimedCandidates>& found) {
  ASSERT_TRUE(found.has_value());
  ASSERT_EQ(found->size(), kTimed.size());
  for (std::size_t i = 0; i < kTimed.size(); ++i) {
    EXPECT_EQ((*found)[i].kernel, kTimed[i].kernel);
    EXPECT_DOUBLE_EQ((*found)[i].seconds, kTimed[i].seconds);
    EXPECT_TRUE((*found)[i].timed);
  }
}

/// A folder with the file of a memory that knows signatures 0 … count - 1.
fs::path written(const TemporaryFolder& folder, std::uint64_t count) {
  KernelMemory memory(folder.path(), Machine());
  for (std::uint64_t i = 0; i < count; ++i) memory.remember(i, kTimed);
  memory.save();
  EXPECT_THAT(memory.problem(), IsEmpty());
  return memory.file();
}

TEST(KernelMemory, this_program_has_a_build_identity) { EXPECT_GE(build_identity().size(), 16u); }

TEST(KernelMemory, what_is_saved_is_found_by_the_next_process) {
  const TemporaryFolder folder;
  written(folder, 3);
  KernelMemory next(folder.path(), Machine());
  for (std::uint64_t i = 0; i < 3; ++i) expect_timed(next.find(i));
  EXPECT_FALSE(next.find(3).has_value());
}

TEST(KernelMemory, missing_folders_are_made) {
  const TemporaryFolder folder;
  KernelMemory memory(folder.path() / "a" / "b", Machine());
  memory.remember(1, kTimed);
  memory.save();
  EXPECT_TRUE(fs::exists(memory.file()));
}

TEST(KernelMemory, without_a_folder_it_lasts_as_long_as_the_process) {
  KernelMemory memory({}, Machine());
  memory.remember(1, kTimed);
  memory.save();
  expect_timed(memory.find(1));
  EXPECT_THAT(memory.file().string(), IsEmpty());
}

TEST(KernelMemory, other_machines_have_other_files) {
  const TemporaryFolder folder;
  const fs::path own = written(folder, 1);
  Machine other;
  other.cpu_model = "another";
  EXPECT_NE(KernelMemory(folder.path(), other).file(), own);
  other.caches = {{1, 1024, 1}};
  EXPECT_FALSE(KernelMemory(folder.path(), other).find(0).has_value());
}

TEST(KernelMemory, a_truncated_file_keeps_its_whole_lines) {
  const TemporaryFolder folder;
  const fs::path file = written(folder, 4);
  const std::string text = content_of(file);
  for (std::size_t size = 0; size <= text.size(); size += 7) {
    std::ofstream(file, std::ios::trunc) << text.substr(0, size);
    KernelMemory memory(folder.path(), Machine());
    std::size_t found = 0;
    for (std::uint64_t i = 0; i < 4; ++i) {
      if (const auto timed = memory.find(i)) {
        expect_timed(timed);
        ++found;
      }
    }
    const auto whole =
        static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size), '\n'));
    EXPECT_GE(found, whole);
    EXPECT_LE(found, whole + 1);  // a last line that only lacks its end is whole
  }
}

TEST(KernelMemory, any_changed_byte_costs_its_line_and_never_changes_a_timing) {
  const TemporaryFolder folder;
  const fs::path file = written(folder, 2);
  const std::string text = content_of(file);
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (const char byte : {'\0', '\xff', '0', 'f', ' ', '\n'}) {
      std::string edited = text;
      edited[at] = byte;
      std::ofstream(file, std::ios::trunc) << edited;
      KernelMemory memory(folder.path(), Machine());
      for (std::uint64_t i = 0; i < 2; ++i) {
        if (const auto timed = memory.find(i)) expect_timed(timed);
      }
    }
  }
}

TEST(KernelMemory, foreign_content_is_ignored) {
  const TemporaryFolder folder;
  const fs::path file = written(folder, 1);
  for (const std::string& text : {std::string("\x7f"
                                              "ELF"),
                                  std::string(100000, 'a'), std::string("0 0 0 0\n"), std::string(9 << 20, '\n')}) {
    std::ofstream(file, std::ios::trunc) << text;
    EXPECT_FALSE(KernelMemory(folder.path(), Machine()).find(0).has_value());
  }
}

TEST(KernelMemory, a_folder_that_cannot_be_written_is_reported_and_survived) {
  const TemporaryFolder folder;
  const fs::path blocked = folder.path() / "file";
  std::ofstream(blocked) << "not a folder";
  KernelMemory memory(blocked / "cache", Machine());
  memory.remember(1, kTimed);
  memory.save();
  EXPECT_THAT(memory.problem(), HasSubstr("cannot be written"));
  expect_timed(memory.find(1));
}

TEST(KernelMemory, a_folder_in_the_place_of_the_file_is_survived) {
  const TemporaryFolder folder;
  const fs::path file = written(folder, 1);
  fs::remove(file);
  fs::create_directories(file / "inside");
  KernelMemory memory(folder.path(), Machine());
  EXPECT_FALSE(memory.find(0).has_value());
  memory.remember(1, kTimed);
  memory.save();
  EXPECT_THAT(memory.problem(), HasSubstr("cannot be written"));
}

TEST(KernelMemory, writers_at_the_same_time_leave_a_whole_file_and_nothing_else) {
  const TemporaryFolder folder;
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (std::uint64_t i = 0; i < 20; ++i) {
          KernelMemory memory(folder.path(), Machine());
          memory.remember(100 * t + i, kTimed);
          memory.save();
        }
      });
    }
  }
  KernelMemory memory(folder.path(), Machine());
  std::size_t found = 0;
  for (std::uint64_t i = 0; i < 400; ++i) {
    if (const auto timed = memory.find(i)) {
      expect_timed(timed);
      ++found;
    }
  }
  EXPECT_GE(found, 20u);  // the last to rename saw at least its own
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder.path())) ++files;
  EXPECT_EQ(files, 1u);
}

TEST(KernelMemory, old_files_of_other_builds_are_removed_in_the_end_and_strangers_left_alone) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "notes.txt") << "mine";
  for (int i = 0; i < 20; ++i) {
    const fs::path file = folder.path() / fmt::format("kernels-{:016x}.txt", i);
    std::ofstream(file) << "old";
    fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(100 - i));
  }
  const fs::path own = written(folder, 1);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder.path())) ++files;
  EXPECT_EQ(files, 10u);  // eight others, this one, the notes
  EXPECT_TRUE(fs::exists(own));
  EXPECT_TRUE(fs::exists(folder.path() / "notes.txt"));
  EXPECT_FALSE(fs::exists(folder.path() / "kernels-0000000000000000.txt"));
  EXPECT_TRUE(fs::exists(folder.path() / "kernels-0000000000000013.txt"));
}

}  // namespace
}  // namespace sparse_run::cpu
