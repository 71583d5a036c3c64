// Tests of passes: what they rewrite, what they leave alone, and that results stay the same.
#include "graph/passes/passes.hpp"

#include <gmock/gmock.h>

#include "cpu/reference/pass_check.hpp"
#include "graph/passes/sketch.hpp"

namespace sparse_run::reference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Integers = std::vector<std::int64_t>;

TEST(ShareEqualNodes, equal_subexpressions_are_computed_once) {
  GraphSketch s;
  const ValueId x = s.input("x", {3});
  const ValueId a = s.op("Exp", {x});
  const ValueId b = s.op("Exp", {x});
  const Graph g = s.build(s.op("Add", {s.op("Neg", {a}), s.op("Neg", {b})}));
  EXPECT_THAT(ops_of(after(make_share_equal_nodes(), g)), ElementsAre("Exp", "Neg", "Add"));
}

TEST(ShareEqualNodes, other_attributes_are_another_computation) {
  GraphSketch s;
  const ValueId x = s.input("x", {3});
  const ValueId a = s.op("LeakyRelu", {x}, {{"alpha", 0.1f}});
  const ValueId b = s.op("LeakyRelu", {x}, {{"alpha", 0.2f}});
  const Graph g = s.build(s.op("Add", {a, b}));
  EXPECT_EQ(after(make_share_equal_nodes(), g).nodes().size(), 3u);
}

TEST(ShareEqualNodes, equal_constants_are_kept_once_and_negative_zero_is_another) {
  GraphSketch s;
  const ValueId x = s.input("x", {2});
  ValueId v = s.op("Add", {x, s.constant(Tensor::of<float>({2}, {1, 0}))});
  v = s.op("Mul", {v, s.constant(Tensor::of<float>({2}, {1, 0}))});
  v = s.op("Sub", {v, s.constant(Tensor::of<float>({2}, {1, -0.0f}))});
  const Graph g = after(make_share_equal_nodes(), s.build(v));
  EXPECT_EQ(g.node(0).inputs[1], g.node(1).inputs[1]);
  EXPECT_NE(g.node(1).inputs[1], g.node(2).inputs[1]);
}

TEST(ShareEqualNodes, random_nodes_are_not_shared) {
  GraphSketch s;
  const ValueId a = s.op("RandomUniform", {}, {{"shape", Integers{3}}});
  const ValueId b = s.op("RandomUniform", {}, {{"shape", Integers{3}}});
  PassPipeline pipeline;
  pipeline.add(make_share_equal_nodes());
  const Graph g = pipeline.run(resolved(s.build(s.op("Sub", {a, b}))));
  EXPECT_EQ(g.nodes().size(), 3u);
}

TEST(ShareEqualNodes, two_equal_outputs_keep_their_names) {
  GraphSketch s;
  const ValueId x = s.input("x", {3});
  s.output(s.op("Exp", {x}));
  s.output(s.op("Exp", {x}));
  EXPECT_THAT(ops_of(after(make_share_equal_nodes(), s.build())), ElementsAre("Exp", "Identity"));
}

TEST(SimplifyMovement, chains_of_reshapes_become_one) {
  GraphSketch s;
  ValueId v = s.op("Relu", {s.input("x", {2, 6})});
  v = s.op("Reshape", {v, s.integers({3, 4})});
  v = s.op("Unsqueeze", {v, s.integers({0})});
  v = s.op("Flatten", {v}, {{"axis", std::int64_t{2}}});
  v = s.op("Reshape", {v, s.integers({4, -1})});
  EXPECT_THAT(ops_of(after(make_simplify_movement(), s.build(v))), ElementsAre("Relu", "Reshape"));
}

TEST(SimplifyMovement, unsqueeze_then_squeeze_vanishes) {
  GraphSketch s;
  ValueId v = s.op("Relu", {s.input("x", {2, 6})});
  v = s.op("Squeeze", {s.op("Unsqueeze", {v, s.integers({1})}), s.integers({1})});
  EXPECT_THAT(ops_of(after(make_simplify_movement(), s.build(v))), ElementsAre("Relu"));
}

TEST(SimplifyMovement, transposes_compose) {
  GraphSketch s;
  ValueId v = s.op("Relu", {s.input("x", {2, 3, 4})});
  v = s.op("Transpose", {v}, {{"perm", Integers{1, 2, 0}}});
  v = s.op("Transpose", {v}, {{"perm", Integers{1, 0, 2}}});
  const Graph g = after(make_simplify_movement(), s.build(v));
  ASSERT_THAT(ops_of(g), ElementsAre("Relu", "Transpose"));
  EXPECT_THAT(g.node(1).ints_or("perm"), ElementsAre(2, 1, 0));
}

TEST(SimplifyMovement, inverse_transposes_vanish) {
  GraphSketch s;
  ValueId v = s.op("Relu", {s.input("x", {2, 3, 4})});
  v = s.op("Transpose", {v}, {{"perm", Integers{1, 2, 0}}});
  v = s.op("Transpose", {v}, {{"perm", Integers{2, 0, 1}}});
  EXPECT_THAT(ops_of(after(make_simplify_movement(), s.build(v))), ElementsAre("Relu"));
}

TEST(SimplifyMovement, moving_only_unit_dimensions_is_a_reshape) {
  GraphSketch s;
  ValueId v = s.op("Relu", {s.input("x", {2, 1, 4})});
  v = s.op("Transpose", {v}, {{"perm", Integers{1, 0, 2}}});
  EXPECT_THAT(ops_of(after(make_simplify_movement(), s.build(v))), ElementsAre("Relu", "Reshape"));
}

TEST(SimplifyMovement, an_inner_reshape_that_others_read_stays) {
  GraphSketch s;
  const ValueId x = s.op("Relu", {s.input("x", {2, 6})});
  const ValueId inner = s.op("Reshape", {x, s.integers({12})});
  s.output(s.op("Neg", {inner}));
  const Graph g = after(make_simplify_movement(), s.build(s.op("Reshape", {inner, s.integers({3, 4})})));
  EXPECT_EQ(std::ranges::count(ops_of(g), "Reshape"), 2);
}

TEST(Pipeline, a_disabled_pass_does_not_run_and_is_not_reported) {
  GraphSketch s;
  const ValueId x = s.input("x", {3});
  const Graph g = s.build(s.op("Add", {s.op("Exp", {x}), s.op("Exp", {x})}));
  ReferenceEvaluator evaluator;
  PassOptions options;
  options.disabled = {"share-equal-nodes"};
  std::vector<PassReport> reports;
  const Graph kept = optimize(g, evaluator, options, &reports);
  EXPECT_THAT(ops_of(kept), ElementsAre("Exp", "Exp", "Add"));
  for (const PassReport& report : reports) EXPECT_NE(report.name, "share-equal-nodes");
  reports.clear();
  EXPECT_THAT(ops_of(optimize(g, evaluator, {}, &reports)), ElementsAre("Exp", "Add"));
  const auto found = std::ranges::find(reports, "share-equal-nodes", &PassReport::name);
  ASSERT_NE(found, reports.end());
  EXPECT_EQ(found->rewrites, 1u);
  EXPECT_EQ(found->nodes_before, 3u);
  EXPECT_EQ(found->nodes_after, 2u);
}

TEST(Pipeline, an_unknown_pass_name_is_refused_with_the_list) {
  try {
    check_pass_names({"no-such-pass"});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), HasSubstr("share-equal-nodes"));
  }
  EXPECT_NO_THROW(check_pass_names({"simplify-movement"}));
}

class BreakingPass final : public Pass {
 public:
  std::string_view name() const noexcept override { return "breaking"; }
  std::string_view purpose() const noexcept override { return "declares a wrong type"; }
  std::size_t run(GraphBuilder& graph) const override {
    graph.value(graph.outputs()[0]).type = Type::tensor(DType::f32, Shape{99});
    return 1;
  }
};

TEST(Pipeline, verification_names_the_pass_that_broke_a_type) {
  GraphSketch s;
  const Graph g = resolved(s.build(s.op("Exp", {s.input("x", {3})})));
  PassPipeline pipeline;
  pipeline.add(std::make_unique<BreakingPass>());
  PassOptions options;
  options.verify = true;
  try {
    pipeline.run(g, options);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::internal);
    EXPECT_THAT(error.what(), HasSubstr("pass 'breaking'"));
  }
}

}  // namespace
}  // namespace sparse_run::reference
