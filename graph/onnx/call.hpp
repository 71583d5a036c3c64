// Functions of a model, and the context in which a node is read: which call it belongs to, what that call was given.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "graph/onnx/frame.hpp"
#include "graph/onnx/onnx.pb.h"
#include "graph/onnx/opsets.hpp"

namespace sparse_run::onnx {

struct Call;

/// An attribute with the place it was written at: a body given to a function sees the names of the caller.
struct BoundAttribute {
  const onnx_wire::AttributeProto* proto = nullptr;
  const Scope* scope = nullptr;  ///< names that a body in it may use; nullptr: none (defaults of functions)
  const Call* call = nullptr;    ///< call whose attributes a body in it may refer to
};

/// A function of the model with the opsets that its nodes follow.
struct Function {
  const onnx_wire::FunctionProto* proto = nullptr;
  Opsets opsets;
  /// Nodes and calls that inlining it makes at least: bodies that its callers give it are not counted. The largest
  /// number there is stands for more.
  std::uint64_t inlined_nodes = 0;
};

/// The inlining of one function call; the model's graph itself is a call of nothing. Lives on the reader's stack.
struct Call {
  const Function* function = nullptr;
  const Call* caller = nullptr;
  const Opsets* opsets = nullptr;
  std::string prefix;  ///< "encoder/", put before the names of nodes and values
  std::map<std::string_view, BoundAttribute> attributes;

  bool is_inside(const Function* candidate) const noexcept {
    for (const Call* call = this; call != nullptr; call = call->caller) {
      if (call->function == candidate) return true;
    }
    return false;
  }
};

/// Functions by domain, name and overload.
class FunctionTable {
 public:
  /// Error(model) for nameless, repeated or senseless functions. `model` must outlive the table.
  FunctionTable(const onnx_wire::ModelProto& model, const Opsets& opsets, const ImportLimits& limits);

  /// The function a node calls; nullptr when it is an operator. Functions of the model come before operators of the
  /// same name.
  const Function* find(const onnx_wire::NodeProto& node) const;

 private:
  void count_inlined_nodes();

  std::map<std::string, Function, std::less<>> functions_;
};

}  // namespace sparse_run::onnx
