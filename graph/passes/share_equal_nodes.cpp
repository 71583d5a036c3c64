// Shares equal constants and equal computations: each is kept once.
#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "graph/ops/schema.hpp"
#include "graph/passes/passes.hpp"

namespace sparse_run {

namespace {

void append(std::string& key, const void* data, std::size_t bytes) {
  const std::size_t size = bytes;
  key.append(reinterpret_cast<const char*>(&size), sizeof size);
  key.append(static_cast<const char*>(data), bytes);
}

template <class T>
void append_number(std::string& key, T value) {
  key.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_tensor(std::string& key, const Tensor& tensor) {  // by address: equal contents elsewhere count as other
  append_number(key, tensor.dtype());
  append(key, tensor.shape().data(), tensor.shape().size() * sizeof(std::int64_t));
  append_number(key, tensor.raw());
}

void append_attribute(std::string& key, const Attribute& attribute) {
  append_number(key, attribute.index());
  std::visit(
      [&]<class T>(const T& value) {
        if constexpr (std::is_arithmetic_v<T>) {
          append_number(key, value);
        } else if constexpr (std::is_same_v<T, std::string>) {
          append(key, value.data(), value.size());
        } else if constexpr (std::is_same_v<T, std::vector<std::int64_t>> || std::is_same_v<T, std::vector<float>>) {
          append(key, value.data(), value.size() * sizeof(value[0]));
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          append_number(key, value.size());
          for (const std::string& text : value) append(key, text.data(), text.size());
        } else if constexpr (std::is_same_v<T, Tensor>) {
          append_tensor(key, value);
        } else if constexpr (std::is_same_v<T, SparseTensor>) {
          append_tensor(key, value.values);
          append_tensor(key, value.indices);
        } else if constexpr (std::is_same_v<T, GraphPtr>) {
          append_number(key, value.get());
        } else {
          const std::string text = to_string(value);
          append(key, text.data(), text.size());
        }
      },
      attribute);
}

/// Everything that decides what a node computes.
std::string key_of(const Node& node) {
  std::string key;
  append(key, node.domain.data(), node.domain.size());
  append(key, node.op.data(), node.op.size());
  append_number(key, node.opset);
  append(key, node.inputs.data(), node.inputs.size() * sizeof(ValueId));
  append(key, node.captures.data(), node.captures.size() * sizeof(ValueId));
  append_number(key, node.outputs.size());
  for (const auto& [name, attribute] : node.attributes) {
    append(key, name.data(), name.size());
    append_attribute(key, attribute);
  }
  return key;
}

/// A cheap key of a constant: type, shape and a sample of its bytes; equality is decided by all bytes.
std::string key_of(const Tensor& tensor) {
  constexpr std::size_t kSample = 64;
  std::string key;
  append_number(key, tensor.dtype());
  append(key, tensor.shape().data(), tensor.shape().size() * sizeof(std::int64_t));
  const auto* bytes = static_cast<const char*>(tensor.raw());
  const std::size_t count = tensor.bytes();
  for (std::size_t part = 0; part < 4; ++part) {
    const std::size_t start = count * part / 4;
    append(key, bytes + start, std::min(kSample, count - start));
  }
  return key;
}

bool equal_bytes(const Tensor& a, const Tensor& b) {
  return a.raw() == b.raw() || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

class ShareEqualNodes final : public Pass {
 public:
  std::string_view name() const noexcept override { return "share-equal-nodes"; }
  std::string_view purpose() const noexcept override { return "keeps equal constants and equal computations once"; }

  std::size_t run(GraphBuilder& graph) const override { return share_constants(graph) + share_nodes(graph); }

 private:
  static std::size_t share_constants(GraphBuilder& graph) {
    std::unordered_multimap<std::string, ValueId> seen;
    std::size_t rewrites = 0;
    for (ValueId id = 0; id < graph.value_count(); ++id) {
      const Tensor* tensor = std::as_const(graph).value(id).tensor();
      if (tensor == nullptr || tensor->bytes() == 0 || graph.is_output(id)) continue;
      const std::string key = key_of(*tensor);
      const auto [first, last] = seen.equal_range(key);
      const auto found = std::find_if(first, last, [&](const auto& entry) {
        return equal_bytes(*tensor, *std::as_const(graph).value(entry.second).tensor());
      });
      if (found == last) {
        seen.emplace(key, id);
      } else {
        graph.replace_uses(id, found->second);
        ++rewrites;
      }
    }
    return rewrites;
  }

  static std::size_t share_nodes(GraphBuilder& graph) {
    std::unordered_map<std::string, NodeId> seen;
    std::size_t rewrites = 0;
    const std::size_t count = graph.node_count();
    for (NodeId id = 0; id < count; ++id) {
      if (graph.removed(id)) continue;
      const Node& node = std::as_const(graph).node(id);
      const OpSchema* schema = OpRegistry::standard().find(node);
      if (schema == nullptr || !schema->deterministic || node.is("Dropout")) continue;
      const auto [entry, is_new] = seen.emplace(key_of(node), id);
      if (is_new) continue;
      merge_into(graph, entry->second, id);
      ++rewrites;
    }
    return rewrites;
  }

  static void merge_into(GraphBuilder& graph, NodeId kept, NodeId dropped) {
    for (std::size_t i = 0; i < std::as_const(graph).node(dropped).outputs.size(); ++i) {
      const ValueId duplicate = std::as_const(graph).node(dropped).outputs[i];
      if (duplicate == kNoValue) continue;
      const ValueId original = std::as_const(graph).node(kept).outputs[i];
      if (original == kNoValue) {
        graph.node(dropped).outputs[i] = kNoValue;
        graph.node(kept).outputs[i] = duplicate;
      } else {
        graph.replace_uses(duplicate, original);
      }
    }
    graph.remove_node(dropped);
  }
};

}  // namespace

std::unique_ptr<Pass> make_share_equal_nodes() { return std::make_unique<ShareEqualNodes>(); }

}  // namespace sparse_run
