// Data movement kernels against values worked out by hand, and their refusals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "cpu/reference/single_node.hpp"

namespace sparse_run::reference {
namespace {

using ::testing::ElementsAre;

using Ints = std::vector<std::int64_t>;

Tensor list(std::initializer_list<std::int64_t> values) {
  return Tensor::of<std::int64_t>({static_cast<std::int64_t>(values.size())}, values);
}

// 0, 1, 2, … in f32.
Tensor counting(Shape shape) {
  Tensor tensor = Tensor::allocate(DType::f32, std::move(shape));
  const auto data = tensor.data<float>();
  std::iota(data.begin(), data.end(), 0.0f);
  return tensor;
}

ErrorKind kind_of(SingleNode node, std::vector<Value> inputs, std::size_t outputs = 1) {
  try {
    node.run_all(std::move(inputs), outputs);
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "nothing was refused";
  return ErrorKind::internal;
}

TEST(Reshape, zero_copies_a_dimension_and_minus_one_takes_the_rest) {
  const Tensor out = SingleNode("Reshape").run({counting({2, 3, 4}), list({0, -1})});
  EXPECT_EQ(out.shape(), (Shape{2, 12}));
  EXPECT_EQ(out.data<float>()[13], 13);
}

TEST(Reshape, allowzero_makes_zero_a_size) {
  const Tensor none = Tensor::allocate(DType::f32, {0, 3});
  EXPECT_EQ(SingleNode("Reshape").with("allowzero", std::int64_t{1}).run({none, list({3, 0})}).shape(), (Shape{3, 0}));
  EXPECT_EQ(kind_of(SingleNode("Reshape").with("allowzero", std::int64_t{1}), {none, list({0, -1})}), ErrorKind::model);
}

TEST(Reshape, wrong_counts_are_refused) {
  EXPECT_EQ(kind_of(SingleNode("Reshape"), {counting({2, 3}), list({4, -1})}), ErrorKind::model);
  EXPECT_EQ(kind_of(SingleNode("Reshape"), {counting({2, 3}), list({-1, -1})}), ErrorKind::model);
  EXPECT_EQ(kind_of(SingleNode("Reshape"), {counting({2, 3}), list({-2, 3})}), ErrorKind::model);
  EXPECT_EQ(kind_of(SingleNode("Reshape"), {counting({2, 3}), list({6, 1, 0})}), ErrorKind::model);
  EXPECT_EQ(kind_of(SingleNode("Reshape"), {counting({2, 3}), list({INT64_MAX, INT64_MAX})}), ErrorKind::limit);
}

TEST(Squeeze, axes_are_an_attribute_before_opset_13_and_an_operand_after) {
  EXPECT_EQ(SingleNode("Squeeze", 12).with("axes", Ints{-1}).run({counting({1, 3, 1})}).shape(), (Shape{1, 3}));
  EXPECT_EQ(SingleNode("Squeeze").run({counting({1, 3, 1}), list({0})}).shape(), (Shape{3, 1}));
  EXPECT_EQ(SingleNode("Squeeze").run({counting({1, 3, 1})}).shape(), (Shape{3}));
  EXPECT_EQ(kind_of(SingleNode("Squeeze"), {counting({1, 3, 1}), list({1})}), ErrorKind::model);
}

TEST(Unsqueeze, axes_count_in_the_output_and_must_differ) {
  EXPECT_EQ(SingleNode("Unsqueeze").run({counting({3}), list({-1, 0})}).shape(), (Shape{1, 3, 1}));
  EXPECT_EQ(kind_of(SingleNode("Unsqueeze"), {counting({3}), list({0, -3})}), ErrorKind::model);
}

TEST(Flatten, axis_may_be_the_rank) {
  EXPECT_EQ(SingleNode("Flatten").with("axis", std::int64_t{2}).run({counting({2, 3})}).shape(), (Shape{6, 1}));
  EXPECT_EQ(SingleNode("Flatten").with("axis", std::int64_t{-1}).run({counting({2, 3, 4})}).shape(), (Shape{6, 4}));
  EXPECT_EQ(kind_of(SingleNode("Flatten").with("axis", std::int64_t{3}), {counting({2, 3})}), ErrorKind::model);
}

TEST(Shape, bounds_clamp) {
  EXPECT_THAT(elements<std::int64_t>(SingleNode("Shape").run({counting({2, 3, 4})})), ElementsAre(2, 3, 4));
  EXPECT_THAT(
      elements<std::int64_t>(
          SingleNode("Shape").with("start", std::int64_t{-2}).with("end", std::int64_t{9}).run({counting({2, 3, 4})})),
      ElementsAre(3, 4));
  EXPECT_EQ(
      SingleNode("Shape").with("start", std::int64_t{2}).with("end", std::int64_t{1}).run({counting({2, 3})}).size(),
      0);
}

TEST(Transpose, perm_defaults_to_reversed_axes) {
  EXPECT_THAT(elements<float>(SingleNode("Transpose").run({counting({2, 3})})), ElementsAre(0, 3, 1, 4, 2, 5));
  const Tensor out = SingleNode("Transpose").with("perm", Ints{1, 0, 2}).run({counting({2, 2, 2})});
  EXPECT_THAT(elements<float>(out), ElementsAre(0, 1, 4, 5, 2, 3, 6, 7));
  EXPECT_EQ(kind_of(SingleNode("Transpose").with("perm", Ints{0, 0}), {counting({2, 3})}), ErrorKind::model);
  EXPECT_EQ(kind_of(SingleNode("Transpose").with("perm", Ints{0}), {counting({2, 3})}), ErrorKind::model);
}

TEST(Transpose, strings_move_too) {
  const Tensor in = Tensor::of<std::string>({2, 2}, {"a", "b", "c", "d"});
  EXPECT_THAT(elements<std::string>(SingleNode("Transpose").run({in})), ElementsAre("a", "c", "b", "d"));
}

TEST(Concat, joins_along_any_axis_and_skips_empty_parts) {
  const Tensor out = SingleNode("Concat")
                         .with("axis", std::int64_t{-1})
                         .run({counting({2, 1}), Tensor::allocate(DType::f32, {2, 0}), counting({2, 2})});
  EXPECT_EQ(out.shape(), (Shape{2, 3}));
  EXPECT_THAT(elements<float>(out), ElementsAre(0, 0, 1, 1, 2, 3));
  EXPECT_EQ(kind_of(SingleNode("Concat").with("axis", std::int64_t{0}), {counting({2, 1}), counting({2, 2})}),
            ErrorKind::model);
  EXPECT_EQ(kind_of(SingleNode("Concat"), {counting({2, 1})}), ErrorKind::model);
}

TEST(Split, last_part_may_be_smaller_from_opset_18_on) {
  const auto parts = SingleNode("Split", 18).with("num_outputs", std::int64_t{2}).run_all({counting({5})}, 2);
  EXPECT_THAT(elements<float>(parts[0].tensor), ElementsAre(0, 1, 2));
  EXPECT_THAT(elements<float>(parts[1].tensor), ElementsAre(3, 4));
  EXPECT_EQ(kind_of(SingleNode("Split", 13), {counting({5})}, 2), ErrorKind::model);
  EXPECT_EQ(kind_of(SingleNode("Split", 18).with("num_outputs", std::int64_t{4}), {counting({5})}, 4),
            ErrorKind::model);
}

TEST(Split, sizes_must_add_up) {
  const auto parts = SingleNode("Split").run_all({counting({3}), list({1, 2})}, 2);
  EXPECT_THAT(elements<float>(parts[1].tensor), ElementsAre(1, 2));
  EXPECT_EQ(kind_of(SingleNode("Split"), {counting({3}), list({1, 1})}, 2), ErrorKind::model);
  EXPECT_EQ(kind_of(SingleNode("Split"), {counting({3}), list({4, -1})}, 2), ErrorKind::model);
  EXPECT_EQ(kind_of(SingleNode("Split"), {counting({3}), list({INT64_MAX, INT64_MAX})}, 2), ErrorKind::limit);
}

TEST(Expand, broadcasts_both_ways) {
  const Tensor out = SingleNode("Expand").run({counting({2, 1}), list({1, 3})});
  EXPECT_EQ(out.shape(), (Shape{2, 3}));
  EXPECT_THAT(elements<float>(out), ElementsAre(0, 0, 0, 1, 1, 1));
  EXPECT_EQ(kind_of(SingleNode("Expand"), {counting({2}), list({3})}), ErrorKind::model);
  EXPECT_EQ(kind_of(SingleNode("Expand"), {counting({1}), list({-1})}), ErrorKind::model);
  EXPECT_EQ(kind_of(SingleNode("Expand"), {counting({1}), list({INT64_MAX, 4})}), ErrorKind::limit);
}

TEST(Tile, repeats_every_axis) {
  EXPECT_THAT(elements<float>(SingleNode("Tile").run({counting({1, 2}), list({2, 2})})),
              ElementsAre(0, 1, 0, 1, 0, 1, 0, 1));
  EXPECT_EQ(SingleNode("Tile").run({counting({1, 2}), list({0, 2})}).shape(), (Shape{0, 4}));
  EXPECT_EQ(kind_of(SingleNode("Tile"), {counting({4}), list({INT64_MAX})}), ErrorKind::limit);
  EXPECT_EQ(kind_of(SingleNode("Tile"), {counting({4}), list({-1})}), ErrorKind::model);
}

TEST(Slice, negative_steps_walk_backwards) {
  const Tensor in = counting({6});
  EXPECT_THAT(elements<float>(SingleNode("Slice").run({in, list({-1}), list({INT64_MIN}), list({0}), list({-2})})),
              ElementsAre(5, 3, 1));
  EXPECT_THAT(elements<float>(SingleNode("Slice").run({in, list({4}), list({1}), list({-1}), list({-1})})),
              ElementsAre(4, 3, 2));
  EXPECT_EQ(SingleNode("Slice").run({in, list({3}), list({1})}).size(), 0);
  EXPECT_THAT(
      elements<float>(SingleNode("Slice").run({in, list({0}), list({INT64_MAX}), list({0}), list({INT64_MAX})})),
      ElementsAre(0));
  EXPECT_THAT(
      elements<float>(SingleNode("Slice").run({in, list({5}), list({INT64_MIN}), list({0}), list({INT64_MIN})})),
      ElementsAre(5));
  EXPECT_EQ(kind_of(SingleNode("Slice"), {in, list({0}), list({1}), list({0}), list({0})}), ErrorKind::model);
  EXPECT_EQ(kind_of(SingleNode("Slice"), {in, list({0, 0}), list({1, 1}), list({0, 0})}), ErrorKind::model);
}

TEST(Slice, bounds_are_attributes_before_opset_10) {
  const Tensor out = SingleNode("Slice", 9)
                         .with("starts", Ints{1})
                         .with("ends", Ints{1000})
                         .with("axes", Ints{1})
                         .run({counting({2, 3})});
  EXPECT_THAT(elements<float>(out), ElementsAre(1, 2, 4, 5));
}

TEST(Pad, modes_differ_at_the_edges) {
  const Tensor in = counting({3});
  const auto padded = [&](const char* mode, std::int64_t before, std::int64_t after) {
    return elements<float>(SingleNode("Pad").with("mode", std::string(mode)).run({in, list({before, after})}));
  };
  EXPECT_THAT(padded("constant", 1, 2), ElementsAre(0, 0, 1, 2, 0, 0));
  EXPECT_THAT(padded("edge", 1, 2), ElementsAre(0, 0, 1, 2, 2, 2));
  EXPECT_THAT(padded("reflect", 2, 3), ElementsAre(2, 1, 0, 1, 2, 1, 0, 1));
  EXPECT_THAT(padded("wrap", 1, 4), ElementsAre(2, 0, 1, 2, 0, 1, 2, 0));
  EXPECT_THAT(padded("constant", -1, 1), ElementsAre(1, 2, 0));
}

TEST(Pad, axes_and_constant_are_operands_and_attributes_before) {
  const Tensor out = SingleNode("Pad").run({counting({1, 2}), list({1, 0}), Tensor::scalar(9.0f), list({-1})});
  EXPECT_THAT(elements<float>(out), ElementsAre(9, 0, 1));
  EXPECT_THAT(elements<float>(SingleNode("Pad", 10).with("pads", Ints{0, 1}).with("value", 7.0f).run({counting({1})})),
              ElementsAre(0, 7));
  EXPECT_EQ(kind_of(SingleNode("Pad"), {counting({2}), list({-3, 0})}), ErrorKind::model);
  EXPECT_EQ(kind_of(SingleNode("Pad"), {counting({2}), list({1})}), ErrorKind::model);
  EXPECT_EQ(kind_of(SingleNode("Pad"), {counting({2}), list({INT64_MAX, 1})}), ErrorKind::limit);
  EXPECT_EQ(
      kind_of(SingleNode("Pad").with("mode", std::string("edge")), {Tensor::allocate(DType::f32, {0}), list({1, 0})}),
      ErrorKind::model);
}

TEST(Trilu, diagonal_moves_with_k) {
  EXPECT_THAT(elements<float>(SingleNode("Trilu").run({counting({2, 3}), Tensor::scalar<std::int64_t>(1)})),
              ElementsAre(0, 1, 2, 0, 0, 5));
  EXPECT_THAT(elements<float>(SingleNode("Trilu").with("upper", std::int64_t{0}).run({counting({2, 3})})),
              ElementsAre(0, 0, 0, 3, 4, 0));
  EXPECT_THAT(elements<float>(SingleNode("Trilu").run({counting({2, 2}), Tensor::scalar<std::int64_t>(INT64_MAX)})),
              ElementsAre(0, 0, 0, 0));
}

TEST(ReverseSequence, each_batch_entry_has_its_length) {
  const Tensor out = SingleNode("ReverseSequence").run({counting({3, 2}), list({3, 2})});
  EXPECT_THAT(elements<float>(out), ElementsAre(4, 3, 2, 1, 0, 5));
  EXPECT_EQ(kind_of(SingleNode("ReverseSequence"), {counting({3, 2}), list({4, 1})}), ErrorKind::input);
}

TEST(Gather, negative_indices_count_back_and_others_are_refused) {
  const Tensor out = SingleNode("Gather").with("axis", std::int64_t{1}).run({counting({2, 3}), list({-1, 0})});
  EXPECT_THAT(elements<float>(out), ElementsAre(2, 0, 5, 3));
  EXPECT_EQ(kind_of(SingleNode("Gather"), {counting({2}), list({2})}), ErrorKind::input);
  EXPECT_EQ(kind_of(SingleNode("Gather"), {counting({2}), list({INT64_MIN})}), ErrorKind::input);
}

TEST(GatherElements, index_replaces_one_coordinate) {
  const Tensor indices = Tensor::of<std::int64_t>({1, 2}, {1, -2});
  EXPECT_THAT(elements<float>(SingleNode("GatherElements").run({counting({2, 2}), indices})), ElementsAre(2, 1));
  EXPECT_EQ(kind_of(SingleNode("GatherElements"), {counting({2, 1}), indices}), ErrorKind::model);
}

TEST(GatherND, batch_dimensions_pair_up) {
  const Tensor indices = Tensor::of<std::int64_t>({2, 1}, {1, 0});
  const Tensor data = counting({2, 2, 2});
  EXPECT_THAT(elements<float>(SingleNode("GatherND").run({data, indices})), ElementsAre(4, 5, 6, 7, 0, 1, 2, 3));
  EXPECT_THAT(elements<float>(SingleNode("GatherND").with("batch_dims", std::int64_t{1}).run({data, indices})),
              ElementsAre(2, 3, 4, 5));
  EXPECT_EQ(kind_of(SingleNode("GatherND"), {data, Tensor::of<std::int64_t>({1, 1}, {2})}), ErrorKind::input);
  EXPECT_EQ(kind_of(SingleNode("GatherND"), {data, Tensor::of<std::int64_t>({4}, {0, 0, 0, 0})}), ErrorKind::model);
}

TEST(ScatterElements, reductions_combine_duplicates) {
  const Tensor data = Tensor::of<float>({3}, {1, 2, 3});
  const Tensor indices = list({1, -2});
  const Tensor updates = Tensor::of<float>({2}, {5, 4});
  const auto scattered = [&](const char* reduction) {
    return elements<float>(
        SingleNode("ScatterElements").with("reduction", std::string(reduction)).run({data, indices, updates}));
  };
  EXPECT_THAT(scattered("none"), ElementsAre(1, 4, 3));
  EXPECT_THAT(scattered("add"), ElementsAre(1, 11, 3));
  EXPECT_THAT(scattered("mul"), ElementsAre(1, 40, 3));
  EXPECT_THAT(scattered("min"), ElementsAre(1, 2, 3));
  EXPECT_THAT(scattered("max"), ElementsAre(1, 5, 3));
  EXPECT_EQ(kind_of(SingleNode("ScatterElements"), {data, list({3, 0}), updates}), ErrorKind::input);
  EXPECT_EQ(kind_of(SingleNode("ScatterElements", 16).with("reduction", std::string("max")), {data, indices, updates}),
            ErrorKind::model);
}

TEST(ScatterND, tuples_address_whole_slices) {
  const Tensor out =
      SingleNode("ScatterND")
          .run({counting({3, 2}), Tensor::of<std::int64_t>({1, 1}, {-1}), Tensor::of<float>({1, 2}, {8, 9})});
  EXPECT_THAT(elements<float>(out), ElementsAre(0, 1, 2, 3, 8, 9));
  EXPECT_EQ(kind_of(SingleNode("ScatterND"), {counting({3, 2}), Tensor::of<std::int64_t>({1, 1}, {0}), counting({2})}),
            ErrorKind::model);
}

TEST(TensorScatter, circular_mode_wraps_around) {
  const Tensor cache = Tensor::of<float>({1, 3, 1}, {0, 0, 0});
  const Tensor update = Tensor::of<float>({1, 2, 1}, {1, 2});
  EXPECT_THAT(elements<float>(SingleNode("TensorScatter").run({cache, update, list({1})})), ElementsAre(0, 1, 2));
  EXPECT_THAT(elements<float>(
                  SingleNode("TensorScatter").with("mode", std::string("circular")).run({cache, update, list({5})})),
              ElementsAre(2, 0, 1));
  EXPECT_EQ(kind_of(SingleNode("TensorScatter"), {cache, update, list({2})}), ErrorKind::input);
}

TEST(OneHot, indices_outside_depth_leave_a_cold_row) {
  const Tensor values = Tensor::of<std::int32_t>({2}, {-1, 7});
  const Tensor out = SingleNode("OneHot").run({Tensor::of<float>({3}, {1, -1, 5}), Tensor::scalar(2.0f), values});
  EXPECT_THAT(elements<std::int32_t>(out), ElementsAre(-1, 7, -1, 7, -1, -1));
  const Tensor first = SingleNode("OneHot").with("axis", std::int64_t{0}).run({list({1, 0}), list({2}), values});
  EXPECT_THAT(elements<std::int32_t>(first), ElementsAre(-1, 7, 7, -1));
  EXPECT_EQ(kind_of(SingleNode("OneHot"), {list({1}), list({-2}), values}), ErrorKind::model);
}

TEST(Compress, selects_along_an_axis_or_flat) {
  const Tensor condition = Tensor::of<bool>({2}, {false, true});
  EXPECT_THAT(elements<float>(SingleNode("Compress").with("axis", std::int64_t{1}).run({counting({2, 3}), condition})),
              ElementsAre(1, 4));
  EXPECT_THAT(elements<float>(SingleNode("Compress").run({counting({2, 3}), condition})), ElementsAre(1));
  EXPECT_EQ(kind_of(SingleNode("Compress"), {counting({1}), condition}), ErrorKind::input);
}

TEST(TopK, ties_prefer_the_smaller_index) {
  const Tensor in = Tensor::of<float>({4}, {3, 1, 3, 2});
  const auto best = SingleNode("TopK").run_all({in, list({3})}, 2);
  EXPECT_THAT(elements<float>(best[0].tensor), ElementsAre(3, 3, 2));
  EXPECT_THAT(elements<std::int64_t>(best[1].tensor), ElementsAre(0, 2, 3));
  const auto least = SingleNode("TopK").with("largest", std::int64_t{0}).run_all({in, list({2})}, 2);
  EXPECT_THAT(elements<std::int64_t>(least[1].tensor), ElementsAre(1, 3));
  const auto old = SingleNode("TopK", 9).with("k", std::int64_t{1}).run_all({in}, 2);
  EXPECT_THAT(elements<float>(old[0].tensor), ElementsAre(3));
  EXPECT_EQ(kind_of(SingleNode("TopK"), {in, list({5})}, 2), ErrorKind::model);
}

TEST(TopK, large_integers_are_compared_exactly) {
  const std::int64_t big = std::int64_t{1} << 62;
  const auto best = SingleNode("TopK").run_all({list({big, big + 1, -big}), list({3})}, 2);
  EXPECT_THAT(elements<std::int64_t>(best[1].tensor), ElementsAre(1, 0, 2));
}

TEST(NonZero, coordinates_come_axis_by_axis) {
  const Tensor out = SingleNode("NonZero").run({Tensor::of<float>({2, 2}, {1, 0, -0.0f, 2})});
  EXPECT_EQ(out.shape(), (Shape{2, 2}));
  EXPECT_THAT(elements<std::int64_t>(out), ElementsAre(0, 1, 0, 1));
}

TEST(Unique, sorted_or_in_order_of_appearance) {
  const Tensor in = Tensor::of<float>({6}, {2, 1, 1, 3, 4, 3});
  const auto sorted = SingleNode("Unique").run_all({in}, 4);
  EXPECT_THAT(elements<float>(sorted[0].tensor), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(elements<std::int64_t>(sorted[1].tensor), ElementsAre(1, 0, 3, 4));
  EXPECT_THAT(elements<std::int64_t>(sorted[2].tensor), ElementsAre(1, 0, 0, 2, 3, 2));
  EXPECT_THAT(elements<std::int64_t>(sorted[3].tensor), ElementsAre(2, 1, 2, 1));
  const auto found = SingleNode("Unique").with("sorted", std::int64_t{0}).run_all({in}, 3);
  EXPECT_THAT(elements<float>(found[0].tensor), ElementsAre(2, 1, 3, 4));
  EXPECT_THAT(elements<std::int64_t>(found[2].tensor), ElementsAre(0, 1, 1, 2, 3, 2));
}

TEST(Unique, slices_along_an_axis_are_compared_whole) {
  const Tensor in = Tensor::of<std::int32_t>({3, 2}, {2, 3, 1, 0, 1, 0});
  const auto out = SingleNode("Unique").with("axis", std::int64_t{0}).run_all({in}, 4);
  EXPECT_THAT(elements<std::int32_t>(out[0].tensor), ElementsAre(1, 0, 2, 3));
  EXPECT_THAT(elements<std::int64_t>(out[3].tensor), ElementsAre(2, 1));
}

TEST(Range, counts_in_every_direction) {
  EXPECT_THAT(
      elements<float>(SingleNode("Range").run({Tensor::scalar(1.0f), Tensor::scalar(2.0f), Tensor::scalar(0.4f)})),
      ::testing::Pointwise(::testing::FloatEq(), {1.0f, 1.4f, 1.8f}));
  const auto integers = [](std::int64_t start, std::int64_t limit, std::int64_t delta) {
    return std::vector<Value>{Tensor::scalar(start), Tensor::scalar(limit), Tensor::scalar(delta)};
  };
  EXPECT_THAT(elements<std::int64_t>(SingleNode("Range").run(integers(3, -3, -2))), ElementsAre(3, 1, -1));
  EXPECT_EQ(SingleNode("Range").run(integers(3, 3, 1)).size(), 0);
  EXPECT_EQ(kind_of(SingleNode("Range"), integers(0, 1, 0)), ErrorKind::model);
  EXPECT_EQ(kind_of(SingleNode("Range"), integers(INT64_MIN, INT64_MAX, 1)), ErrorKind::limit);
  EXPECT_THAT(elements<std::int64_t>(SingleNode("Range").run(integers(INT64_MIN, INT64_MAX, INT64_MAX))),
              ElementsAre(INT64_MIN, -1, INT64_MAX - 1));
}

TEST(NonMaxSuppression, overlapping_boxes_fall_to_the_better_one) {
  const Tensor boxes = Tensor::of<float>({1, 3, 4}, {0, 0, 1, 1, 0, 0.1f, 1, 1.1f, 0, 10, 1, 11});
  const Tensor scores = Tensor::of<float>({1, 1, 3}, {0.8f, 0.9f, 0.7f});
  const Tensor out =
      SingleNode("NonMaxSuppression").run({boxes, scores, Tensor::scalar<std::int64_t>(3), Tensor::scalar(0.5f)});
  EXPECT_THAT(elements<std::int64_t>(out), ElementsAre(0, 0, 1, 0, 0, 2));
  EXPECT_EQ(SingleNode("NonMaxSuppression").run({boxes, scores}).shape(), (Shape{0, 3}));
}

}  // namespace
}  // namespace sparse_run::reference
