// What the compiler knows of an operator without running it: arity, type inference, properties.
#pragma once

#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/ir/graph.hpp"

namespace sparse_run {

/// What type inference of one node sees. Implemented by graph/ops/infer.cpp (whole graphs) and used again by the
/// runtime for nodes whose shapes depend on data, then with every input's value known.
class InferContext {
 public:
  virtual ~InferContext() = default;

  virtual const Node& node() const = 0;
  int opset() const { return node().opset; }
  std::size_t input_count() const { return node().inputs.size(); }
  bool has_input(std::size_t i) const { return i < node().inputs.size() && node().inputs[i] != kNoValue; }
  bool has_output(std::size_t i) const { return i < node().outputs.size() && node().outputs[i] != kNoValue; }

  /// The type of operand i. Error(model) when it is omitted.
  virtual const Type& input(std::size_t i) const = 0;
  /// The operand's value where it is known (a constant, or folded), else nullptr.
  virtual const Tensor* constant(std::size_t i) const = 0;
  /// Declares an output's type; outputs that are not wanted are ignored.
  virtual void set_output(std::size_t i, Type type) = 0;
  /// Output types of the body in `attribute` for the given input types (captures are resolved by the context).
  virtual std::vector<Type> infer_body(std::string_view attribute, std::span<const Type> inputs) = 0;

  // Conveniences over the above.
  DType dtype(std::size_t i) const { return input(i).dtype; }
  /// The operand's shape, or nullptr when not even its rank is known.
  const Shape* shape(std::size_t i) const { return input(i).shape ? &*input(i).shape : nullptr; }
  void set_tensor(std::size_t i, DType type, std::optional<Shape> shape = std::nullopt) {
    set_output(i, Type::tensor(type, std::move(shape)));
  }
  /// Operand i as integers when its value is known (i32 or i64).
  std::optional<std::vector<std::int64_t>> integers(std::size_t i) const {
    const Tensor* value = has_input(i) ? constant(i) : nullptr;
    if (value == nullptr) return std::nullopt;
    return value->to_int64();
  }
};

/// Sets output types from input types. Throws Error(model) when operands contradict the operator's contract
/// (wrong element type, shapes that do not fit) and Error(unsupported) for a documented gap. Whatever cannot be
/// known is left unknown (nullopt shape, -1 dimension): then it is inferred again at run time.
using InferFunction = void (*)(InferContext&);

inline constexpr int kUnlimited = std::numeric_limits<int>::max();

/// One operator over a range of opset versions of its domain.
struct OpSchema {
  std::string_view domain{};  ///< "" for ai.onnx
  std::string_view name{};
  int since = 1;             ///< first opset version this entry is right for
  int min_inputs = 0;
  int max_inputs = kUnlimited;
  int min_outputs = 1;
  int max_outputs = 1;
  InferFunction infer = nullptr;
  /// False for operators with random results: never folded, never cached.
  bool deterministic = true;
  /// True when output shapes depend on values that are not inputs of inference (NonZero, Unique, NMS, Compress, Loop):
  /// the kernel allocates its outputs itself.
  bool data_dependent = false;
};

/// All operators that are known. Filled once by register_operators(); const and thread-safe after that.
class OpRegistry {
 public:
  void add(OpSchema schema);
  /// The entry with the largest `since` not above `opset`; nullptr when there is none.
  const OpSchema* find(std::string_view domain, std::string_view op, int opset) const;
  const OpSchema* find(const Node& node) const { return find(node.domain, node.op, node.opset); }
  /// Sorted by domain, name, since.
  std::vector<const OpSchema*> all() const;

  /// Every operator this project knows, built on first use.
  static const OpRegistry& standard();

 private:
  std::map<std::pair<std::string_view, std::string_view>, std::vector<OpSchema>> entries_;
};

// One registration function per operator family, defined in graph/ops/<family>.cpp.
void register_elementwise_ops(OpRegistry& registry);      // arithmetic, logic, comparison, unary math, activations, Cast, Where, Clip
void register_reduction_ops(OpRegistry& registry);        // Reduce*, ArgMin/Max, CumSum, softmax family, normalisations
void register_convolution_ops(OpRegistry& registry);      // Conv*, pooling, Resize, GridSample, image and signal operators
void register_matrix_ops(OpRegistry& registry);           // MatMul, Gemm, Einsum, Det, attention, integer and quantised operators
void register_movement_ops(OpRegistry& registry);         // Reshape, Transpose, Gather*, Scatter*, Slice, Pad, TopK, Unique …
void register_control_ops(OpRegistry& registry);          // If, Loop, Scan, sequences, optionals, random generators, recurrent networks
void register_internal_ops(OpRegistry& registry);         // what passes create: FusedConv, FusedMatMul …

}  // namespace sparse_run
