// SparseAggregate: sums of weighted rows through cuSPARSE where the edges are constant, everything else row by row.
#include "graph/ops/aggregate.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "gpu/cuda/kernels/aggregate.hpp"
#include "gpu/cuda/steps/kernel_table.hpp"

namespace sparse_run::gpu::cuda {

namespace {

using Op = RowExpression::Op;
constexpr std::string_view kRows = "gpu.aggregate.rows.f32";
constexpr std::string_view kProduct = "gpu.aggregate.cusparse.f32";

void expect(const Gpu& gpu, int code, const char* what) {
  if (code != 0) gpu.fail("cuSPARSE", gpu.libraries().sparse.table->status_name(code), what);
}

AggregateCode coded(const RowExpression& expression, const RowExpression::Step& step) {
  using Kind = AggregateCode::Kind;
  const auto number = [&](std::int64_t offset) {
    return expression.numbers[static_cast<std::size_t>(step.argument + offset)];
  };
  const auto binary = [](Binary function) { return AggregateCode{Kind::binary, static_cast<int>(function), 0, 0}; };
  const auto unary = [](Unary function, float a = 0, float b = 0) {
    return AggregateCode{Kind::unary, static_cast<int>(function), a, b};
  };
  switch (step.op) {
    case Op::operand:
      return {Kind::operand, static_cast<int>(step.argument), 0, 0};
    case Op::number:
      return {Kind::number, 0, number(0), 0};
    case Op::add:
      return binary(Binary::add);
    case Op::sub:
      return binary(Binary::subtract);
    case Op::mul:
      return binary(Binary::multiply);
    case Op::div:
      return binary(Binary::divide);
    case Op::max:
      return binary(Binary::maximum);
    case Op::min:
      return binary(Binary::minimum);
    case Op::negate:
      return unary(Unary::negate);
    case Op::absolute:
      return unary(Unary::absolute);
    case Op::exponential:
      return unary(Unary::exponential);
    case Op::root:
      return unary(Unary::square_root);
    case Op::reciprocal:
      return unary(Unary::reciprocal);
    case Op::relu:
      return unary(Unary::relu);
    case Op::leaky_relu:
      return unary(Unary::leaky_relu, number(0));
    case Op::clip:
      return unary(Unary::clip, number(0), number(1));
    case Op::hard_swish:
      return unary(Unary::hard_swish);
    case Op::sigmoid:
      return unary(Unary::sigmoid);
    case Op::silu:
      return unary(Unary::silu);
    case Op::gelu:
      return unary(Unary::gelu);
    case Op::tanh:
      return unary(Unary::tanh);
  }
  throw_error(ErrorKind::internal, "a row expression has an unknown function");
}

std::vector<AggregateCode> coded(const RowExpression& expression) {
  std::vector<AggregateCode> code;
  for (const RowExpression::Step& step : expression.steps) code.push_back(coded(expression, step));
  return code;
}

/// A row number counted from either end. Error(model) when it is out of range.
std::int64_t row_number(std::int64_t number, std::int64_t rows) {
  const std::int64_t row = number < 0 ? number + rows : number;
  if (row < 0 || row >= rows) {
    throw_error(ErrorKind::model, "index {} is out of range: there are {} rows", number, rows);
  }
  return row;
}

/// Edges by the row they go to, ascending within each.
struct EdgeOrder {
  std::vector<int> begins;
  std::vector<int> order;
};

/// Error(model) for a target out of range.
EdgeOrder order_of(const Tensor& targets, std::int64_t nodes) {
  std::vector<std::int64_t> rows = targets.to_int64();
  EdgeOrder edges{std::vector<int>(static_cast<std::size_t>(nodes) + 1, 0), std::vector<int>(rows.size())};
  for (std::int64_t& row : rows) {
    row = row_number(row, nodes);
    ++edges.begins[static_cast<std::size_t>(row) + 1];
  }
  for (std::size_t row = 0; row < static_cast<std::size_t>(nodes); ++row) edges.begins[row + 1] += edges.begins[row];
  std::vector<int> next = edges.begins;
  for (std::size_t e = 0; e < rows.size(); ++e) {
    edges.order[static_cast<std::size_t>(next[static_cast<std::size_t>(rows[e])]++)] = static_cast<int>(e);
  }
  return edges;
}

/// A sum of gathered rows, each times one number that the edge has, or that all have.
struct WeightedSum {
  std::size_t rows = 0;                ///< operand that is gathered
  std::optional<std::size_t> weights;  ///< operand with one number per edge or one in all; none: 1
};

std::optional<WeightedSum> weighted_sum(const Aggregate& aggregate) {
  if (aggregate.reduction != Aggregate::Reduction::add || aggregate.initial != 0) return std::nullopt;
  const auto& steps = aggregate.message.steps;
  const auto is_row = [&](std::size_t i) {
    return aggregate.roles[i] >= 0 && aggregate.normalized(aggregate.spans[i]) == aggregate.full();
  };
  const auto is_weight = [&](std::size_t i) {
    const bool kind = aggregate.roles[i] == Aggregate::per_edge || aggregate.roles[i] == Aggregate::fixed;
    return kind && aggregate.elements(aggregate.spans[i]) == 1;
  };
  if (steps.empty() || steps[0].op != Op::operand) return std::nullopt;
  const auto first = static_cast<std::size_t>(steps[0].argument);
  if (steps.size() == 1) return is_row(first) ? std::optional(WeightedSum{first, std::nullopt}) : std::nullopt;
  if (steps.size() != 3 || steps[1].op != Op::operand || steps[2].op != Op::mul) return std::nullopt;
  const auto second = static_cast<std::size_t>(steps[1].argument);
  if (is_row(first) && is_weight(second)) return WeightedSum{first, second};
  if (is_row(second) && is_weight(first)) return WeightedSum{second, first};
  return std::nullopt;
}

/// What both ways share: operands, expressions, and the edges' order where it is constant.
class AggregateStep : public Step {
 public:
  AggregateStep(const NodeView& view, const std::shared_ptr<Gpu>& gpu) : aggregate_(Aggregate::of(view.node())) {
    edges_ = element_count(view.in_shape(0));
    for (std::size_t i = 0; i < aggregate_.roles.size(); ++i) names_.push_back(view.in(i).name);
    if (const Tensor* targets = view.constant(0)) {
      EdgeOrder edges = order_of(*targets, aggregate_.nodes());
      begins_ = DeviceArray(gpu, edges.begins);
      if (edges.order.empty()) edges.order.push_back(0);
      order_ = DeviceArray(gpu, edges.order);
    }
    message_ = DeviceArray(gpu, coded(aggregate_.message));
    const std::vector<AggregateCode> tail = coded(aggregate_.tail);
    if (!tail.empty()) tail_ = DeviceArray(gpu, tail);
    AggregateRows& rows = rows_;
    rows.message = message_.as<AggregateCode>();
    rows.message_steps = static_cast<int>(aggregate_.message.steps.size());
    rows.tail = tail_.as<AggregateCode>();
    rows.tail_steps = static_cast<int>(tail.size());
    rows.nodes = aggregate_.nodes();
    rows.row = aggregate_.row_elements();
    rows.width = std::max<Index>(1, aggregate_.width);
    rows.reduction = static_cast<int>(aggregate_.reduction);
    rows.initial = aggregate_.initial;
    for (std::size_t i = 1; i < aggregate_.roles.size(); ++i) describe(view, i);
  }
  std::size_t weight_bytes() const override {
    return begins_.bytes() + order_.bytes() + message_.bytes() + tail_.bytes();
  }
  bool reads(std::size_t operand) const override { return operand != 0 || !has_order(); }
  double flops() const override {
    return 2.0 * static_cast<double>(edges_) * static_cast<double>(aggregate_.row_elements());
  }
  std::string fault_text(unsigned long long code) const override {
    const std::size_t operand = (code - 1) % kMostAggregateOperands;
    const auto index =
        operand == 0 ? std::size_t{0} : static_cast<std::size_t>(std::max<std::int64_t>(0, role(operand)));
    return fmt::format("index {} of '{}' is out of range", (code - 1) / kMostAggregateOperands,
                       index < names_.size() ? names_[index] : "its edges");
  }

 protected:
  bool has_order() const { return order_.data() != nullptr; }
  Index results() const { return rows_.nodes * rows_.row; }
  std::int64_t role(std::size_t operand) const {
    return operand < aggregate_.roles.size() ? aggregate_.roles[operand] : Aggregate::index;
  }
  /// The kernel's parameters with the addresses of this execution, but for the order of edges.
  AggregateRows rows_for(const StepLaunch& launch) const {
    AggregateRows rows = rows_;
    for (std::size_t i = 1; i < aggregate_.roles.size(); ++i) {
      if (role(i) == Aggregate::index) continue;
      rows.operands[i].data = launch.in<float>(i);
      if (role(i) >= 0) rows.operands[i].index = launch.in<void>(static_cast<std::size_t>(role(i)));
    }
    rows.y = launch.out<float>();
    rows.fault = static_cast<unsigned long long*>(pointer_to(launch.fault));
    return rows;
  }

  Aggregate aggregate_;
  Index edges_ = 0;
  AggregateRows rows_{};
  DeviceArray begins_;
  DeviceArray order_;

 private:
  void describe(const NodeView& view, std::size_t i) {
    using Rows = AggregateOperand::Rows;
    AggregateOperand& operand = rows_.operands[i];
    const std::int64_t kind = role(i);
    if (kind == Aggregate::index) return;
    const RowSpan span = aggregate_.spans[i];
    operand.row_elements = aggregate_.elements(span);
    operand.head_step = (span & kHeads) == 0 ? 0 : (span & kWidth) != 0 ? aggregate_.width : 1;
    operand.width_step = (span & kWidth) != 0 ? 1 : 0;
    operand.rows = kind == Aggregate::per_edge   ? Rows::per_edge
                   : kind == Aggregate::per_node ? Rows::per_node
                   : kind == Aggregate::fixed    ? Rows::fixed
                                                 : Rows::gathered;
    if (kind < 0) return;
    operand.wide = view.in_type(static_cast<std::size_t>(kind)) == DType::i64;
    operand.extent = view.in_shape(i)[0];
  }

  std::vector<std::string> names_;
  DeviceArray message_;
  DeviceArray tail_;
};

/// One thread per element. Edges that are known only at run time are put in order by cuSPARSE, stably: sums do not
/// depend on chance.
class RowAggregateStep final : public AggregateStep {
 public:
  RowAggregateStep(const NodeView& view, const std::shared_ptr<Gpu>& gpu) : AggregateStep(view, gpu) {
    wide_ = view.in_type(0) == DType::i64;
    if (has_order() || edges_ == 0) return;
    const auto edges = static_cast<int>(edges_);
    const DeviceArray probe(gpu, static_cast<std::size_t>(edges_) * sizeof(int));
    const auto* any = probe.as<int>();
    expect(*gpu,
           gpu->libraries().sparse.table->sort_bytes(gpu->sparse(), static_cast<int>(aggregate_.nodes()), edges, edges,
                                                     any, any, &sort_bytes_),
           "asking for the workspace of sorting edges");
  }
  std::string_view kernel() const override { return kRows; }
  std::size_t scratch_bytes() const override {
    return has_order() ? 0 : 3 * list_bytes() + begins_bytes() + Pool::rounded(sort_bytes_);
  }
  void enqueue(const StepLaunch& launch) const override {
    if (results() == 0) return;
    AggregateRows rows = rows_for(launch);
    rows.begins = begins_.as<int>();
    rows.order = order_.as<int>();
    if (!has_order()) put_in_order(launch, rows);
    launch.gpu.launch("aggregate_rows", shape_for_items(results()), launch.stream, rows);
  }

 private:
  std::size_t list_bytes() const { return Pool::rounded(static_cast<std::size_t>(edges_) * sizeof(int)); }
  std::size_t begins_bytes() const {
    return Pool::rounded((static_cast<std::size_t>(aggregate_.nodes()) + 1) * sizeof(int));
  }
  void put_in_order(const StepLaunch& launch, AggregateRows& rows) const {
    const auto at = [&](std::size_t offset) { return static_cast<int*>(pointer_to(launch.scratch + offset)); };
    EdgeTargets targets{launch.in<void>(0),   wide_,     edges_, rows.nodes, at(0), at(list_bytes()),
                        at(2 * list_bytes()), rows.fault};
    int* begins = at(3 * list_bytes());
    rows.begins = begins;
    rows.order = targets.order;
    const auto nodes = static_cast<int>(rows.nodes);
    const auto edges = static_cast<int>(edges_);
    if (edges == 0) {
      launch.gpu.check(launch.gpu.driver().fill(address_of(begins), 0, begins_bytes(), launch.stream),
                       "clearing the order of edges");
      return;
    }
    launch.gpu.launch("edge_targets", shape_for_items(edges_), launch.stream, targets);
    const Sparse& table = *launch.gpu.libraries().sparse.table;
    SparseHandle handle = launch.gpu.sparse();
    expect(launch.gpu, table.set_stream(handle, launch.stream), "choosing a stream");
    expect(launch.gpu,
           table.sort_by_row(handle, nodes, edges, edges, targets.rows, targets.ids, targets.order,
                             pointer_to(launch.scratch + 3 * list_bytes() + begins_bytes())),
           "sorting edges");
    expect(launch.gpu, table.row_begins(handle, targets.rows, edges, nodes, begins, sparse::kBaseZero),
           "finding the edges of each row");
  }

  bool wide_ = false;
  std::size_t sort_bytes_ = 0;
};

/// The adjacency as a sparse matrix, described to cuSPARSE once, times the rows that are gathered.
class ProductAggregateStep final : public AggregateStep {
 public:
  ProductAggregateStep(const NodeView& view, const std::shared_ptr<Gpu>& gpu)
      : AggregateStep(view, gpu), gpu_(gpu), sum_(*weighted_sum(aggregate_)) {
    const EdgeOrder edges = order_of(*view.constant(0), aggregate_.nodes());
    const auto index = static_cast<std::size_t>(role(sum_.rows));
    const Index sources = view.in_shape(sum_.rows)[0];
    const std::vector<std::int64_t> rows = view.constant(index)->to_int64();
    std::vector<int> columns;
    for (const int edge : edges.order) {
      columns.push_back(static_cast<int>(row_number(rows[static_cast<std::size_t>(edge)], sources)));
    }
    columns_ = DeviceArray(gpu, columns);
    values_ = DeviceArray(gpu, std::vector<float>(columns.size(), 1.0f));
    const Sparse& table = *gpu_->libraries().sparse.table;
    const Index row = aggregate_.row_elements();
    expect(*gpu_,
           table.csr_create(&adjacency_, aggregate_.nodes(), sources, edges_, begins_.data(), columns_.data(),
                            values_.data(), sparse::kIndex32, sparse::kIndex32, sparse::kBaseZero, kTypeF32),
           "describing edges");
    // Addresses are those of the execution; any will do to ask for the workspace.
    expect(*gpu_, table.dense_create(&operand_, sources, row, row, values_.data(), kTypeF32, sparse::kRowMajor),
           "describing rows");
    expect(*gpu_,
           table.dense_create(&result_, aggregate_.nodes(), row, row, values_.data(), kTypeF32, sparse::kRowMajor),
           "describing rows");
    expect(*gpu_,
           table.multiply_bytes(gpu_->sparse(), sparse::kNotTransposed, sparse::kNotTransposed, &kOne, adjacency_,
                                operand_, &kZero, result_, kTypeF32, sparse::kDefaultAlgorithm, &workspace_bytes_),
           "asking for the workspace of a sum over edges");
  }
  ~ProductAggregateStep() override {
    const Sparse& table = *gpu_->libraries().sparse.table;
    if (result_ != nullptr) table.dense_destroy(result_);
    if (operand_ != nullptr) table.dense_destroy(operand_);
    if (adjacency_ != nullptr) table.csr_destroy(adjacency_);
  }
  std::string_view kernel() const override { return kProduct; }
  bool reads(std::size_t operand) const override { return role(operand) != Aggregate::index; }
  std::size_t weight_bytes() const override {
    return AggregateStep::weight_bytes() + columns_.bytes() + values_.bytes();
  }
  std::size_t scratch_bytes() const override { return workspace_bytes_; }
  void enqueue(const StepLaunch& launch) const override {
    if (sum_.weights) {
      const bool fixed = role(*sum_.weights) == Aggregate::fixed;
      launch.gpu.launch("edge_weights", shape_for_items(edges_), launch.stream,
                        EdgeWeights{launch.in<float>(*sum_.weights), fixed ? 0 : 1, order_.as<int>(),
                                    static_cast<float*>(values_.data()), edges_});
    }
    const Sparse& table = *gpu_->libraries().sparse.table;
    SparseHandle handle = launch.gpu.sparse();
    expect(*gpu_, table.set_stream(handle, launch.stream), "choosing a stream");
    expect(*gpu_, table.dense_values(operand_, const_cast<void*>(launch.in<void>(sum_.rows))), "a sum over edges");
    expect(*gpu_, table.dense_values(result_, launch.out<void>()), "a sum over edges");
    expect(*gpu_,
           table.multiply(handle, sparse::kNotTransposed, sparse::kNotTransposed, &kOne, adjacency_, operand_, &kZero,
                          result_, kTypeF32, sparse::kDefaultAlgorithm, pointer_to(launch.scratch)),
           "a sum over edges");
    if (rows_.tail_steps > 0) {
      launch.gpu.launch("aggregate_rows", shape_for_items(results()), launch.stream, rows_for(launch));
    }
  }

 private:
  static constexpr float kOne = 1;
  static constexpr float kZero = 0;

  std::shared_ptr<Gpu> gpu_;
  WeightedSum sum_;
  DeviceArray columns_;
  DeviceArray values_;  ///< written anew by every execution where edges have weights
  SparseMatrix adjacency_ = nullptr;
  SparseDense operand_ = nullptr;  ///< addresses of both are set anew for every execution
  SparseDense result_ = nullptr;
  std::size_t workspace_bytes_ = 0;
};

std::string refuse_sizes(const NodeView& view, const Aggregate& aggregate) {
  if (view.inputs() > static_cast<std::size_t>(kMostAggregateOperands)) return "it has too many operands";
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (element_count(view.in_shape(0)) >= kMost || aggregate.nodes() >= kMost) return "its graph is too large";
  return {};
}

std::string refuse_rows(const NodeView& view, const Gpu& gpu) {
  const Aggregate aggregate = Aggregate::of(view.node());
  if (std::string reason = refuse_sizes(view, aggregate); !reason.empty()) return reason;
  if (view.constant(0) != nullptr || gpu.libraries().sparse.table) return {};
  return "its edges are known at run time only, and sorting them needs cuSPARSE: " + gpu.libraries().sparse.absence;
}

std::string refuse_product(const NodeView& view, const Gpu& gpu) {
  if (!gpu.libraries().sparse.table) return gpu.libraries().sparse.absence;
  const Aggregate aggregate = Aggregate::of(view.node());
  if (std::string reason = refuse_sizes(view, aggregate); !reason.empty()) return reason;
  const auto sum = weighted_sum(aggregate);
  if (!sum) return "it is no sum of rows with one weight each";
  if (view.constant(0) == nullptr || view.constant(static_cast<std::size_t>(aggregate.roles[sum->rows])) == nullptr) {
    return "its edges are known at run time only";
  }
  return element_count(view.in_shape(0)) == 0 || element_count(view.out_shape()) == 0 ? "it has no edges" : "";
}

template <class Built>
std::unique_ptr<Step> build(const NodeView& view, const std::shared_ptr<Gpu>& gpu) {
  return std::make_unique<Built>(view, gpu);
}

}  // namespace

void register_aggregate(KernelTable& table) {
  table.add("SparseAggregate", {kProduct, refuse_product, build<ProductAggregateStep>}, kInternalDomain);
  table.add("SparseAggregate", {kRows, refuse_rows, build<RowAggregateStep>}, kInternalDomain);
}

}  // namespace sparse_run::gpu::cuda
