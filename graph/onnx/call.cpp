// The functions of a model.
#include "graph/onnx/call.hpp"

#include <set>

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
}

const Function* FunctionTable::find(const onnx_wire::NodeProto& node) const {
  if (functions_.empty()) return nullptr;
  const auto found = functions_.find(key_of(node.domain(), node.op_type(), node.overload()));
  return found == functions_.end() ? nullptr : &found->second;
}

}  // namespace sparse_run::onnx
