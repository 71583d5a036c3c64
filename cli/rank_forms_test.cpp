// Every form of sharing work gives the results of one rank, over ranks within this process; errors reach all of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "cli/thread_ranks_test.hpp"
#include "cpu/reference/evaluator.hpp"
#include "graph/passes/pipeline.hpp"
#include "partitioner/rank_stages.hpp"
#include "runtime/distributed/data_stream.hpp"
#include "runtime/distributed/pipeline_form.hpp"
#include "runtime/distributed/row_form.hpp"

namespace sparse_run::cli {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kWidth = 48, kFewTokens = 5, kManyTokens = 21;

Tensor random_matrix(std::mt19937& random, std::int64_t rows, std::int64_t columns, double zeros) {
  Tensor matrix = Tensor::allocate(DType::f32, {rows, columns});
  std::normal_distribution<float> value;
  std::uniform_real_distribution<double> chance;
  for (float& element : matrix.data<float>()) element = chance(random) < zeros ? 0.0f : 0.2f * value(random);
  return matrix;
}

/// x → three products with residual sums and activations between them → y; and a sum of x and y as a second output.
std::shared_ptr<const Graph> make_model(std::int64_t tokens = kFewTokens) {
  std::mt19937 random(5);
  GraphBuilder builder("model");
  const Type type = Type::tensor(DType::f32, Shape{tokens, kWidth});
  const ValueId x = builder.add_input("x", type);
  ValueId last = x;
  const auto add = [&](const char* op, std::vector<ValueId> inputs) {
    Node node;
    node.op = op;
    node.opset = 13;
    node.inputs = std::move(inputs);
    const ValueId result = builder.add_value("", type);
    node.outputs = {result};
    builder.add_node(std::move(node));
    return result;
  };
  for (int layer = 0; layer < 3; ++layer) {
    const ValueId weight = builder.add_constant("", random_matrix(random, kWidth, kWidth, 0.8));
    const ValueId bias = builder.add_constant("", random_matrix(random, 1, kWidth, 0).reshaped({kWidth}));
    const ValueId product = add("Add", {add("MatMul", {last, weight}), bias});
    last = layer == 1 ? add("Add", {product, last}) : add("Relu", {product});
  }
  builder.add_output(last);
  builder.add_output(add("Add", {x, last}));
  return std::make_shared<const Graph>(std::move(builder).build());
}

using MakeForm = std::function<std::unique_ptr<RankForm>(Cluster&)>;

class Forms : public testing::Test {
 protected:
  explicit Forms(std::int64_t tokens = kFewTokens) : model_(make_model(tokens)) {
    std::mt19937 random(9);
    for (int i = 0; i < 17; ++i) inputs_.push_back({random_matrix(random, tokens, kWidth, 0)});
    reference::ReferenceEvaluator evaluator;
    const auto session = one_thread_session(model_);
    const std::vector<Type> types{Type::of(inputs_[0][0])};
    graph_ = std::make_shared<const Graph>(specialize(*session->graph(), types, evaluator, {}));
    for (const auto& input : inputs_) expected_.push_back(session->run(input));
  }
  MakeForm data() {
    return [this](Cluster& cluster) -> std::unique_ptr<RankForm> {
      auto session = std::shared_ptr<Session>(one_thread_session(model_));
      return std::make_unique<DataForm>(
          cluster, [session](std::span<const Value> values) { return session->run(values); }, DataStreamOptions{},
          nullptr, nullptr);
    };
  }
  MakeForm pipeline(int groups) {
    return [this, groups](Cluster& cluster) -> std::unique_ptr<RankForm> {
      StageCosts costs;
      costs.node_s.assign(graph_->nodes().size(), 1);
      Plan plan = plan_stages(*graph_, cluster.size() / groups, costs, "cpu", "test");
      PipelineOptions options;
      options.groups = groups;
      options.signature_of = [](std::int64_t) { return 0; };
      return std::make_unique<PipelineForm>(cluster, std::vector<PipelineSignature>{{graph_, plan}}, options,
                                            one_thread_session, nullptr);
    };
  }
  MakeForm rows() {
    return [this](Cluster& cluster) -> std::unique_ptr<RankForm> {
      RowSplitOptions options;
      options.always = true;
      std::vector<RowProgram> programs{split_rows(*graph_, cluster.rank(), cluster.size(), options)};
      EXPECT_EQ(programs[0].split_nodes > 0, cluster.size() > 1);
      return std::make_unique<RowForm>(
          cluster, std::move(programs), [](std::int64_t) { return 0; }, one_thread_session, nullptr);
    };
  }
  void expect_same(const std::vector<std::vector<Value>>& results, float tolerance) const {
    ASSERT_EQ(results.size(), expected_.size());
    for (std::size_t i = 0; i < results.size(); ++i) {
      ASSERT_EQ(results[i].size(), expected_[i].size());
      for (std::size_t o = 0; o < results[i].size(); ++o) {
        const auto got = std::as_const(results[i][o].tensor).data<float>(),
                   want = std::as_const(expected_[i][o].tensor).data<float>();
        ASSERT_EQ(got.size(), want.size());
        for (std::size_t e = 0; e < got.size(); ++e) ASSERT_NEAR(got[e], want[e], tolerance) << "request " << i;
      }
    }
  }

  std::shared_ptr<const Graph> model_;
  std::shared_ptr<const Graph> graph_;
  std::vector<std::vector<Value>> inputs_;
  std::vector<std::vector<Value>> expected_;
};

TEST_F(Forms, data_gives_the_bits_of_one_rank) {
  for (int size : {1, 2, 3, 4}) expect_same(run_stream(size, inputs_, data()).results, 0);
}

TEST_F(Forms, pipeline_gives_the_bits_of_one_rank) {
  for (int size : {1, 2, 3}) expect_same(run_stream(size, inputs_, pipeline(1)).results, 0);
}

TEST_F(Forms, pipelines_side_by_side_give_the_bits_of_one_rank) {
  expect_same(run_stream(4, inputs_, pipeline(2)).results, 0);
}

TEST_F(Forms, rows_give_the_results_of_one_rank) {
  for (int size : {2, 3}) expect_same(run_stream(size, inputs_, rows()).results, 1e-5f);
}

/// With so many tokens that what crosses is worth packing.
class FormsOfLargeValues : public Forms {
 protected:
  FormsOfLargeValues() : Forms(400) {
    StageCosts costs;
    costs.node_s.assign(graph_->nodes().size(), 1);
    const auto product = std::find_if(graph_->nodes().begin(), graph_->nodes().end(),
                                      [](const Node& node) { return node.is("FusedMatMul", kInternalDomain); });
    costs.node_s[static_cast<std::size_t>(product - graph_->nodes().begin())] = 10;  // the cut is behind its Relu
    plan_ = plan_stages(*graph_, 2, costs, "cpu", "test");
  }
  /// What rank 0 reports of a stream over a link of so many bytes per second, whose results must be those of one rank.
  RankReport report_over(double link_bytes_per_s) {
    const MakeForm make = [&](Cluster& cluster) -> std::unique_ptr<RankForm> {
      PipelineOptions options;
      options.signature_of = [](std::int64_t) { return 0; };
      options.link_bytes_per_s = link_bytes_per_s;
      return std::make_unique<PipelineForm>(cluster, std::vector<PipelineSignature>{{graph_, plan_}}, options,
                                            one_thread_session, nullptr);
    };
    const StreamOutcome outcome = run_stream(2, inputs_, make);
    expect_same(outcome.results, 0);
    return outcome.reports.at(0);
  }
  Plan plan_;
};

TEST_F(FormsOfLargeValues, a_slow_link_gets_zeros_packed_and_a_fast_one_does_not) {
  const RankReport slow = report_over(1e3);
  EXPECT_GT(slow.plain_bytes, 0u);
  EXPECT_LT(slow.packed_bytes, slow.plain_bytes * 3 / 4);  // about half of what a Relu gives is zero
  EXPECT_EQ(report_over(1e15).plain_bytes, 0u);
  EXPECT_EQ(report_over(0).plain_bytes, 0u);
}

TEST_F(Forms, small_values_that_go_the_same_way_are_one_message) {
  StageCosts costs;
  costs.node_s.assign(graph_->nodes().size(), 1);
  const PipelineLayout layout(graph_, plan_stages(*graph_, 2, costs, "cpu", "test"), 2, 100);
  std::size_t results = 0;
  for (std::size_t i = 0; i < layout.parcels.size(); ++i) {
    const Parcel& parcel = layout.parcels[i];
    EXPECT_EQ(parcel.channel, 100 + static_cast<int>(i));
    EXPECT_FALSE(parcel.may_be_packed);
    std::size_t bytes = 0;
    for (const ValueId value : parcel.values) bytes += layout.bytes(value);
    EXPECT_EQ(parcel.bytes, bytes);
    if (parcel.to == Parcel::kLeader) results += parcel.values.size();
    for (std::size_t j = 0; j < i; ++j) {
      EXPECT_FALSE(layout.parcels[j].from == parcel.from && layout.parcels[j].to == parcel.to)
          << "two messages from " << parcel.from << " to " << parcel.to;
    }
  }
  EXPECT_EQ(results, graph_->outputs().size());
  EXPECT_EQ(layout.end_channel(), 100 + static_cast<int>(layout.parcels.size()));
}

/// With so many tokens that sparse products keep them in the lanes of vectors.
class FormsInLanes : public Forms {
 protected:
  FormsInLanes() : Forms(kManyTokens) {}
};

TEST_F(FormsInLanes, rows_cut_matrices_on_the_left) {
  const bool in_lanes = std::any_of(graph_->nodes().begin(), graph_->nodes().end(), [&](const Node& node) {
    return node.is("FusedMatMul", kInternalDomain) && graph_->value(node.inputs[0]).constant.has_value();
  });
  ASSERT_TRUE(in_lanes);
  for (int size : {2, 3}) expect_same(run_stream(size, inputs_, rows()).results, 1e-5f);
}

TEST_F(FormsInLanes, pipeline_gives_the_bits_of_one_rank) {
  expect_same(run_stream(2, inputs_, pipeline(1)).results, 0);
}

TEST_F(Forms, delayed_links_change_nothing) {
  comm::Faults faults;
  faults.delay_s = 0.002;
  expect_same(run_stream(3, inputs_, data(), {faults}).results, 0);
  expect_same(run_stream(2, inputs_, pipeline(1), {faults}).results, 0);
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

TEST_F(Forms, a_failing_link_is_named_with_edge_and_request) {
  comm::Faults faults;
  faults.fail = 3;
  const auto text = complaint_of([&] { run_stream(2, inputs_, pipeline(1), {faults}); }, ErrorKind::comm);
  EXPECT_THAT(text, HasSubstr("rank 1"));
}

TEST_F(Forms, a_lost_message_ends_a_pipeline_instead_of_hanging_it) {
  comm::Faults faults;
  faults.lose = 2;
  const auto text = complaint_of([&] { run_stream(2, inputs_, pipeline(1), {faults, 1.0}); }, ErrorKind::comm);
  EXPECT_THAT(text, HasSubstr("lost"));
}

TEST_F(Forms, an_error_of_the_sink_ends_every_form_with_its_kind) {
  const auto full = [](std::int64_t request) {
    if (request == 4) throw Error(ErrorKind::input, "the disk is full");
  };
  for (const MakeForm& make : {data(), pipeline(1), rows()}) {
    const auto text = complaint_of([&] { run_stream(2, inputs_, make, {.on_sink = full}); }, ErrorKind::input);
    EXPECT_THAT(text, HasSubstr("the disk is full"));
  }
}

TEST(RankStages, cuts_balance_the_slowest_stage_and_more_stages_than_work_are_not_made) {
  const auto model = make_model();
  StageCosts costs;
  costs.node_s.assign(model->nodes().size(), 1);
  costs.node_s[0] = 5;
  const Plan plan = plan_stages(*model, 2, costs, "cpu", "test");
  ASSERT_EQ(plan.partitions.size(), 2u);
  EXPECT_LE(plan.bottleneck_s, 0.5 * (5 + static_cast<double>(model->nodes().size() - 1)) + 1);
  EXPECT_LE(plan_stages(*model, 100, costs, "cpu", "test").partitions.size(), model->nodes().size());
  EXPECT_NO_THROW(validate_plan(plan, *model));
}

TEST(RowSplit, bounds_balance_weights_at_multiples_of_the_grain) {
  EXPECT_EQ(balanced_bounds(std::vector<double>(64, 1), 2, 16), (std::vector<std::int64_t>{0, 32, 64}));
  std::vector<double> uneven(64, 1);
  for (std::size_t i = 0; i < 16; ++i) uneven[i] = 10;
  EXPECT_EQ(balanced_bounds(uneven, 2, 16), (std::vector<std::int64_t>{0, 16, 64}));
  const auto few = balanced_bounds(std::vector<double>(8, 1), 3, 16);
  EXPECT_EQ(few.front(), 0);
  EXPECT_EQ(few.back(), 8);
}

}  // namespace
}  // namespace sparse_run::cli
