// SparseAggregate on the CPU against the reference kernel: random expressions, reductions, graphs and operands.
#include <gtest/gtest.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <random>

#include "cpu/device.hpp"
#include "cpu/reference/pass_check.hpp"
#include "graph/ops/aggregate_chain.hpp"
#include "graph/passes/sketch.hpp"

namespace sparse_run::cpu {
namespace {

using Op = RowExpression::Op;

/// The one node of a graph, compiled for the CPU and run by `threads` threads, against the reference kernel.
void check_on_device(const std::shared_ptr<const Graph>& graph, std::span<const Value> inputs, std::string_view kernel,
                     int threads, double tolerance) {
  const auto expected = reference::run_graph(*graph, inputs);
  Partition partition{graph, {0}, {}, {}};
  partition.inputs.assign(graph->inputs().begin(), graph->inputs().end());
  partition.outputs.assign(graph->outputs().begin(), graph->outputs().end());
  const auto device = make_cpu_device(Machine{});
  const auto executable = device->compile(partition, {threads});
  ASSERT_EQ(executable->layers()[0].kernel, kernel);
  tbb::task_arena arena(threads);
  for (int run = 0; run < 2; ++run) {  // the second one finds its edges grouped
    std::vector<Value> outputs(1);
    RunState state;
    arena.execute([&] { executable->run(inputs, outputs, state); });
    reference::expect_close(outputs[0].tensor, expected[0].tensor, tolerance);
  }
}

struct Sizes {
  std::int64_t nodes, edges, sources, heads, width;
};

/// A SparseAggregate with random operands, and its inputs.
class RandomAggregate {
 public:
  RandomAggregate(std::mt19937& random, const Sizes& sizes) : random_(random), sizes_(sizes) {
    aggregate_.heads = sizes.heads;
    aggregate_.width = sizes.width;
    aggregate_.shape = {sizes.nodes, sizes.heads, sizes.width};
    index(sizes.nodes);
    index(sizes.sources);
    build();
  }

  /// Compiled for the CPU and run by `threads` threads, against the reference kernel.
  void check(int threads, double tolerance = 1e-4) {
    check_on_device(graph_, inputs_, "cpu.aggregate.csr.f32", threads, tolerance);
  }

 private:
  std::int64_t pick(std::int64_t count) { return static_cast<std::int64_t>(random_()) % count; }

  std::int64_t operand(Tensor tensor, std::int64_t role, RowSpan span) {
    operands_.push_back(sketch_.input("", tensor.shape(), tensor.dtype()));
    inputs_.emplace_back(std::move(tensor));
    aggregate_.roles.push_back(role);
    aggregate_.spans.push_back(aggregate_.normalized(span));
    return static_cast<std::int64_t>(operands_.size()) - 1;
  }

  /// Half of the edges go to few rows, some numbers are negative, and lists are sorted now and then.
  void index(std::int64_t rows) {
    std::vector<std::int64_t> numbers;
    const std::int64_t few = pick(3) == 0 ? rows : std::min<std::int64_t>(rows, 2);
    for (std::int64_t e = 0; e < sizes_.edges; ++e) {
      const std::int64_t row = pick(e % 2 == 0 ? rows : few);
      numbers.push_back(pick(5) == 0 ? row - rows : row);
    }
    if (pick(4) == 0) {
      for (auto& number : numbers) number = (number + rows) % rows;
      std::ranges::sort(numbers);
    }
    operand(Tensor::of<std::int64_t>({sizes_.edges}, numbers), Aggregate::index, 0);
  }

  std::int64_t values(std::int64_t role, std::int64_t rows, RowSpan span) {
    const auto type = Type::tensor(DType::f32, Shape{rows, aggregate_.elements(span)});
    return operand(reference::random_tensor(type, random_), role, span);
  }

  void leaf(RowExpression& expression, bool tail) {
    const auto span = static_cast<RowSpan>(pick(4));
    const std::int64_t kind = pick(5);
    if (kind == 0) return expression.push_number(0.75f);
    std::int64_t at = 0;
    if (tail) {
      at = kind < 3 ? values(Aggregate::per_node, sizes_.nodes, span) : values(Aggregate::fixed, 1, span);
    } else if (kind == 1) {
      at = values(Aggregate::per_edge, sizes_.edges, span);
    } else if (kind == 2) {
      at = values(0, sizes_.nodes, span);
    } else if (kind == 3) {
      at = values(Aggregate::fixed, 1, span);
    } else {
      at = values(1, sizes_.sources, span);
    }
    expression.push(Op::operand, at);
  }

  void expression(RowExpression& expression, int depth, bool tail) {
    constexpr Op kBinary[] = {Op::add, Op::sub, Op::mul, Op::mul, Op::max, Op::min};
    constexpr Op kUnary[] = {Op::negate,  Op::absolute, Op::exponential, Op::relu, Op::hard_swish,
                             Op::sigmoid, Op::silu,     Op::gelu,        Op::tanh};
    if (depth == 0 || pick(4) == 0) return leaf(expression, tail);
    this->expression(expression, depth - 1, tail);
    if (pick(3) == 0) return expression.push(kUnary[pick(std::size(kUnary))]);
    this->expression(expression, depth - 1, tail);
    expression.push(kBinary[pick(std::size(kBinary))]);
  }

  void build() {
    constexpr Aggregate::Reduction kReductions[] = {Aggregate::Reduction::add, Aggregate::Reduction::add,
                                                    Aggregate::Reduction::max, Aggregate::Reduction::min};
    aggregate_.reduction = kReductions[pick(4)];
    aggregate_.initial = pick(2) == 0 ? 0.0f : 0.5f;
    const std::int64_t form = pick(4);
    if (form == 2) {  // rows as they are
      const bool gathered = pick(2) == 0;
      aggregate_.message.push(Op::operand, values(gathered ? 1 : std::int64_t{Aggregate::per_edge},
                                                  gathered ? sizes_.sources : sizes_.edges, kHeads | kWidth));
    } else if (form <= 1) {  // weighted rows, the weights before or behind them
      const std::int64_t role = pick(3) == 0 ? 0 : 1;
      const auto rows = values(role, role == 0 ? sizes_.nodes : sizes_.sources, kHeads | kWidth);
      const auto weight = values(Aggregate::per_edge, sizes_.edges, pick(2) == 0 ? kHeads : 0);
      aggregate_.message.push(Op::operand, form == 0 ? rows : weight);
      aggregate_.message.push(Op::operand, form == 0 ? weight : rows);
      aggregate_.message.push(Op::mul);
    } else {
      expression(aggregate_.message, 3, false);
    }
    if (pick(2) == 0) {
      aggregate_.tail.push(Op::operand, 0);
      leaf(aggregate_.tail, true);
      aggregate_.tail.push(Op::add);
      if (pick(2) == 0) {
        expression(aggregate_.tail, 1, true);
        aggregate_.tail.push(Op::mul);
        aggregate_.tail.push(Op::relu);
      }
    }
    Node node;
    aggregate_.store(node);
    node.name = "tested";
    node.inputs = operands_;
    node.outputs = {sketch_.builder().add_value("y", Type::tensor(DType::f32, aggregate_.shape))};
    sketch_.builder().add_node(node);
    graph_ = std::make_shared<const Graph>(reference::resolved(sketch_.build(node.outputs[0])));
  }

  std::mt19937& random_;
  Sizes sizes_;
  Aggregate aggregate_;
  GraphSketch sketch_;
  std::vector<ValueId> operands_;
  std::vector<Value> inputs_;
  std::shared_ptr<const Graph> graph_;
};

TEST(AggregateStep, agrees_with_the_reference_on_random_graphs_and_expressions) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  constexpr Sizes kSizes[] = {{1, 1, 1, 1, 1},   {5, 0, 3, 2, 3},      {7, 40, 9, 1, 5},   {30, 200, 11, 4, 3},
                              {3, 90, 50, 3, 1}, {100, 700, 60, 1, 1}, {9, 300, 9, 2, 40}, {200, 50, 20, 1, 17}};
  for (int trial = 0; trial < 240; ++trial) {
    RandomAggregate aggregate(random, kSizes[trial % std::size(kSizes)]);
    ASSERT_NO_FATAL_FAILURE(aggregate.check(trial % 3 == 0 ? 1 : 3)) << "trial " << trial;
  }
}

TEST(AggregateStep, rows_of_very_many_edges_are_cut_into_pieces) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int trial = 0; trial < 6; ++trial) {
    RandomAggregate aggregate(random, {3, 60000, 100, 2, 2});
    ASSERT_NO_FATAL_FAILURE(aggregate.check(3, 1e-2)) << "trial " << trial;  // sums of 20,000 numbers in another order
  }
}

/// Three stages: rows so far, other rows to which they are added, rows so far again.
TEST(AggregateChainStep, agrees_with_the_reference_on_blocks_and_the_rest) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (const std::int64_t nodes : {1, 63, 64, 65, 300, 1000}) {
    for (const bool transposed : {false, true}) {
      GraphSketch sketch;
      std::vector<ValueId> operands;
      std::vector<Value> inputs;
      const auto add = [&](const Type& type) {
        operands.push_back(sketch.input("", *type.shape, type.dtype));
        inputs.emplace_back(reference::random_tensor(type, random));
        return static_cast<std::int64_t>(operands.size()) - 1;
      };
      const auto matrix = [&](std::int64_t rows, std::int64_t columns) {
        return add(Type::tensor(DType::f32, Shape{rows, columns}));
      };
      AggregateChain chain;
      chain.aggregate.shape = {nodes, 7};
      chain.aggregate.width = 7;
      add(Type::tensor(DType::i64, Shape{5 * nodes}));  // random targets are below 4
      for (std::int64_t& target : inputs[0].tensor.data<std::int64_t>())
        target = static_cast<std::int64_t>(random()) % nodes;
      matrix(5 * nodes, 7);
      chain.aggregate.roles = {Aggregate::index, Aggregate::per_edge};
      chain.aggregate.spans = {0, chain.aggregate.full()};
      chain.aggregate.message.push(Op::operand, 1);
      RowStage stage;
      stage.transposed = transposed;
      stage.weights = transposed ? matrix(20, 7) : matrix(7, 20);
      stage.bias = matrix(1, 20);
      stage.activation = {FusedActivation::Kind::relu, 0, 0};
      chain.stages.push_back(stage);
      stage.rows = matrix(nodes, 9);
      stage.weights = transposed ? matrix(20, 9) : matrix(9, 20);
      stage.residual = RowStage::kPrevious;
      stage.activation = {FusedActivation::Kind::leaky_relu, 0.1f, 0};
      chain.stages.push_back(stage);
      stage.rows = RowStage::kPrevious;
      stage.weights = transposed ? matrix(3, 20) : matrix(20, 3);
      stage.bias = RowStage::kNone;
      stage.residual = matrix(nodes, 3);
      stage.activation = {};
      chain.stages.push_back(stage);
      Node node;
      chain.store(node);
      node.name = "tested";
      node.inputs = operands;
      node.outputs = {sketch.builder().add_value("y", Type::tensor(DType::f32, Shape{nodes, 3}))};
      sketch.builder().add_node(node);
      const auto graph = std::make_shared<const Graph>(reference::resolved(sketch.build(node.outputs[0])));
      ASSERT_NO_FATAL_FAILURE(check_on_device(graph, inputs, "cpu.aggregate.chain.f32", 2, 1e-4)) << nodes;
    }
  }
}

/// Rows of integer inputs take no step and no memory: whatever is chosen has to be what the reference chooses.
TEST(PartsOfLists, rows_taken_of_an_input_are_read_where_they_lie) {
  for (const DType dtype : {DType::i64, DType::i32}) {
    for (const std::int64_t row : {0, 2, -1}) {
      GraphSketch s(18);
      const ValueId list = s.input("list", {3, 7}, dtype);
      const ValueId index = s.constant(Tensor::scalar<std::int64_t>(row));
      const ValueId chosen = s.op("Gather", {list, index}, {{"axis", std::int64_t{0}}});
      const ValueId part = s.op("Slice", {list, s.integers({1}), s.integers({3}), s.integers({0})});
      const ValueId inner = s.op("Gather", {part, s.integers({1})}, {{"axis", std::int64_t{0}}});
      s.output(s.op("Add", {chosen, chosen}));
      s.output(s.op("Add", {s.op("Squeeze", {inner, s.integers({0})}), chosen}));
      s.output(s.op("Add", {part, part}));
      const Graph sketch = s.build();
      const auto inputs = reference::random_inputs(sketch, 8);
      std::vector<Type> types;
      for (const Value& input : inputs) types.push_back(Type::of(input));
      reference::ReferenceEvaluator evaluator;
      const auto graph = std::make_shared<const Graph>(specialize(sketch, types, evaluator));
      Partition partition{graph, {}, {}, {}};
      for (NodeId id = 0; id < graph->nodes().size(); ++id) partition.nodes.push_back(id);
      partition.inputs.assign(graph->inputs().begin(), graph->inputs().end());
      partition.outputs.assign(graph->outputs().begin(), graph->outputs().end());
      const auto executable = make_cpu_device(Machine{})->compile(partition, {1});
      for (const LayerReport& layer : executable->layers()) EXPECT_NE(layer.op, "Gather") << layer.kernel;
      std::vector<Value> outputs(graph->outputs().size());
      RunState state;
      executable->run(inputs, outputs, state);
      const auto expected = reference::run_graph(*graph, inputs);
      for (std::size_t i = 0; i < outputs.size(); ++i)
        reference::expect_close(outputs[i].tensor, expected[i].tensor, 0);
    }
  }
}

}  // namespace
}  // namespace sparse_run::cpu
