// Arrays and archives on disk: round trips, memory layouts, damage.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zip.h>

#include <complex>
#include <fstream>
#include <random>
#include <sstream>

#include "base/error.hpp"
#include "cli/npy_tensor.hpp"
#include "cli/npz_reader.hpp"
#include "cli/npz_writer.hpp"

namespace sparse_run::cli {
namespace {

using testing::HasSubstr;
constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};

class Files : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() /
        fmt::format("sparse-run-{}-{}", ::getpid(), testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path path(const char* name) const { return folder_ / name; }
  std::filesystem::path write(const char* name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }
  std::string read(const char* name) const {
    std::ifstream file(path(name), std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  std::size_t count() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

 private:
  std::filesystem::path folder_;
};

template <class T>
std::string bytes_of(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

template <class T>
std::vector<T> values_of(const Tensor& tensor) {
  return {tensor.data<T>().begin(), tensor.data<T>().end()};
}

std::string header(const char* descr, const char* order, const char* shape) {
  std::string dictionary = fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}", descr, order, shape);
  dictionary.append((64 - (dictionary.size() + 11) % 64) % 64, ' ');
  dictionary += '\n';
  std::string text = "\x93NUMPY\x01";
  text += '\0';
  text += static_cast<char>(dictionary.size() & 0xff);
  text += static_cast<char>(dictionary.size() >> 8);
  return text + dictionary;
}

TEST_F(Files, row_major_arrays_are_mapped_not_copied) {
  const auto file = write("a.npy", header("<f4", "False", "(2, 2)") + bytes_of<float>({1, 2, 3, 4}));
  const NpyFile loaded = load_npy(file, DType::f32);
  EXPECT_NE(loaded.mapped, nullptr);
  const Tensor& tensor = loaded.tensor;
  EXPECT_EQ(tensor.shape(), (Shape{2, 2}));
  EXPECT_EQ(values_of<float>(tensor), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.raw()) % 4096, header("<f4", "False", "(2, 2)").size());
}

TEST_F(Files, column_major_arrays_become_row_major) {
  const auto file = write("a.npy", header("<i4", "True", "(2, 3)") + bytes_of<std::int32_t>({1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(values_of<std::int32_t>(load_npy(file, DType::i32).tensor), (std::vector<std::int32_t>{1, 2, 3, 4, 5, 6}));
}

TEST_F(Files, big_endian_arrays_are_swapped) {
  const auto file = write("a.npy", header(">u2", "False", "(2,)") + std::string("\x01\x02\x03\x04", 4));
  EXPECT_EQ(values_of<std::uint16_t>(load_npy(file, DType::u16).tensor), (std::vector<std::uint16_t>{0x0102, 0x0304}));
}

TEST_F(Files, raw_pairs_of_bytes_are_bfloat16) {
  const auto file = write("a.npy", header("<V2", "False", "(1,)") + std::string("\x80\x3f", 2));
  const Tensor tensor = load_npy(file, DType::undefined).tensor;
  ASSERT_EQ(tensor.dtype(), DType::bf16);
  EXPECT_EQ(float(tensor.data<BFloat16>()[0]), 1.0f);
}

TEST_F(Files, data_of_another_size_than_the_shape_is_refused) {
  const std::pair<std::string, const char*> cases[] = {
      {bytes_of<float>({1, 2, 3}), "needs 16 bytes of data, 12 are there"},
      {bytes_of<float>({1, 2, 3, 4, 5}), "has 4 bytes after its data (shape 2x2 needs 16)"}};
  for (const auto& [data, complaint] : cases) {
    const auto file = write("a.npy", header("<f4", "False", "(2, 2)") + data);
    try {
      load_npy(file, DType::f32);
      FAIL() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::input);
      EXPECT_THAT(error.what(), HasSubstr(complaint));
    }
  }
}

TEST_F(Files, bytes_after_the_data_are_refused) {
  const auto file = write("a.npy", header("<f4", "False", "(2,)") + bytes_of<float>({1, 2}) + "x");
  try {
    load_npy(file, DType::f32);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    EXPECT_THAT(error.what(), HasSubstr("has 1 bytes after its data (shape 2 needs 8)"));
  }
}

TEST_F(Files, missing_and_empty_files_are_input_errors) {
  for (const auto& file : {path("absent.npy"), write("empty.npy", ""), path("")}) {
    try {
      load_npy(file, DType::f32);
      FAIL() << file;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::input) << file;
    }
  }
}

TEST_F(Files, booleans_other_than_zero_and_one_are_refused) {
  const auto file = write("a.npy", header("|b1", "False", "(2,)") + std::string("\x01\x02", 2));
  EXPECT_THROW(load_npy(file, DType::boolean), Error);
}

TEST_F(Files, archives_keep_names_types_shapes_and_values) {
  const auto file = path("r.npz");
  write_npz(file, {{"a/b:0", Tensor::of<float>({2, 2}, {1, -2, 3.5, 4})},
                   {"größe", Tensor::scalar<std::int64_t>(-7)},
                   {"words", Tensor::of<std::string>({3}, {"", "käse", "plain"})},
                   {"none", Tensor::allocate(DType::f64, {0, 3})},
                   {"c", Tensor::of<std::complex<float>>({1}, {{1, 2}})}});
  NpzReader reader(file);
  EXPECT_THAT(reader.names(), testing::ElementsAre("a/b:0", "größe", "words", "none", "c"));
  EXPECT_EQ(values_of<float>(reader.read("a/b:0", DType::f32, kNoLimit)), (std::vector<float>{1, -2, 3.5, 4}));
  EXPECT_EQ(values_of<std::int64_t>(reader.read("größe", DType::i64, kNoLimit)), std::vector<std::int64_t>{-7});
  EXPECT_EQ(values_of<std::string>(reader.read("words", DType::string, kNoLimit)),
            (std::vector<std::string>{"", "käse", "plain"}));
  EXPECT_EQ(reader.read("none", DType::f64, kNoLimit).shape(), (Shape{0, 3}));
  EXPECT_EQ(reader.read("c", DType::c64, kNoLimit).dtype(), DType::c64);
  EXPECT_THROW(reader.read("absent", DType::f32, kNoLimit), Error);
  EXPECT_EQ(count(), 1u) << "a temporary file is left";
}

TEST_F(Files, members_may_be_filled_in_turn) {
  NpzWriter writer(path("r.npz"));
  const auto a = writer.add("a", "<f4", {4}, 16);
  const auto b = writer.add("b", "<f4", {2}, 8);
  writer.begin();
  const float values[] = {1, 2, 3, 4, 5, 6};
  const auto part = [&](std::size_t first, std::size_t n) { return std::as_bytes(std::span(values + first, n)); };
  writer.append(a, part(0, 2));
  writer.append(b, part(4, 1));
  writer.append(a, part(2, 2));
  writer.append(b, part(5, 1));
  writer.finish();
  NpzReader reader(path("r.npz"));
  EXPECT_EQ(values_of<float>(reader.read("a", DType::f32, kNoLimit)), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(values_of<float>(reader.read("b", DType::f32, kNoLimit)), (std::vector<float>{5, 6}));
}

TEST_F(Files, an_unfinished_archive_leaves_nothing) {
  {
    NpzWriter writer(path("r.npz"));
    writer.add("a", "<f4", {4}, 16);
    writer.begin();
    EXPECT_LE(count(), 1u);  // none where the file system has files without a name
    EXPECT_FALSE(std::filesystem::exists(path("r.npz")));
  }
  EXPECT_EQ(count(), 0u);
}

TEST_F(Files, a_failed_write_keeps_the_old_file) {
  write("r.npz", "old");
  { NpzWriter writer(path("r.npz")); }
  EXPECT_EQ(read("r.npz"), "old");
}

TEST_F(Files, folders_and_missing_folders_cannot_be_written) {
  EXPECT_THROW(PartialFile(path("")), Error);
  EXPECT_THROW(PartialFile(path("absent/r.npz")), Error);
  EXPECT_THROW(PartialFile("/dev/null"), Error);
}

TEST_F(Files, symbolic_links_are_followed_not_replaced) {
  write("real.json", "old");
  std::filesystem::create_symlink("real.json", path("link.json"));
  PartialFile file(path("link.json"));
  file.append("new");
  file.commit();
  EXPECT_EQ(read("real.json"), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(path("link.json")));
}

TEST_F(Files, deflated_members_are_read) {
  const std::string array = header("<f4", "False", "(2,)") + bytes_of<float>({1, 2});
  int code = 0;
  zip_t* archive = zip_open(path("d.npz").c_str(), ZIP_CREATE, &code);
  ASSERT_NE(archive, nullptr);
  const auto index =
      zip_file_add(archive, "x.npy", zip_source_buffer(archive, array.data(), array.size(), 0), ZIP_FL_ENC_UTF_8);
  ASSERT_GE(index, 0);
  ASSERT_EQ(zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), ZIP_CM_DEFLATE, 9), 0);
  ASSERT_EQ(zip_close(archive), 0);
  EXPECT_EQ(values_of<float>(NpzReader(path("d.npz")).read("x", DType::f32, kNoLimit)), (std::vector<float>{1, 2}));
}

TEST_F(Files, members_above_the_limit_are_refused) {
  write_npz(path("r.npz"), {{"a", Tensor::allocate(DType::f32, {1000})}});
  try {
    NpzReader(path("r.npz")).read("a", DType::f32, 1000);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::limit);
  }
}

TEST_F(Files, damaged_archives_are_refused_or_read_but_never_crash) {
  const unsigned seed = 7;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  write_npz(path("r.npz"), {{"a", Tensor::of<float>({4}, {1, 2, 3, 4})}, {"b", Tensor::scalar<std::int64_t>(3)}});
  const std::string sound = read("r.npz");
  int refused = 0;
  for (int round = 0; round < 400; ++round) {
    std::string damaged = sound;
    if (random() % 4 == 0) damaged.resize(random() % damaged.size());
    for (int hits = static_cast<int>(random() % 4); hits > 0 && !damaged.empty(); --hits) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    write("d.npz", damaged);
    try {
      NpzReader reader(path("d.npz"));
      for (const auto& name : reader.names()) reader.read(name, DType::undefined, 1 << 20);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace sparse_run::cli
