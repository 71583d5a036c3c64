// Small ONNX models for tests of the importer, written field by field.
#pragma once

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "base/error.hpp"
#include "graph/onnx/import.hpp"
#include "graph/onnx/onnx.pb.h"

namespace sparse_run::onnx_fixture {

using Wire = onnx_wire::ModelProto;

inline void set_tensor_type(onnx_wire::ValueInfoProto& info, const std::string& name, std::vector<std::int64_t> dims,
                            DType dtype = DType::f32) {
  info.set_name(name);
  auto& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(static_cast<std::int32_t>(dtype));
  type.mutable_shape();
  for (const std::int64_t dim : dims) type.mutable_shape()->add_dim()->set_dim_value(dim);
}

inline onnx_wire::NodeProto& add_node(google::protobuf::RepeatedPtrField<onnx_wire::NodeProto>& nodes,
                                      const std::string& op, std::vector<std::string> inputs,
                                      std::vector<std::string> outputs, const std::string& name = "") {
  auto& node = *nodes.Add();
  node.set_op_type(op);
  for (auto& input : inputs) node.add_input(std::move(input));
  for (auto& output : outputs) node.add_output(std::move(output));
  if (!name.empty()) node.set_name(name);
  return node;
}

inline onnx_wire::AttributeProto& add_attribute(onnx_wire::NodeProto& node, const std::string& name,
                                                onnx_wire::AttributeProto::AttributeType type) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(type);
  return attribute;
}

template <class T>
void set_raw(onnx_wire::TensorProto& tensor, std::vector<std::int64_t> dims, const std::vector<T>& values,
             const std::string& name = "") {
  tensor.set_name(name);
  tensor.set_data_type(static_cast<std::int32_t>(dtype_of<T>));
  for (const std::int64_t dim : dims) tensor.add_dims(dim);
  tensor.set_raw_data(values.data(), values.size() * sizeof(T));
}

/// y = Relu(x + w), x and y f32[2x3], w an initializer 1…6.
inline Wire small_model() {
  Wire model;
  model.set_ir_version(10);
  model.set_producer_name("fixture");
  auto& opset = *model.add_opset_import();
  opset.set_domain("");
  opset.set_version(21);
  auto& graph = *model.mutable_graph();
  graph.set_name("small");
  set_tensor_type(*graph.add_input(), "x", {2, 3});
  set_raw<float>(*graph.add_initializer(), {2, 3}, {1, 2, 3, 4, 5, 6}, "w");
  add_node(*graph.mutable_node(), "Add", {"x", "w"}, {"sum"}, "add");
  add_node(*graph.mutable_node(), "Relu", {"sum"}, {"y"}, "relu");
  set_tensor_type(*graph.add_output(), "y", {2, 3});
  return model;
}

inline Model import(const Wire& wire, const ImportLimits& limits = {}) {
  const std::string bytes = wire.SerializeAsString();
  return parse_model(std::as_bytes(std::span(bytes)), limits);
}

/// Tag and length of a message of `size` bytes in `field`.
inline std::string wire_header(int field, std::size_t size) {
  std::string header(1, static_cast<char>(field << 3 | 2));
  for (; size > 0x7f; size >>= 7) header.push_back(static_cast<char>((size & 0x7f) | 0x80));
  header.push_back(static_cast<char>(size));
  return header;
}

/// Wire bytes of messages nested through `outer`, then `levels` times through `repeated` (field numbers, outermost
/// first), around nothing: protobuf could write them only by recursing as deeply.
inline std::string nested_bytes(const std::vector<int>& outer, const std::vector<int>& repeated, int levels) {
  std::vector<std::string> headers;  // innermost first
  std::size_t size = 0;
  const auto wrap = [&](const std::vector<int>& fields) {
    for (auto field = fields.rbegin(); field != fields.rend(); ++field) {
      headers.push_back(wire_header(*field, size));
      size += headers.back().size();
    }
  };
  for (int level = 0; level < levels; ++level) wrap(repeated);
  wrap(outer);
  std::string bytes;
  bytes.reserve(size);
  for (auto header = headers.rbegin(); header != headers.rend(); ++header) bytes += *header;
  return bytes;
}

/// Expects an Error of `kind` whose text contains every one of `parts`.
inline void expect_error(ErrorKind kind, std::vector<std::string> parts, const std::function<void()>& action) {
  try {
    action();
    FAIL() << "no error was thrown; expected one about " << testing::PrintToString(parts);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    for (const auto& part : parts) EXPECT_THAT(error.what(), testing::HasSubstr(part));
  }
}

inline void expect_refused(const Wire& wire, ErrorKind kind, std::vector<std::string> parts,
                           const ImportLimits& limits = {}) {
  expect_error(kind, std::move(parts), [&] { import(wire, limits); });
}

/// A folder that goes away with its contents.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "sparse_run_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw Error(ErrorKind::internal, "no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  std::filesystem::path write(const std::string& name, const std::string& content) const {
    const auto file = path_ / name;
    std::ofstream(file, std::ios::binary) << content;
    return file;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace sparse_run::onnx_fixture
