// The functions of a model.
#include "graph/onnx/call.hpp"

#include <limits>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/error.hpp"
#include "graph/onnx/names.hpp"

namespace sparse_run::onnx {

namespace {

std::string key_of(std::string_view domain, std::string_view name, std::string_view overload) {
  // The lengths keep the parts apart, whatever characters are in them.
  return fmt::format("{}:{}:{}{}{}", normal_domain(domain).size(), name.size(), normal_domain(domain), name, overload);
}

template <class Names>
void check_distinct(const Names& names, const char* what, const ImportLimits& limits) {
  std::set<std::string_view> seen;
  for (const auto& name : names) {
    check_name(name, limits, what);
    if (name.empty()) throw_error(ErrorKind::model, "{} has no name", what);
    if (!seen.insert(name).second) throw_error(ErrorKind::model, "{} '{}' is listed twice", what, name);
  }
}

/// What one inlining of a function takes: nodes of its own, and how often it calls each other function.
struct Content {
  std::uint64_t nodes = 0;
  std::map<const Function*, std::uint64_t> calls;
};

void collect(const google::protobuf::RepeatedPtrField<onnx_wire::NodeProto>& nodes, const FunctionTable& table,
             Content& content) {
  for (const auto& node : nodes) {
    ++content.nodes;
    if (const Function* callee = table.find(node)) {
      ++content.calls[callee];
      continue;  // whether bodies given to it are used is its own affair
    }
    for (const auto& attribute : node.attribute()) {
      if (attribute.ref_attr_name().empty() && attribute.has_g()) collect(attribute.g().node(), table, content);
    }
  }
}

std::uint64_t saturating_multiply_add(std::uint64_t sum, std::uint64_t a, std::uint64_t b) {
  std::uint64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result) || __builtin_add_overflow(sum, result, &result)) {
    return std::numeric_limits<std::uint64_t>::max();
  }
  return result;
}

}  // namespace

FunctionTable::FunctionTable(const onnx_wire::ModelProto& model, const Opsets& opsets, const ImportLimits& limits) {
  for (const auto& proto : model.functions()) {
    check_name(proto.name(), limits, "a function");
    check_name(proto.domain(), limits, "an operator domain");
    check_name(proto.overload(), limits, "a function's overload");
    if (proto.name().empty()) throw_error(ErrorKind::model, "a function has no name");
    with_context(
        [&] { return fmt::format("function '{}'", proto.name()); },
        [&] {
          check_distinct(proto.input(), "function input", limits);
          check_distinct(proto.attribute(), "function attribute", limits);
          for (const auto& output : proto.output()) check_name(output, limits, "a function output");
          Function function{&proto, read_opsets(proto.opset_import(), opsets, limits)};
          const bool added =
              functions_.emplace(key_of(proto.domain(), proto.name(), proto.overload()), std::move(function)).second;
          if (!added) throw_error(ErrorKind::model, "is defined twice");
        });
  }
  count_inlined_nodes();
}

// Callees first, without recursion: chains of calls may be as long as the model. A function that calls itself is
// refused when it is inlined; here the inner call counts as nothing.
void FunctionTable::count_inlined_nodes() {
  enum class State { unseen, open, done };
  struct Entry {
    Function* function = nullptr;
    Content content;
    State state = State::unseen;
  };
  std::unordered_map<const Function*, Entry> entries;
  for (auto& [key, function] : functions_) {
    Entry& entry = entries[&function];
    entry.function = &function;
    collect(function.proto->node(), *this, entry.content);
  }
  std::vector<Entry*> stack;
  for (auto& [key, function] : functions_) {
    stack.push_back(&entries.at(&function));
    while (!stack.empty()) {
      Entry& entry = *stack.back();
      if (entry.state == State::unseen) {
        entry.state = State::open;
        for (const auto& [callee, times] : entry.content.calls) {
          Entry& inner = entries.at(callee);
          if (inner.state == State::unseen) stack.push_back(&inner);
        }
        continue;
      }
      stack.pop_back();
      if (entry.state == State::done) continue;
      entry.state = State::done;
      std::uint64_t total = entry.content.nodes;
      for (const auto& [callee, times] : entry.content.calls) {
        total = saturating_multiply_add(total, times, callee->inlined_nodes);
      }
      entry.function->inlined_nodes = total;
    }
  }
}

const Function* FunctionTable::find(const onnx_wire::NodeProto& node) const {
  if (functions_.empty()) return nullptr;
  const auto found = functions_.find(key_of(node.domain(), node.op_type(), node.overload()));
  return found == functions_.end() ? nullptr : &found->second;
}

}  // namespace sparse_run::onnx
