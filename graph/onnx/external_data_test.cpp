// Tests of external data: found in the model's folder, and never outside it.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "graph/onnx/model_fixture.hpp"

namespace sparse_run {
namespace {

using namespace onnx_fixture;
using testing::ElementsAre;
namespace fs = std::filesystem;

std::string floats(std::vector<float> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

// small_model() with w stored at `location`.
Wire external_model(const std::string& location, const std::string& offset = "", const std::string& length = "") {
  Wire wire = small_model();
  auto& tensor = *wire.mutable_graph()->mutable_initializer(0);
  tensor.clear_raw_data();
  tensor.set_data_location(onnx_wire::TensorProto::EXTERNAL);
  const auto add = [&](const std::string& key, const std::string& value) {
    if (value.empty()) return;
    auto& entry = *tensor.add_external_data();
    entry.set_key(key);
    entry.set_value(value);
  };
  add("location", location);
  add("offset", offset);
  add("length", length);
  return wire;
}

class external_data : public testing::Test {
 protected:
  Model load(const Wire& wire) { return load_model(folder_.write("model.onnx", wire.SerializeAsString())); }
  Tensor weight(const Wire& wire) {
    const Model model = load(wire);
    return *model.graph->value(model.graph->node(0).inputs[1]).tensor();
  }
  void refused(const Wire& wire, std::vector<std::string> parts, ErrorKind kind = ErrorKind::model) {
    parts.emplace_back("model.onnx");
    parts.emplace_back("initializer 'w'");
    expect_error(kind, parts, [&] { load(wire); });
  }

  TemporaryFolder folder_;
};

TEST_F(external_data, is_read_at_its_offset) {
  folder_.write("weights.bin", floats({9, 9, 1, 2, 3, 4, 5, 6, 9}));
  EXPECT_THAT(weight(external_model("weights.bin", "8", "24")).data<float>(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(weight(external_model("weights.bin", "8")).data<float>(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(weight(external_model("./weights.bin")).data<float>(), ElementsAre(9, 9, 1, 2, 3, 4));
}

TEST_F(external_data, misaligned_bytes_are_copied) {
  folder_.write("weights.bin", std::string(1, '#').append(floats({1, 2, 3, 4, 5, 6})));
  EXPECT_THAT(weight(external_model("weights.bin", "1")).data<float>(), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(external_data, may_lie_in_a_folder_below) {
  fs::create_directory(folder_ / "data");
  folder_.write("data/weights.bin", floats({1, 2, 3, 4, 5, 6}));
  EXPECT_THAT(weight(external_model("data/weights.bin")).data<float>(), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(external_data, its_content_is_part_of_the_hash) {
  folder_.write("weights.bin", floats({1, 2, 3, 4, 5, 6}));
  const std::string before = load(external_model("weights.bin")).hash;
  folder_.write("weights.bin", floats({1, 2, 3, 4, 5, 7}));
  EXPECT_NE(load(external_model("weights.bin")).hash, before);
}

TEST_F(external_data, of_no_elements_needs_no_file) {
  Wire wire = external_model("absent.bin");
  wire.mutable_graph()->mutable_initializer(0)->set_dims(0, 0);
  EXPECT_EQ(load(wire).graph->value(0).tensor()->size(), 0);
}

TEST_F(external_data, missing_file_or_location) {
  refused(external_model("absent.bin"), {"'absent.bin'", "no such file"});
  refused(external_model(""), {"no location"});
}

TEST_F(external_data, absolute_and_parent_paths) {
  const TemporaryFolder elsewhere;
  const auto outside = elsewhere.write("weights.bin", floats({1, 2, 3, 4, 5, 6}));
  refused(external_model(outside.string()), {"absolute"});
  refused(external_model("../" + elsewhere.path().filename().string() + "/weights.bin"), {"'..'"});
  fs::create_directory(folder_ / "data");
  folder_.write("weights.bin", floats({1, 2, 3, 4, 5, 6}));
  refused(external_model("data/../weights.bin"), {"'..'"});
  refused(external_model("."), {"empty"});
  refused(external_model(std::string("weights.bin\0.txt", 16)), {"control character"});
}

TEST_F(external_data, symbolic_links_to_files_and_folders) {
  const TemporaryFolder elsewhere;
  const auto outside = elsewhere.write("weights.bin", floats({1, 2, 3, 4, 5, 6}));
  fs::create_symlink(outside, folder_ / "link.bin");
  refused(external_model("link.bin"), {"symbolic link"});
  fs::create_directory_symlink(elsewhere.path(), folder_ / "data");
  refused(external_model("data/weights.bin"), {"symbolic link"});
}

TEST_F(external_data, hard_links) {
  const TemporaryFolder elsewhere;
  const auto outside = elsewhere.write("weights.bin", floats({1, 2, 3, 4, 5, 6}));
  fs::create_hard_link(outside, folder_ / "weights.bin");
  refused(external_model("weights.bin"), {"2 hard links", "copy it"});
}

TEST_F(external_data, fifos_folders_and_empty_files) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  refused(external_model("pipe"), {"not a regular file"});
  fs::create_directory(folder_ / "data");
  refused(external_model("data"), {"folder"});
  refused(external_model("data/"), {"folder"});
  folder_.write("empty.bin", "");
  refused(external_model("empty.bin"), {"empty"});
}

TEST_F(external_data, ranges_beyond_the_file) {
  folder_.write("weights.bin", floats({1, 2, 3, 4, 5, 6}));
  refused(external_model("weights.bin", "4"), {"24 bytes at offset 4", "24"});
  refused(external_model("weights.bin", "18446744073709551615"), {"exceed"});
  refused(external_model("weights.bin", "0", "20"), {"length is 20", "24"});
  refused(external_model("weights.bin", "-4"), {"offset", "not a number"});
  refused(external_model("weights.bin", "0x4"), {"offset", "not a number"});
  refused(external_model("weights.bin", "99999999999999999999"), {"offset", "not a number"});
}

TEST_F(external_data, beside_data_in_the_model) {
  folder_.write("weights.bin", floats({1, 2, 3, 4, 5, 6}));
  Wire wire = external_model("weights.bin");
  wire.mutable_graph()->mutable_initializer(0)->set_raw_data(std::string(24, 'x'));
  refused(wire, {"both"});
}

TEST_F(external_data, larger_than_the_limit) {
  folder_.write("weights.bin", std::string(100'000, 'x'));
  ImportLimits limits;
  limits.file_bytes = 50'000;
  const auto file = folder_.write("model.onnx", external_model("weights.bin").SerializeAsString());
  expect_error(ErrorKind::limit, {"weights.bin", "100000 bytes", "50000"}, [&] { load_model(file, limits); });
}

TEST(external_data_in_memory, is_refused) {
  expect_refused(external_model("weights.bin"), ErrorKind::model, {"initializer 'w'", "not read from a file"});
}

}  // namespace
}  // namespace sparse_run
