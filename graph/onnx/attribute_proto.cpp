// Reading attributes.
#include "graph/onnx/attribute_proto.hpp"

#include "base/error.hpp"
#include "graph/onnx/type_proto.hpp"

namespace sparse_run::onnx {

using Proto = onnx_wire::AttributeProto;

namespace {

template <class T, class List>
std::vector<T> read_list(const List& list, Budget& budget) {
  const auto count = static_cast<std::size_t>(list.size());
  if (count > budget.limits().list_length) {
    throw_error(ErrorKind::limit, "{} entries exceed the limit of {}", count, budget.limits().list_length);
  }
  budget.charge_constant(count * sizeof(T));
  return {list.begin(), list.end()};
}

}  // namespace

Proto::AttributeType attribute_type(const Proto& proto) {
  if (proto.type() != Proto::UNDEFINED) return proto.type();
  const std::pair<bool, Proto::AttributeType> fields[] = {
      {proto.has_f(), Proto::FLOAT},
      {proto.has_i(), Proto::INT},
      {proto.has_s(), Proto::STRING},
      {proto.has_t(), Proto::TENSOR},
      {proto.has_g(), Proto::GRAPH},
      {proto.has_sparse_tensor(), Proto::SPARSE_TENSOR},
      {proto.has_tp(), Proto::TYPE_PROTO},
      {proto.floats_size() != 0, Proto::FLOATS},
      {proto.ints_size() != 0, Proto::INTS},
      {proto.strings_size() != 0, Proto::STRINGS},
      {proto.tensors_size() != 0, Proto::TENSORS},
      {proto.graphs_size() != 0, Proto::GRAPHS},
      {proto.sparse_tensors_size() != 0, Proto::SPARSE_TENSORS},
      {proto.type_protos_size() != 0, Proto::TYPE_PROTOS},
  };
  Proto::AttributeType type = Proto::UNDEFINED;
  for (const auto& [set, candidate] : fields) {
    if (!set) continue;
    if (type != Proto::UNDEFINED) throw_error(ErrorKind::model, "has no type and several values");
    type = candidate;
  }
  if (type == Proto::UNDEFINED) throw_error(ErrorKind::model, "has neither a type nor a value");
  return type;
}

Attribute read_attribute(const Proto& proto, TensorReader& tensors, Budget& budget) {
  switch (attribute_type(proto)) {
    // A number or string that equals its default may be left out of the file.
    case Proto::FLOAT:
      return proto.f();
    case Proto::INT:
      return proto.i();
    case Proto::STRING:
      budget.charge_constant(proto.s().size());
      return proto.s();
    case Proto::FLOATS:
      return read_list<float>(proto.floats(), budget);
    case Proto::INTS:
      return read_list<std::int64_t>(proto.ints(), budget);
    case Proto::STRINGS:
      for (const auto& text : proto.strings()) budget.charge_constant(text.size());
      return read_list<std::string>(proto.strings(), budget);
    case Proto::TENSOR:
      if (!proto.has_t()) throw_error(ErrorKind::model, "has no tensor");
      return tensors.read(proto.t());
    case Proto::SPARSE_TENSOR:
      if (!proto.has_sparse_tensor()) throw_error(ErrorKind::model, "has no sparse tensor");
      return tensors.read(proto.sparse_tensor());
    case Proto::TYPE_PROTO:
      if (!proto.has_tp()) throw_error(ErrorKind::model, "has no type description");
      return read_type(proto.tp(), budget.limits()).type;
    case Proto::TENSORS:
      throw_error(ErrorKind::unsupported, "lists of tensors are not supported");
    case Proto::SPARSE_TENSORS:
      throw_error(ErrorKind::unsupported, "lists of sparse tensors are not supported");
    case Proto::GRAPHS:
      throw_error(ErrorKind::unsupported, "lists of graphs are not supported");
    case Proto::TYPE_PROTOS:
      throw_error(ErrorKind::unsupported, "lists of types are not supported");
    case Proto::GRAPH:
    case Proto::UNDEFINED:
      break;
  }
  throw Error(ErrorKind::internal, "a body is not read as a plain attribute");
}

}  // namespace sparse_run::onnx
