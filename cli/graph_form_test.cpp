// Ranks that share the nodes of a graph give the results of one, send no row twice, and refuse what they cannot share.
#include "runtime/distributed/graph_form.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "cli/thread_ranks_test.hpp"
#include "cpu/reference/evaluator.hpp"
#include "graph/passes/pipeline.hpp"
#include "runtime/distributed/graph_layout.hpp"

namespace sparse_run::cli {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kFeatures = 5;

/// Writes graph networks of two layers over x [nodes, 5], sources [edges], targets [edges] and weights [edges].
class Network {
 public:
  Network(std::int64_t nodes, std::int64_t edges) : builder_("network"), nodes_(nodes), edges_(edges) {
    x = builder_.add_input("x", Type::tensor(DType::f32, Shape{nodes, kFeatures}));
    sources = builder_.add_input("sources", Type::tensor(DType::i64, Shape{edges}));
    targets = builder_.add_input("targets", Type::tensor(DType::i64, Shape{edges}));
    weights = builder_.add_input("weights", Type::tensor(DType::f32, Shape{edges}));
  }

  ValueId add(const std::string& op, std::vector<ValueId> inputs, DType dtype, Shape shape,
              std::map<std::string, Attribute, std::less<>> attributes = {}) {
    Node node;
    node.op = op;
    node.name = op + std::to_string(builder_.node_count());
    node.opset = 18;
    node.inputs = std::move(inputs);
    node.attributes = std::move(attributes);
    const ValueId result = builder_.add_value("", Type::tensor(dtype, std::move(shape)));
    node.outputs = {result};
    builder_.add_node(std::move(node));
    return result;
  }
  ValueId rows(const std::string& op, std::vector<ValueId> inputs,
               std::map<std::string, Attribute, std::less<>> attributes = {}) {
    return add(op, std::move(inputs), DType::f32, Shape{nodes_, kFeatures}, std::move(attributes));
  }
  ValueId numbers(std::vector<std::int64_t> values) {
    const auto count = static_cast<std::int64_t>(values.size());
    return builder_.add_constant("", Tensor::of<std::int64_t>({count}, std::span<const std::int64_t>(values)));
  }
  ValueId random_weights(std::int64_t rows, std::int64_t columns) {
    Tensor tensor = Tensor::allocate(DType::f32, {rows, columns});
    std::normal_distribution<float> value(0, 0.4f);
    for (float& element : tensor.data<float>()) element = value(random_);
    return builder_.add_constant("", std::move(tensor));
  }

  /// Σ over edges of weight · (row of the source, times the row of the target when `both`).
  ValueId sum(ValueId of, bool both = false) {
    const Shape messages{edges_, kFeatures};
    ValueId message = add("Gather", {of, sources}, DType::f32, messages, {{"axis", std::int64_t{0}}});
    if (both) {
      const ValueId other = add("Gather", {of, targets}, DType::f32, messages, {{"axis", std::int64_t{0}}});
      message = add("Mul", {message, add("Tanh", {other}, DType::f32, messages)}, DType::f32, messages);
    }
    const ValueId column = add("Unsqueeze", {weights, numbers({1})}, DType::f32, Shape{edges_, 1});
    message = add("Mul", {message, column}, DType::f32, messages);
    const ValueId places = add("Unsqueeze", {targets, numbers({1})}, DType::i64, Shape{edges_, 1});
    const ValueId zeros = builder_.add_constant("", zeros_of(Shape{nodes_, kFeatures}));
    return rows("ScatterND", {zeros, places, message}, {{"reduction", std::string("add")}});
  }
  ValueId dense(ValueId of) { return rows("MatMul", {of, random_weights(kFeatures, kFeatures)}); }

  void output(ValueId id) { builder_.add_output(id); }
  std::shared_ptr<const Graph> build() { return std::make_shared<const Graph>(std::move(builder_).build()); }

  ValueId x, sources, targets, weights;

 private:
  static Tensor zeros_of(Shape shape) {
    Tensor tensor = Tensor::allocate(DType::f32, std::move(shape));
    std::ranges::fill(tensor.data<float>(), 0.0f);
    return tensor;
  }

  GraphBuilder builder_;
  std::int64_t nodes_, edges_;
  std::mt19937 random_{3};
};

/// Two layers with a residual, messages of both ends in the second, and the mean of all rows beside the rows.
std::shared_ptr<const Graph> two_layers(std::int64_t nodes, std::int64_t edges) {
  Network network(nodes, edges);
  const ValueId first =
      network.rows("Relu", {network.rows("Add", {network.dense(network.sum(network.x)), network.dense(network.x)})});
  const ValueId second = network.rows("Add", {network.dense(network.sum(first, true)), first});
  network.output(second);
  network.output(network.add("ReduceMean", {second, network.numbers({0})}, DType::f32, Shape{1, kFeatures}));
  return network.build();
}

struct Edges {
  std::int64_t nodes;
  std::vector<std::int64_t> sources, targets;
};

std::vector<Value> inputs_of(const Edges& edges, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> value;
  const auto count = static_cast<std::int64_t>(edges.sources.size());
  Tensor x = Tensor::allocate(DType::f32, {edges.nodes, kFeatures}), weights = Tensor::allocate(DType::f32, {count});
  for (float& element : x.data<float>()) element = value(random);
  for (float& element : weights.data<float>()) element = value(random);
  return {Value(x), Value(Tensor::of<std::int64_t>({count}, std::span<const std::int64_t>(edges.sources))),
          Value(Tensor::of<std::int64_t>({count}, std::span<const std::int64_t>(edges.targets))), Value(weights)};
}

std::shared_ptr<const Graph> resolved(const std::shared_ptr<const Graph>& model) {
  const auto session = one_thread_session(model);
  std::vector<Type> types;
  for (const Port& port : session->inputs()) types.push_back(port.type);
  reference::ReferenceEvaluator evaluator;
  PassOptions passes;
  passes.disabled.insert("fuse-aggregate");
  return std::make_shared<const Graph>(specialize(*session->graph(), types, evaluator, passes));
}

struct Outcome : StreamOutcome {
  std::vector<std::string> notices;
};

Outcome run(int size, const std::shared_ptr<const Graph>& model, const std::vector<std::vector<Value>>& requests,
            NodeCut cut = NodeCut::ranges) {
  Outcome outcome;
  const auto graph = resolved(model);
  const auto make = [&](Cluster& cluster) {
    GraphFormOptions options;
    options.cut = cut;
    if (cluster.leads()) options.notice = [&](const std::string& text) { outcome.notices.push_back(text); };
    return std::make_unique<GraphForm>(cluster, split_graph(graph), std::move(options), one_thread_session);
  };
  static_cast<StreamOutcome&>(outcome) = run_stream(size, requests, make);
  return outcome;
}

void expect_same(const std::vector<Value>& got, const std::vector<Value>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t o = 0; o < want.size(); ++o) {
    ASSERT_EQ(got[o].tensor.shape(), want[o].tensor.shape());
    const auto a = std::as_const(got[o].tensor).data<float>(), b = std::as_const(want[o].tensor).data<float>();
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (std::isnan(b[i])) {
        ASSERT_TRUE(std::isnan(a[i])) << "output " << o << ", element " << i;
      } else {
        ASSERT_NEAR(a[i], b[i], 1e-5f * (1 + std::abs(b[i]))) << "output " << o << ", element " << i;
      }
    }
  }
}

/// Rows that each rank sends, per exchange of a value along all edges: every row once to each rank that reads it.
std::vector<std::int64_t> rows_to_send(const Edges& edges, int ranks) {
  std::vector<std::uint32_t> sources, targets;
  const auto row = [&](std::int64_t node) { return static_cast<std::uint32_t>(node < 0 ? node + edges.nodes : node); };
  for (const std::int64_t node : edges.sources) sources.push_back(row(node));
  for (const std::int64_t node : edges.targets) targets.push_back(row(node));
  const auto owner = cut_into_ranges(edges.nodes, {sources, targets}, ranks);
  std::set<std::pair<std::uint32_t, std::uint32_t>> sent;  // node, to rank
  for (std::size_t e = 0; e < sources.size(); ++e) {
    if (owner[sources[e]] != owner[targets[e]]) sent.insert({sources[e], owner[targets[e]]});
  }
  std::vector<std::int64_t> rows(static_cast<std::size_t>(ranks), 0);
  for (const auto& [node, to] : sent) ++rows[owner[node]];
  return rows;
}

Edges random_edges(std::mt19937& random, std::int64_t nodes, std::int64_t count) {
  Edges edges{nodes, {}, {}};
  std::uniform_int_distribution<std::int64_t> node(-nodes, nodes - 1);
  for (std::int64_t e = 0; e < count; ++e) {
    edges.sources.push_back(node(random));
    edges.targets.push_back(e % 7 == 0 ? edges.sources.back() : node(random));
  }
  return edges;
}

TEST(GraphForm, ranks_agree_with_one_and_send_each_row_once) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  const std::pair<std::int64_t, std::int64_t> sizes[] = {{40, 200}, {1, 3}, {3, 0}, {2, 9}, {57, 30}};
  for (const auto& [nodes, count] : sizes) {
    const Edges edges = random_edges(random, nodes, count);
    const auto model = two_layers(nodes, count);
    const std::vector<std::vector<Value>> requests = {inputs_of(edges, seed)};
    const auto expected = one_thread_session(model)->run(requests[0]);
    for (const int size : {1, 2, 3, 4}) {
      SCOPED_TRACE(fmt::format("{} nodes, {} edges, {} ranks", nodes, count, size));
      const Outcome outcome = run(size, model, requests);
      expect_same(outcome.results[0], expected);
      const auto rows = rows_to_send(edges, size);
      for (std::size_t rank = 0; rank < rows.size(); ++rank) {
        EXPECT_EQ(outcome.reports[rank].halo_rows, 2 * rows[rank]);
        EXPECT_EQ(outcome.reports[rank].halo_bytes, 2u * 4 * kFeatures * static_cast<std::size_t>(rows[rank]));
      }
    }
  }
}

TEST(GraphForm, every_way_to_cut_gives_the_same) {
  std::mt19937 random(11);
  const Edges edges = random_edges(random, 90, 400);
  const auto model = two_layers(90, 400);
  const std::vector<std::vector<Value>> requests = {inputs_of(edges, 2)};
  expect_same(run(3, model, requests, NodeCut::best).results[0], one_thread_session(model)->run(requests[0]));
}

TEST(GraphForm, a_graph_is_divided_once_while_its_edges_stay_the_same) {
  std::mt19937 random(12);
  const Edges first = random_edges(random, 30, 80), second = random_edges(random, 30, 80);
  const auto model = two_layers(30, 80);
  const std::vector<std::vector<Value>> requests = {inputs_of(first, 1), inputs_of(first, 2), inputs_of(second, 3),
                                                    inputs_of(second, 4), inputs_of(first, 5)};
  const Outcome outcome = run(3, model, requests);
  EXPECT_EQ(outcome.notices.size(), 3u);
  const auto session = one_thread_session(model);
  for (std::size_t i = 0; i < requests.size(); ++i) expect_same(outcome.results[i], session->run(requests[i]));
}

std::string complaint_of(const std::function<void()>& body, ErrorKind kind) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "nothing was thrown";
}

TEST(GraphForm, an_end_out_of_range_ends_all_ranks_with_its_kind) {
  const Edges edges{6, {0, 1, 6}, {1, 2, 3}};
  const auto model = two_layers(6, 3);
  const auto text = complaint_of([&] { run(2, model, {inputs_of(edges, 1)}); }, ErrorKind::input);
  EXPECT_THAT(text, HasSubstr("index 6 is outside [-6, 6)"));
}

TEST(GraphForm, what_mixes_nodes_before_a_sum_is_refused_by_name) {
  Network network(8, 10);
  const ValueId first = network.sum(network.x);
  const ValueId mixed = network.rows("Softmax", {first}, {{"axis", std::int64_t{0}}});
  network.output(network.sum(mixed));
  const auto graph = resolved(network.build());
  const auto text = complaint_of([&] { split_graph(graph); }, ErrorKind::unsupported);
  EXPECT_THAT(text, HasSubstr("Softmax"));
  EXPECT_THAT(text, HasSubstr("mixes what belongs to different nodes"));
}

TEST(GraphForm, models_without_sums_over_edges_are_refused) {
  Network network(8, 10);
  network.output(network.dense(network.x));
  const auto graph = resolved(network.build());
  const auto text = complaint_of([&] { split_graph(graph); }, ErrorKind::unsupported);
  EXPECT_THAT(text, HasSubstr("no sums over the edges"));
}

TEST(GraphForm, damaged_layouts_are_refused_and_never_index_out_of_bounds) {
  std::mt19937 random(13);
  const Edges edges = random_edges(random, 12, 30);
  const GraphSplit split = split_graph(resolved(two_layers(12, 30)));
  const auto inputs = inputs_of(edges, 1);
  std::vector<std::vector<std::uint32_t>> targets, sources;
  for (std::size_t i = 0; i < split.sets.size(); ++i) targets.push_back(checked_rows(inputs[2].tensor, 12));
  for (std::size_t i = 0; i < split.gathers.size(); ++i) sources.push_back(checked_rows(inputs[1].tensor, 12));
  const auto owner = cut_into_ranges(12, {sources[0], targets[0]}, 2);
  const GraphLayout layout = lay_out_graph(split, owner, 2, targets, sources);
  WireWriter writer;
  layout.ranks[1].write(writer);
  const auto bytes = writer.take();
  WireReader whole(bytes);
  EXPECT_EQ(RankLayout::read(whole, split, 2).own(), layout.ranks[1].own());
  EXPECT_TRUE(whole.at_end());
  int refused = 0;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    auto damaged = bytes;
    damaged[at] ^= std::byte{0xff};
    WireReader reader(damaged);
    try {
      RankLayout::read(reader, split, 2);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::comm) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 0);
}

TEST(GraphForm, more_edges_than_ranks_number_are_refused) {
  GraphSplit split;
  split.nodes = 3;
  split.sets.push_back({0, std::int64_t{1} << 31});
  const std::vector<std::uint32_t> owner(3, 0);
  EXPECT_THAT(complaint_of([&] { lay_out_graph(split, owner, 2, {}, {}); }, ErrorKind::limit), HasSubstr("2147483648"));
}

}  // namespace
}  // namespace sparse_run::cli
