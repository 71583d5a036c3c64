// A walk over the protobuf wire format, guided by a table of which fields hold which messages.
#include "graph/onnx/wire_scan.hpp"

#include <array>
#include <cstring>

#include "base/error.hpp"

namespace sparse_run::onnx {

namespace {

// Messages the walk knows. `plain` messages hold no messages, `none` stands for scalars, strings and packed arrays.
enum class Kind : std::uint8_t {
  none,
  dropped,
  raw_data,
  plain,
  model,
  graph,
  function,
  node,
  attribute,
  tensor,
  sparse_tensor,
  value_info,
  type,
  type_of_tensor,
  type_of_elements,
  type_of_map,
  shape,
  annotation,
  node_devices,
  sharding,
  sharded_dim,
  sequence,
  map,
  optional
};

struct Edge {
  Kind parent;
  std::uint32_t field;
  Kind child;
};

// Field numbers are those of onnx.proto. What is not listed is copied as it is.
constexpr Edge kEdges[] = {
    {Kind::model, 6, Kind::dropped},             // doc_string
    {Kind::model, 7, Kind::graph},               // graph
    {Kind::model, 8, Kind::plain},               // opset_import
    {Kind::model, 14, Kind::plain},              // metadata_props
    {Kind::model, 20, Kind::dropped},            // training_info
    {Kind::model, 25, Kind::function},           // functions
    {Kind::model, 26, Kind::plain},              // configuration
    {Kind::graph, 1, Kind::node},                // node
    {Kind::graph, 5, Kind::tensor},              // initializer
    {Kind::graph, 10, Kind::dropped},            // doc_string
    {Kind::graph, 11, Kind::value_info},         // input
    {Kind::graph, 12, Kind::value_info},         // output
    {Kind::graph, 13, Kind::value_info},         // value_info
    {Kind::graph, 14, Kind::annotation},         // quantization_annotation
    {Kind::graph, 15, Kind::sparse_tensor},      // sparse_initializer
    {Kind::graph, 16, Kind::plain},              // metadata_props
    {Kind::function, 7, Kind::node},             // node
    {Kind::function, 8, Kind::dropped},          // doc_string
    {Kind::function, 9, Kind::plain},            // opset_import
    {Kind::function, 11, Kind::attribute},       // attribute_proto
    {Kind::function, 12, Kind::value_info},      // value_info
    {Kind::function, 14, Kind::plain},           // metadata_props
    {Kind::node, 5, Kind::attribute},            // attribute
    {Kind::node, 6, Kind::dropped},              // doc_string
    {Kind::node, 9, Kind::plain},                // metadata_props
    {Kind::node, 10, Kind::node_devices},        // device_configurations
    {Kind::attribute, 5, Kind::tensor},          // t
    {Kind::attribute, 6, Kind::graph},           // g
    {Kind::attribute, 10, Kind::tensor},         // tensors
    {Kind::attribute, 11, Kind::graph},          // graphs
    {Kind::attribute, 13, Kind::dropped},        // doc_string
    {Kind::attribute, 14, Kind::type},           // tp
    {Kind::attribute, 15, Kind::type},           // type_protos
    {Kind::attribute, 22, Kind::sparse_tensor},  // sparse_tensor
    {Kind::attribute, 23, Kind::sparse_tensor},  // sparse_tensors
    {Kind::tensor, 3, Kind::plain},              // segment
    {Kind::tensor, 9, Kind::raw_data},           // raw_data
    {Kind::tensor, 12, Kind::dropped},           // doc_string
    {Kind::tensor, 13, Kind::plain},             // external_data
    {Kind::tensor, 16, Kind::plain},             // metadata_props
    {Kind::sparse_tensor, 1, Kind::tensor},      // values
    {Kind::sparse_tensor, 2, Kind::tensor},      // indices
    {Kind::value_info, 2, Kind::type},           // type
    {Kind::value_info, 3, Kind::dropped},        // doc_string
    {Kind::value_info, 4, Kind::plain},          // metadata_props
    {Kind::type, 1, Kind::type_of_tensor},       // tensor_type
    {Kind::type, 4, Kind::type_of_elements},     // sequence_type
    {Kind::type, 5, Kind::type_of_map},          // map_type
    {Kind::type, 7, Kind::plain},                // opaque_type
    {Kind::type, 8, Kind::type_of_tensor},       // sparse_tensor_type
    {Kind::type, 9, Kind::type_of_elements},     // optional_type
    {Kind::type_of_tensor, 2, Kind::shape},      // shape
    {Kind::type_of_elements, 1, Kind::type},     // elem_type
    {Kind::type_of_map, 2, Kind::type},          // value_type
    {Kind::shape, 1, Kind::plain},               // dim
    {Kind::annotation, 2, Kind::plain},          // quant_parameter_tensor_names
    {Kind::node_devices, 2, Kind::sharding},     // sharding_spec
    {Kind::sharding, 3, Kind::plain},            // index_to_device_group_map
    {Kind::sharding, 4, Kind::sharded_dim},      // sharded_dim
    {Kind::sharded_dim, 2, Kind::plain},         // simple_sharding
    {Kind::sequence, 3, Kind::tensor},           // tensor_values
    {Kind::sequence, 4, Kind::sparse_tensor},    // sparse_tensor_values
    {Kind::sequence, 5, Kind::sequence},         // sequence_values
    {Kind::sequence, 6, Kind::map},              // map_values
    {Kind::sequence, 7, Kind::optional},         // optional_values
    {Kind::map, 5, Kind::sequence},              // values
    {Kind::optional, 3, Kind::tensor},           // tensor_value
    {Kind::optional, 4, Kind::sparse_tensor},    // sparse_tensor_value
    {Kind::optional, 5, Kind::sequence},         // sequence_value
    {Kind::optional, 6, Kind::map},              // map_value
    {Kind::optional, 7, Kind::optional},         // optional_value
};

constexpr std::size_t kKinds = static_cast<std::size_t>(Kind::optional) + 1;
constexpr std::size_t kFields = 32;

constexpr auto kChildren = [] {
  std::array<std::array<Kind, kFields>, kKinds> table{};
  for (const Edge& edge : kEdges) table[static_cast<std::size_t>(edge.parent)][edge.field] = edge.child;
  return table;
}();

constexpr int kMaxLengthBytes = 5;  // a padded varint that can hold any length below 2^35

class Scanner {
 public:
  Scanner(std::span<const std::byte> file, const ImportLimits& limits)
      : file_(file), limits_(limits), depth_limit_(message_depth_limit(limits)) {}

  std::string run(Kind root) {
    message(root, 0, file_.size(), 0);
    return std::move(structure_);
  }

 private:
  [[noreturn]] void damaged(std::size_t at, const char* what) const {
    throw_error(ErrorKind::model, "not an ONNX file, or a damaged one: {} at byte {} of {}", what, at, file_.size());
  }

  std::uint64_t varint(std::size_t& at, std::size_t end) const {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (at == end) damaged(at, "a number is cut off");
      const auto byte = static_cast<std::uint8_t>(file_[at++]);
      if (shift < 64) value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    damaged(at, "a number has more than ten bytes");
  }

  void append(std::size_t begin, std::size_t end) {
    reserve(end - begin);
    structure_.append(reinterpret_cast<const char*>(file_.data()) + begin, end - begin);
  }

  void append_length(std::size_t position, std::size_t length) {
    for (int i = 0; i < kMaxLengthBytes; ++i) {
      structure_[position + static_cast<std::size_t>(i)] =
          static_cast<char>((length >> (7 * i) & 0x7f) | (i + 1 < kMaxLengthBytes ? 0x80 : 0));
    }
  }

  void reserve(std::size_t more) const {
    if (more > limits_.structure_bytes || structure_.size() > limits_.structure_bytes - more) {
      throw_error(ErrorKind::limit,
                  "the file holds more than {} bytes besides raw tensor data; store large tensors as raw_data or as "
                  "external data",
                  limits_.structure_bytes);
    }
  }

  void message(Kind kind, std::size_t at, std::size_t end, int depth) {
    if (depth > depth_limit_) {
      throw_error(ErrorKind::limit, "messages are nested deeper than {} (limit: {} bodies)", depth_limit_,
                  limits_.nesting);
    }
    const auto& children = kChildren[static_cast<std::size_t>(kind)];
    while (at < end) {
      const std::size_t start = at;
      const std::uint64_t tag = varint(at, end);
      const std::uint64_t field = tag >> 3;
      if (field == 0 || field > 0x1fffffff) damaged(start, "a field has an impossible number");
      const Kind child = field < kFields ? children[field] : Kind::none;
      const auto wire_type = static_cast<unsigned>(tag & 7);
      if (child != Kind::none && wire_type != 2) damaged(start, "a field has the wrong wire type");
      switch (wire_type) {
        case 0:
          varint(at, end);
          append(start, at);
          break;
        case 1:
        case 5: {
          const std::size_t width = wire_type == 1 ? 8 : 4;
          if (end - at < width) damaged(at, "a number is cut off");
          at += width;
          append(start, at);
          break;
        }
        case 2: {
          const std::size_t after_tag = at;
          const std::uint64_t length = varint(at, end);
          if (length > end - at) damaged(start, "a field is longer than what holds it");
          if (++fields_ > limits_.fields)
            throw_error(ErrorKind::limit, "the file has more than {} fields", limits_.fields);
          delimited(child, start, after_tag, at, at + static_cast<std::size_t>(length), depth);
          at += static_cast<std::size_t>(length);
          break;
        }
        default:
          damaged(start, "a field has an unknown wire type");
      }
    }
  }

  // One length-delimited field: its tag in [start, after_tag), its content in [begin, end).
  void delimited(Kind child, std::size_t start, std::size_t after_tag, std::size_t begin, std::size_t end, int depth) {
    switch (child) {
      case Kind::dropped:
        return;
      case Kind::none:
        append(start, end);
        return;
      case Kind::raw_data: {
        append(start, after_tag);
        reserve(17);
        const std::uint64_t span[2] = {begin, end - begin};
        structure_.push_back(16);
        structure_.append(reinterpret_cast<const char*>(span), sizeof span);
        return;
      }
      default: {
        append(start, after_tag);
        reserve(kMaxLengthBytes);
        const std::size_t position = structure_.size();
        structure_.append(kMaxLengthBytes, '\0');
        message(child, begin, end, depth + 1);
        append_length(position, structure_.size() - position - kMaxLengthBytes);
      }
    }
  }

  std::span<const std::byte> file_;
  const ImportLimits& limits_;
  int depth_limit_;
  std::uint64_t fields_ = 0;
  std::string structure_;
};

}  // namespace

int message_depth_limit(const ImportLimits& limits) noexcept {
  // A body is a node in an attribute in a node: three messages. Around the bodies: model, types, shapes, shardings.
  constexpr std::size_t kAround = 16;
  constexpr std::size_t kDeepest = 1000;  // recursion over messages needs stack
  return static_cast<int>(std::min(limits.nesting * 3 + kAround, kDeepest));
}

std::string scan_structure(std::span<const std::byte> file, RootMessage root, const ImportLimits& limits) {
  Scanner scanner(file, limits);
  switch (root) {
    case RootMessage::model:
      return scanner.run(Kind::model);
    case RootMessage::tensor:
      return scanner.run(Kind::tensor);
    case RootMessage::sequence:
      return scanner.run(Kind::sequence);
    case RootMessage::optional:
      return scanner.run(Kind::optional);
  }
  return {};
}

RawSpan decode_raw_span(std::string_view raw_data) {
  RawSpan span;
  require(raw_data.size() == sizeof span, "raw_data was not replaced by a span");
  std::memcpy(&span, raw_data.data(), sizeof span);
  return span;
}

}  // namespace sparse_run::onnx
