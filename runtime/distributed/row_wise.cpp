// The table of operators that mix nothing between rows.
#include "runtime/distributed/row_wise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "base/error.hpp"

namespace sparse_run {

namespace {

const std::set<std::string_view> kElementwise = {
    "Abs",         "Acos",        "Acosh",      "Add",   "And",      "Asin",
    "Asinh",       "Atan",        "Atanh",      "Cast",  "Ceil",     "Celu",
    "Clip",        "Cos",         "Cosh",       "Div",   "Elu",      "Equal",
    "Erf",         "Exp",         "Floor",      "Gelu",  "Greater",  "GreaterOrEqual",
    "HardSigmoid", "HardSwish",   "Identity",   "IsInf", "IsNaN",    "LeakyRelu",
    "Less",        "LessOrEqual", "Log",        "Max",   "Mean",     "Min",
    "Mish",        "Mod",         "Mul",        "Neg",   "Not",      "Or",
    "PRelu",       "Pow",         "Reciprocal", "Relu",  "Round",    "Selu",
    "Sigmoid",     "Sign",        "Sin",        "Sinh",  "Softplus", "Softsign",
    "Sqrt",        "Sub",         "Sum",        "Tan",   "Tanh",     "ThresholdedRelu",
    "Where",       "Xor"};

class Reading {
 public:
  Reading(const Graph& graph, const Node& node, std::int64_t rows) : graph_(graph), node_(node), rows_(rows) {
    reads_.by_row.assign(node.inputs.size(), false);
  }

  RowReads read() {
    for (const ValueId id : node_.inputs) {
      if (id != kNoValue && !graph_.value(id).type.is_concrete()) return refuse("has operands of unknown shape");
    }
    for (const ValueId id : node_.outputs) {
      if (id == kNoValue) continue;
      const Type& type = graph_.value(id).type;
      if (!type.is_concrete()) return refuse("has a result of unknown shape");
      if (type.shape->empty() || type.shape->front() != rows_) return refuse("has no result with one row per node");
    }
    if (!node_.captures.empty()) return refuse("has a body");
    if (node_.domain != "" && !node_.is("FusedMatMul", kInternalDomain)) return refuse("is not known to work by rows");
    by_operator();
    return std::move(reads_);
  }

 private:
  RowReads refuse(std::string obstacle) {
    reads_.possible = false;
    reads_.obstacle = std::move(obstacle);
    return std::move(reads_);
  }
  void mixes() { reads_.obstacle = "mixes what belongs to different nodes"; }

  bool has(std::size_t operand) const { return operand < node_.inputs.size() && node_.inputs[operand] != kNoValue; }
  const Shape& shape(std::size_t operand) const { return *graph_.value(node_.inputs[operand]).type.shape; }
  const Shape& result() const { return *graph_.value(node_.outputs[0]).type.shape; }
  bool begins_with_rows(std::size_t operand) const {
    return has(operand) && !shape(operand).empty() && shape(operand)[0] == rows_;
  }

  /// Integers of a constant operand.
  std::optional<std::vector<std::int64_t>> constant(std::size_t operand) const {
    if (!has(operand)) return std::nullopt;
    const Tensor* tensor = graph_.value(node_.inputs[operand]).tensor();
    if (tensor == nullptr || (tensor->dtype() != DType::i64 && tensor->dtype() != DType::i32)) return std::nullopt;
    return tensor->to_int64();
  }

  /// Operand `operand` broadcasts to the result.
  void broadcasts(std::size_t operand) {
    if (!has(operand)) return;
    reads_.by_row[operand] = shape(operand).size() == result().size() && shape(operand)[0] == rows_;
  }

  /// Operand 0 alone is read by row, when it has the rows of the result.
  void first_by_row(bool allowed) {
    if (!allowed || !begins_with_rows(0)) return mixes();
    reads_.by_row[0] = true;
    reads_.possible = true;
  }

  bool first_axis(std::int64_t axis) const {
    const auto rank = static_cast<std::int64_t>(shape(0).size());
    return axis == 0 || axis == -rank;
  }

  void by_operator() {
    if (kElementwise.contains(node_.op)) {
      for (std::size_t i = 0; i < node_.inputs.size(); ++i) broadcasts(i);
      reads_.possible = true;
    } else if (node_.is("MatMul") || node_.is("FusedMatMul", kInternalDomain)) {
      product();
    } else if (node_.is("Gemm")) {
      broadcasts(2);
      first_by_row(node_.int_or("transA", 0) == 0);
    } else if (node_.is("Softmax") || node_.is("LogSoftmax") || node_.is("Hardmax")) {
      first_by_row(!first_axis(node_.int_or("axis", node_.opset >= 13 ? -1 : 1)));
    } else if (node_.is("LayerNormalization") || node_.is("RMSNormalization")) {
      first_by_row(!first_axis(node_.int_or("axis", -1)));
    } else if (node_.is("BatchNormalization")) {
      first_by_row(node_.int_or("training_mode", 0) == 0 && shape(0).size() > 1);
    } else if (node_.op.starts_with("Reduce")) {
      const auto axes = node_.has("axes") ? std::optional(node_.ints_or("axes")) : constant(1);
      first_by_row(axes && !axes->empty() &&
                   std::none_of(axes->begin(), axes->end(), [&](std::int64_t axis) { return first_axis(axis); }));
    } else if (node_.is("ArgMax") || node_.is("ArgMin")) {
      first_by_row(!first_axis(node_.int_or("axis", 0)));
    } else if (node_.is("Reshape") || node_.is("Flatten") || node_.is("Squeeze") || node_.is("Unsqueeze")) {
      first_by_row(!node_.is("Reshape") || constant(1));
    } else if (node_.is("Transpose")) {
      const auto order = node_.ints_or("perm");
      first_by_row(!order.empty() && order[0] == 0);
    } else if (node_.is("Concat")) {
      first_by_row(!first_axis(node_.int_or("axis", 0)));
      if (reads_.possible) reads_.by_row.assign(node_.inputs.size(), true);
    } else if (node_.is("Split")) {
      first_by_row(!first_axis(node_.int_or("axis", 0)));
    } else if (node_.is("Slice")) {
      const auto axes = node_.opset < 10 ? std::optional(node_.ints_or("axes")) : constant(3);
      first_by_row(axes && !axes->empty() &&
                   std::none_of(axes->begin(), axes->end(), [&](std::int64_t axis) { return first_axis(axis); }));
    } else if (node_.is("Expand")) {
      broadcasts(0);
      reads_.possible = constant(1).has_value();
      if (!reads_.possible) mixes();
    } else if (node_.is("ConstantOfShape")) {
      reads_.possible = constant(0).has_value();
      if (!reads_.possible) mixes();
    } else if (node_.is("Tile")) {
      const auto repeats = node_.opset < 6 ? std::nullopt : constant(1);
      first_by_row(repeats && !repeats->empty() && repeats->front() == 1);
    } else if (node_.is("Gather")) {
      gather();
    } else {
      mixes();
    }
  }

  /// By rows where dimension 0 counts rows of a matrix, or products.
  void product() {
    const std::size_t rank = result().size();
    const auto batched = [&](std::size_t operand) { return shape(operand).size() == rank && rank > 2; };
    const bool a_rows = begins_with_rows(0) && (batched(0) || (rank == 2 && shape(0).size() == 2));
    const bool b_rows = begins_with_rows(1) && batched(1);
    if (rank < 2 || (!a_rows && !b_rows) || (rank == 2 && node_.int_or("transA", 0) != 0)) return mixes();
    reads_.by_row[0] = a_rows;
    reads_.by_row[1] = b_rows;
    broadcasts(2);
    broadcasts(3);
    reads_.possible = true;
  }

  /// Columns of rows, or rows of a table that nodes name.
  void gather() {
    if (!first_axis(node_.int_or("axis", 0))) return first_by_row(true);
    if (!begins_with_rows(1)) return mixes();
    reads_.by_row[1] = true;
    reads_.possible = true;
  }

  const Graph& graph_;
  const Node& node_;
  std::int64_t rows_;
  RowReads reads_;
};

}  // namespace

RowReads reads_by_row(const Graph& graph, const Node& node, std::int64_t rows) {
  return Reading(graph, node, rows).read();
}

std::optional<std::size_t> shape_operand(const Node& node) {
  if (node.is("Reshape") || node.is("Expand")) return 1;
  if (node.is("ConstantOfShape")) return 0;
  return std::nullopt;
}

}  // namespace sparse_run
