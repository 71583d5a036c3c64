// Graphs, bodies and function calls: from the wire format to Graph.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/ir/graph.hpp"
#include "graph/onnx/budget.hpp"
#include "graph/onnx/call.hpp"
#include "graph/onnx/onnx.pb.h"
#include "graph/onnx/tensor_proto.hpp"
#include "graph/onnx/type_proto.hpp"

namespace sparse_run::onnx {

/// Reads the graph of one model. All protos outlive the reader. Not thread-safe.
class GraphReader {
 public:
  GraphReader(TensorReader& tensors, Budget& budget, const FunctionTable& functions)
      : tensors_(tensors), budget_(budget), functions_(functions) {}

  struct Result {
    GraphPtr graph;
    std::vector<std::string> default_inputs;                                 ///< inputs that initializers make optional
    std::vector<std::string> node_names;                                     ///< of the model's graph, as listed
    std::vector<std::pair<std::string, const onnx_wire::NodeProto*>> nodes;  ///< those with device configurations
  };
  /// The model's graph.
  Result read_model(const onnx_wire::GraphProto& proto, const Opsets& opsets);

 private:
  struct Body {
    GraphPtr graph;
    std::vector<ValueId> captured;
  };
  enum class Role { model, body };

  Body read_graph(const onnx_wire::GraphProto& proto, Role role, Frame* outer, const Scope* visible, const Call& call,
                  std::size_t depth);
  void read_initializers(const onnx_wire::GraphProto& proto, Scope& scope);
  void read_inputs(const onnx_wire::GraphProto& proto, Role role, Scope& scope);
  void read_outputs(const onnx_wire::GraphProto& proto, Role role, Scope& scope);
  void define_outputs(const google::protobuf::RepeatedPtrField<onnx_wire::NodeProto>& nodes,
                      const google::protobuf::RepeatedPtrField<onnx_wire::ValueInfoProto>& hints, Scope& scope,
                      const Call& call);
  void read_nodes(const google::protobuf::RepeatedPtrField<onnx_wire::NodeProto>& nodes, Scope& scope, const Call& call,
                  std::size_t depth);
  void read_operator(const onnx_wire::NodeProto& proto, std::string name, Scope& scope, const Call& call,
                     std::size_t depth);
  void inline_call(const onnx_wire::NodeProto& proto, const Function& function, const std::string& name, Scope& scope,
                   const Call& call, std::size_t depth);
  std::string node_name(const onnx_wire::NodeProto& proto, Frame& frame, const Call& call);
  ValueId operand(std::string_view name, Scope& scope) const;
  DeclaredType declared_type(const onnx_wire::ValueInfoProto& info) const;

  TensorReader& tensors_;
  Budget& budget_;
  const FunctionTable& functions_;
  Result result_;
};

}  // namespace sparse_run::onnx
