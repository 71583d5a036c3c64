// Feature extraction kernels against values worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cpu/reference/single_node.hpp"

namespace sparse_run::reference {
namespace {

using ::testing::ElementsAre;
using Ints = std::vector<std::int64_t>;

SingleNode bigrams(std::string mode, std::int64_t skips) {
  SingleNode node("TfIdfVectorizer");
  node.with("mode", std::move(mode)).with("max_skip_count", skips);
  node.with("min_gram_length", std::int64_t{1}).with("max_gram_length", std::int64_t{2});
  node.with("ngram_counts", Ints{0, 2}).with("ngram_indexes", Ints{0, 1, 2});
  node.with("pool_int64s", Ints{7, 8, 7, 8}).with("weights", std::vector<float>{1, 10, 100});
  return node;
}

TEST(TfIdf, skips_widen_pairs_but_count_single_words_once) {
  const Tensor text = Tensor::of<std::int64_t>({4}, {7, 7, 8, 8});
  EXPECT_THAT(elements<float>(bigrams("TF", 0).run({text})), ElementsAre(2, 2, 1));
  EXPECT_THAT(elements<float>(bigrams("TF", 1).run({text})), ElementsAre(2, 2, 3));
  EXPECT_THAT(elements<float>(bigrams("TFIDF", 1).run({text})), ElementsAre(2, 20, 300));
  EXPECT_THAT(elements<float>(bigrams("IDF", 1).run({text})), ElementsAre(1, 10, 100));
}

TEST(LabelEncoder, unknown_labels_get_the_default_and_nan_finds_nan) {
  SingleNode words("LabelEncoder", 4);
  words.domain("ai.onnx.ml").with("keys_strings", std::vector<std::string>{"a", "b"}).with("values_int64s", Ints{5, 6});
  EXPECT_THAT(elements<std::int64_t>(words.run({Tensor::of<std::string>({3}, {"b", "c", "a"})})),
              ElementsAre(6, -1, 5));
  SingleNode numbers("LabelEncoder", 4);
  numbers.domain("ai.onnx.ml").with("keys_floats", std::vector<float>{1, std::numeric_limits<float>::quiet_NaN()});
  numbers.with("values_strings", std::vector<std::string>{"one", "none"});
  EXPECT_THAT(
      elements<std::string>(numbers.run({Tensor::of<float>({3}, {std::numeric_limits<float>::quiet_NaN(), 1, 2})})),
      ElementsAre("none", "one", "_Unused"));
}

SingleNode stump() {
  SingleNode node("TreeEnsemble", 5);
  node.domain("ai.onnx.ml").with("tree_roots", Ints{0}).with("nodes_featureids", Ints{0});
  node.with("nodes_modes", Tensor::of<std::uint8_t>({1}, {0})).with("nodes_splits", Tensor::of<float>({1}, {0.5f}));
  node.with("nodes_truenodeids", Ints{0}).with("nodes_trueleafs", Ints{1});
  node.with("nodes_falsenodeids", Ints{1}).with("nodes_falseleafs", Ints{1});
  node.with("leaf_targetids", Ints{0, 1}).with("leaf_weights", Tensor::of<float>({2}, {3, 4}));
  return node;
}

TEST(TreeEnsemble, rows_walk_to_their_leaves) {
  const Tensor x = Tensor::of<float>({2, 1}, {0.5f, 0.6f});
  EXPECT_THAT(elements<float>(stump().run({x})), ElementsAre(3, 0, 0, 4));
}

TEST(TreeEnsemble, cycles_and_places_outside_are_refused) {
  const Tensor x = Tensor::of<float>({1, 1}, {0});
  EXPECT_THROW(stump().with("nodes_trueleafs", Ints{0}).run({x}), Error);
  EXPECT_THROW(stump().with("nodes_falsenodeids", Ints{2}).run({x}), Error);
  EXPECT_THROW(stump().with("nodes_featureids", Ints{1}).run({x}), Error);
}

TEST(ArrayFeatureExtractor, picks_along_the_last_axis) {
  const Tensor x = Tensor::of<float>({2, 3}, {0, 1, 2, 3, 4, 5});
  SingleNode node("ArrayFeatureExtractor", 1);
  node.domain("ai.onnx.ml");
  EXPECT_THAT(elements<float>(node.run({x, Tensor::of<std::int64_t>({2}, {2, 0})})), ElementsAre(2, 0, 5, 3));
  EXPECT_THROW(node.run({x, Tensor::of<std::int64_t>({1}, {3})}), Error);
}

}  // namespace
}  // namespace sparse_run::reference
