// The attributes of Constant.
#include "graph/onnx/constant_node.hpp"

#include "base/error.hpp"

namespace sparse_run::onnx {

namespace {

template <class T>
Tensor vector_tensor(const std::vector<T>& values) {
  return Tensor::of<T>({static_cast<std::int64_t>(values.size())}, values);
}

}  // namespace

Constant read_constant_node(const Node& node) {
  if (!node.inputs.empty() || node.outputs.size() != 1 || node.attributes.size() != 1) {
    throw_error(ErrorKind::model, "a Constant has no inputs, one output and one attribute; found {}, {} and {}",
                node.inputs.size(), node.outputs.size(), node.attributes.size());
  }
  const std::string& name = node.attributes.begin()->first;
  if (name == "value") return node.get<Tensor>(name);
  if (name == "sparse_value") return node.get<SparseTensor>(name);
  if (name == "value_float") return Tensor::scalar(node.get<float>(name));
  if (name == "value_floats") return vector_tensor(node.get<std::vector<float>>(name));
  if (name == "value_int") return Tensor::scalar(node.get<std::int64_t>(name));
  if (name == "value_ints") return vector_tensor(node.get<std::vector<std::int64_t>>(name));
  if (name == "value_string") return Tensor::scalar(node.get<std::string>(name));
  if (name == "value_strings") return vector_tensor(node.get<std::vector<std::string>>(name));
  throw_error(ErrorKind::model, "Constant has no attribute '{}'", name);
}

}  // namespace sparse_run::onnx
