// Reading graphs: values first, so that nodes may come in any order, then nodes.
#include "graph/onnx/graph_reader.hpp"

#include <memory>
#include <unordered_set>

#include "base/error.hpp"
#include "graph/onnx/attribute_proto.hpp"
#include "graph/onnx/constant_node.hpp"
#include "graph/onnx/names.hpp"

namespace sparse_run::onnx {

using google::protobuf::RepeatedPtrField;

namespace {

void check_nesting(std::size_t depth, const ImportLimits& limits) {
  if (depth > limits.nesting) {
    throw_error(ErrorKind::limit, "bodies and function calls are nested deeper than {}", limits.nesting);
  }
}

// The attribute that a node really has: its own, or the one that the enclosing call was given for the name it refers
// to. proto is nullptr when the call was given none and the function has no default: then the node has none either.
BoundAttribute resolve(const onnx_wire::AttributeProto& proto, const Scope& scope, const Call& call) {
  if (proto.ref_attr_name().empty()) return {&proto, &scope, &call};
  if (call.function == nullptr) {
    throw_error(ErrorKind::model, "attribute '{}' refers to attribute '{}' of a function, outside any function",
                proto.name(), proto.ref_attr_name());
  }
  const auto found = call.attributes.find(proto.ref_attr_name());
  return found == call.attributes.end() ? BoundAttribute{} : found->second;
}

}  // namespace

GraphReader::Result GraphReader::read_model(const onnx_wire::GraphProto& proto, const Opsets& opsets) {
  Call call;
  call.opsets = &opsets;
  result_.graph = read_graph(proto, Role::model, nullptr, nullptr, call, 0).graph;
  return std::move(result_);
}

GraphReader::Body GraphReader::read_graph(const onnx_wire::GraphProto& proto, Role role, Frame* outer,
                                          const Scope* visible, const Call& call, std::size_t depth) {
  check_nesting(depth, budget_.limits());
  check_name(proto.name(), budget_.limits(), "a graph");
  Frame frame(proto.name(), outer);
  Scope scope(frame, visible);
  read_initializers(proto, scope);
  read_inputs(proto, role, scope);
  define_outputs(proto.node(), proto.value_info(), scope, call);
  read_nodes(proto.node(), scope, call, depth);
  read_outputs(proto, role, scope);
  Graph graph = std::move(frame.builder()).build();
  return {std::make_shared<const Graph>(std::move(graph)), frame.captured()};
}

void GraphReader::read_initializers(const onnx_wire::GraphProto& proto, Scope& scope) {
  const auto add = [&](const std::string& name, const auto& tensor) {
    check_name(name, budget_.limits(), "an initializer");
    if (name.empty()) throw_error(ErrorKind::model, "an initializer has no name");
    with_context([&] { return fmt::format("initializer '{}'", name); },
                 [&] {
                   Constant constant = tensors_.read(tensor);
                   const ValueId id = scope.frame().add_value(name);
                   scope.define(name, id);
                   scope.frame().set_constant(id, std::move(constant));
                 });
  };
  for (const auto& tensor : proto.initializer()) add(tensor.name(), tensor);
  for (const auto& tensor : proto.sparse_initializer()) add(tensor.values().name(), tensor);
}

DeclaredType GraphReader::declared_type(const onnx_wire::ValueInfoProto& info) const {
  if (!info.has_type() || info.type().value_case() == onnx_wire::TypeProto::VALUE_NOT_SET) return {};
  return read_type(info.type(), budget_.limits());
}

void GraphReader::read_inputs(const onnx_wire::GraphProto& proto, Role role, Scope& scope) {
  std::unordered_set<std::string_view> seen;
  for (const auto& input : proto.input()) {
    const std::string& name = input.name();
    check_name(name, budget_.limits(), "an input");
    if (name.empty()) throw_error(ErrorKind::model, "an input has no name");
    with_context(
        [&] { return fmt::format("input '{}'", name); },
        [&] {
          budget_.charge_operands(1);
          if (!seen.insert(name).second) throw_error(ErrorKind::model, "is listed twice");
          DeclaredType declared = declared_type(input);
          const bool known = declared.type.kind != ValueKind::tensor || declared.type.dtype != DType::undefined;
          if (!known && role == Role::model) throw_error(ErrorKind::model, "has no type");
          if (!scope.defines(name)) {
            scope.define(name, scope.frame().add_input(name, std::move(declared.type), std::move(declared.symbols)));
            return;
          }
          // An initializer of the same name is the default of an input that callers need not give.
          if (role == Role::body) throw_error(ErrorKind::model, "of a body is an initializer too");
          ValueDef& value = scope.frame().builder().value(*scope.find(name, scope.frame()));
          merge(declared.type, value.type);  // throws when they contradict each other
          result_.default_inputs.push_back(name);
        });
  }
}

void GraphReader::define_outputs(const RepeatedPtrField<onnx_wire::NodeProto>& nodes,
                                 const RepeatedPtrField<onnx_wire::ValueInfoProto>& hints, Scope& scope,
                                 const Call& call) {
  std::unordered_map<std::string_view, const onnx_wire::ValueInfoProto*> types;
  for (const auto& hint : hints) types.emplace(hint.name(), &hint);
  // A type that is declared for an intermediate value is a hint; one that says nothing usable is no reason to refuse.
  const auto hinted = [&](const std::string& name) -> Type {
    const auto found = types.find(name);
    if (found == types.end()) return {};
    try {
      return declared_type(*found->second).type;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::unsupported || error.kind() == ErrorKind::model) return {};
      throw;
    }
  };
  for (const auto& node : nodes) {
    budget_.charge_operands(static_cast<std::uint64_t>(node.output_size()));
    for (const auto& output : node.output()) {
      if (output.empty()) continue;
      check_name(output, budget_.limits(), "a node's output");
      // The outputs of an inlined function are bound to those of its call, which exist already.
      if (call.function != nullptr && scope.claim(output)) continue;
      scope.define(output, scope.frame().add_value(call.prefix + output, hinted(output)));
    }
  }
}

void GraphReader::read_outputs(const onnx_wire::GraphProto& proto, Role role, Scope& scope) {
  if (role == Role::model && proto.output_size() == 0) {
    throw_error(ErrorKind::model, "the graph has no outputs, so there is nothing to compute");
  }
  std::unordered_set<std::string_view> seen;
  GraphBuilder& builder = scope.frame().builder();
  for (const auto& output : proto.output()) {
    check_name(output.name(), budget_.limits(), "an output");
    with_context([&] { return fmt::format("output '{}'", output.name()); },
                 [&] {
                   budget_.charge_operands(1);
                   if (role == Role::model && !seen.insert(output.name()).second)
                     throw_error(ErrorKind::model, "is listed twice");
                   const auto id = scope.find(output.name(), scope.frame());
                   if (!id || *id == kNoValue) throw_error(ErrorKind::model, "is computed by no node");
                   DeclaredType declared = declared_type(output);
                   ValueDef& value = builder.value(*id);
                   if (value.symbols.empty()) value.symbols = std::move(declared.symbols);
                   if (value.type.dtype == DType::undefined && value.type.kind == ValueKind::tensor) {
                     value.type = std::move(declared.type);
                   }
                   builder.add_output(*id);
                 });
  }
}

std::string GraphReader::node_name(const onnx_wire::NodeProto& proto, Frame& frame, const Call& call) {
  const std::size_t limit = budget_.limits().name_length;
  std::string name =
      proto.name().empty() ? fmt::format("{}_{}", proto.op_type(), frame.builder().node_count()) : proto.name();
  if (call.prefix.size() + name.size() <= limit) name = call.prefix + name;
  return frame.unique_node_name(std::move(name));
}

ValueId GraphReader::operand(std::string_view name, Scope& scope) const {
  if (name.empty()) return kNoValue;
  const auto id = scope.find(name, scope.frame());
  if (!id) throw_error(ErrorKind::model, "needs value '{}', which nothing computes", name);
  return *id;
}

void GraphReader::read_nodes(const RepeatedPtrField<onnx_wire::NodeProto>& nodes, Scope& scope, const Call& call,
                             std::size_t depth) {
  for (const auto& proto : nodes) {
    const ImportLimits& limits = budget_.limits();
    budget_.charge_node();
    budget_.charge_operands(static_cast<std::uint64_t>(proto.input_size()) +
                            static_cast<std::uint64_t>(proto.attribute_size()));
    check_name(proto.name(), limits, "a node");
    check_name(proto.op_type(), limits, "an operator");
    check_name(proto.domain(), limits, "an operator domain");
    if (proto.op_type().empty()) throw_error(ErrorKind::model, "node '{}' has no operator", proto.name());
    std::string name = node_name(proto, scope.frame(), call);
    if (depth == 0) result_.node_names.push_back(name);
    if (depth == 0 && proto.device_configurations_size() != 0) result_.nodes.emplace_back(name, &proto);
    const std::string where = fmt::format("node '{}' ({})", name, proto.op_type());
    with_context([&] { return where; },
                 [&] {
                   if (const Function* function = functions_.find(proto)) {
                     inline_call(proto, *function, name, scope, call, depth + 1);
                   } else {
                     read_operator(proto, std::move(name), scope, call, depth);
                   }
                 });
  }
}

void GraphReader::read_operator(const onnx_wire::NodeProto& proto, std::string name, Scope& scope, const Call& call,
                                std::size_t depth) {
  Node node;
  node.name = std::move(name);
  node.op = proto.op_type();
  node.domain = normal_domain(proto.domain());
  const auto opset = call.opsets->find(node.domain);
  if (opset == call.opsets->end()) {
    throw_error(ErrorKind::model, "the model does not say which version of domain '{}' it uses (opset_import)",
                node.domain.empty() ? "ai.onnx" : node.domain);
  }
  node.opset = opset->second;
  for (const auto& input : proto.input()) node.inputs.push_back(operand(input, scope));
  for (const auto& output : proto.output()) node.outputs.push_back(operand(output, scope));

  std::map<std::string_view, std::vector<ValueId>> captures;
  for (const auto& written : proto.attribute()) {
    check_name(written.name(), budget_.limits(), "an attribute");
    if (written.name().empty()) throw_error(ErrorKind::model, "an attribute has no name");
    with_context([&] { return fmt::format("attribute '{}'", written.name()); },
                 [&] {
                   if (node.has(written.name())) throw_error(ErrorKind::model, "is given twice");
                   const BoundAttribute bound = resolve(written, scope, call);
                   if (bound.proto == nullptr) return;
                   Attribute value;
                   if (attribute_type(*bound.proto) == onnx_wire::AttributeProto::GRAPH) {
                     if (!bound.proto->has_g()) throw_error(ErrorKind::model, "has no graph");
                     Body body =
                         read_graph(bound.proto->g(), Role::body, &scope.frame(), bound.scope, *bound.call, depth + 1);
                     captures.emplace(written.name(), std::move(body.captured));
                     value = std::move(body.graph);
                   } else {
                     value = read_attribute(*bound.proto, tensors_, budget_);
                   }
                   node.attributes.emplace(written.name(), std::move(value));
                 });
  }
  // captures is ordered as node.attributes is: by name.
  for (const auto& [attribute, outer] : captures) {
    node.captures.insert(node.captures.end(), outer.begin(), outer.end());
  }
  if (node.is("Constant")) {
    Constant constant = read_constant_node(node);
    if (node.outputs[0] != kNoValue) scope.frame().set_constant(node.outputs[0], std::move(constant));
    return;
  }
  scope.frame().builder().add_node(std::move(node));
}

void GraphReader::inline_call(const onnx_wire::NodeProto& proto, const Function& function, const std::string& name,
                              Scope& scope, const Call& call, std::size_t depth) {
  const onnx_wire::FunctionProto& body = *function.proto;
  check_nesting(depth, budget_.limits());
  if (call.is_inside(&function)) throw_error(ErrorKind::model, "function '{}' calls itself", body.name());
  budget_.require_nodes(function.inlined_nodes);
  if (proto.input_size() > body.input_size() || proto.output_size() > body.output_size()) {
    throw_error(ErrorKind::model, "{} inputs and {} outputs given, function '{}' has {} and {}", proto.input_size(),
                proto.output_size(), body.name(), body.input_size(), body.output_size());
  }

  Call inner;
  inner.function = &function;
  inner.caller = &call;
  inner.opsets = &function.opsets;
  inner.prefix = name.size() < budget_.limits().name_length ? name + "/" : std::string();
  for (const auto& attribute : proto.attribute()) {
    const BoundAttribute bound = resolve(attribute, scope, call);
    if (bound.proto == nullptr) continue;
    if (!inner.attributes.emplace(attribute.name(), bound).second) {
      throw_error(ErrorKind::model, "attribute '{}' is given twice", attribute.name());
    }
  }
  for (const auto& fallback : body.attribute_proto()) {
    inner.attributes.emplace(fallback.name(), BoundAttribute{&fallback, nullptr, &inner});
  }

  budget_.charge_operands(static_cast<std::uint64_t>(body.input_size()) +
                          static_cast<std::uint64_t>(body.output_size()));
  Scope names(scope.frame(), nullptr);
  for (int i = 0; i < body.input_size(); ++i) {
    names.define(body.input(i), i < proto.input_size() ? operand(proto.input(i), scope) : kNoValue);
  }
  std::vector<ValueId> targets;
  for (int i = 0; i < body.output_size(); ++i) {
    targets.push_back(i < proto.output_size() ? operand(proto.output(i), scope) : kNoValue);
    if (targets.back() != kNoValue && !names.defines(body.output(i))) names.reserve(body.output(i), targets.back());
  }
  define_outputs(body.node(), body.value_info(), names, inner);
  read_nodes(body.node(), names, inner, depth);

  // An output that is an input, or listed twice, is not computed by a node of its own: it needs a copy.
  for (int i = 0; i < body.output_size(); ++i) {
    const ValueId target = targets[static_cast<std::size_t>(i)];
    if (target == kNoValue) continue;
    const auto source = names.find(body.output(i), names.frame());
    if (!source || *source == kNoValue) {
      throw_error(ErrorKind::model, "output '{}' of function '{}' is not computed", body.output(i), body.name());
    }
    if (*source == target) continue;
    Node identity;
    identity.name = scope.frame().unique_node_name(name + "/output");
    identity.op = "Identity";
    identity.opset = 16;  // the first that copies every kind of value
    identity.inputs = {*source};
    identity.outputs = {target};
    scope.frame().builder().add_node(std::move(identity));
  }
}

}  // namespace sparse_run::onnx
