// Tests of separating structure from raw tensor bytes, and of the fingerprint.
#include "graph/onnx/wire_scan.hpp"

#include <gtest/gtest.h>

#include "graph/onnx/content_hash.hpp"
#include "graph/onnx/model_fixture.hpp"

namespace sparse_run::onnx {
namespace {

using namespace onnx_fixture;

std::string scan(const std::string& bytes) {
  return scan_structure(std::as_bytes(std::span(bytes)), RootMessage::model, {});
}

TEST(wire_scan, raw_data_becomes_a_span_of_the_file) {
  Wire wire = small_model();
  const std::string raw(100'000, 'r');
  wire.mutable_graph()->mutable_initializer(0)->set_raw_data(raw);
  const std::string bytes = wire.SerializeAsString();
  const std::string structure = scan(bytes);
  EXPECT_LT(structure.size(), 1000u);
  Wire parsed;
  ASSERT_TRUE(parsed.ParseFromString(structure));
  const RawSpan span = decode_raw_span(parsed.graph().initializer(0).raw_data());
  EXPECT_EQ(bytes.substr(span.offset, span.length), raw);
  EXPECT_EQ(parsed.graph().node_size(), 2);
}

TEST(wire_scan, documentation_is_dropped_and_everything_else_kept) {
  Wire wire = small_model();
  wire.set_producer_version("v");
  wire.mutable_graph()->mutable_node(0)->set_doc_string("long story");
  auto& attribute = add_attribute(*wire.mutable_graph()->mutable_node(0), "floats", onnx_wire::AttributeProto::FLOATS);
  attribute.add_floats(1.5f);
  Wire parsed;
  ASSERT_TRUE(parsed.ParseFromString(scan(wire.SerializeAsString())));
  EXPECT_FALSE(parsed.graph().node(0).has_doc_string());
  wire.mutable_graph()->mutable_node(0)->clear_doc_string();
  parsed.mutable_graph()->mutable_initializer(0)->set_raw_data(wire.graph().initializer(0).raw_data());
  EXPECT_EQ(parsed.SerializeAsString(), wire.SerializeAsString());
}

TEST(wire_scan, malformed_bytes_are_located) {
  const auto refused = [](const std::string& bytes, const std::string& what) {
    expect_error(ErrorKind::model, {"damaged", what}, [&] { scan(bytes); });
  };
  refused("\x08", "cut off at byte 1 of 1");
  refused(std::string("\x08") + std::string(11, '\xff'), "more than ten bytes");
  refused(std::string("\x3a\x05\x0a", 3), "longer than what holds it at byte 0");
  refused(std::string("\x38\x01", 2), "wrong wire type");        // the graph as a number
  refused(std::string("\x0b", 1), "unknown wire type");          // a group
  refused(std::string("\x02\x01\x00", 3), "impossible number");  // field 0
  refused(std::string("\x0d\x01\x02", 3), "cut off");
  refused(std::string("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), "longer than");
}

TEST(content_hash, depends_on_every_byte_and_on_length) {
  std::string text(200, 'a');
  const auto hash = [](const std::string& bytes) { return content_hash(std::as_bytes(std::span(bytes))); };
  const std::uint64_t reference = hash(text);
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = 'b';
    EXPECT_NE(hash(changed), reference) << i;
  }
  EXPECT_NE(hash(text + '\0'), reference);
  EXPECT_NE(hash(text.substr(1)), reference);
  EXPECT_EQ(hash_text(0xabcu), "0000000000000abc");
}

TEST(content_hash, chunks_are_ordered) {
  std::string two(2 * kHashChunk, 'a');
  two[0] = 'b';
  std::string swapped(2 * kHashChunk, 'a');
  swapped[kHashChunk] = 'b';
  EXPECT_NE(content_hash(std::as_bytes(std::span(two))), content_hash(std::as_bytes(std::span(swapped))));
}

}  // namespace
}  // namespace sparse_run::onnx
