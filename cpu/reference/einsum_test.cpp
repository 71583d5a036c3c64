// Einsum against hand-computed values.
#include "cpu/reference/one_node_test.hpp"

namespace sparse_run::reference {
namespace {

using testing::ElementsAre;

std::vector<float> einsum(std::string equation, std::vector<Value> operands) {
  return elements<float>(run_one("Einsum", 12, {{"equation", std::move(equation)}}, std::move(operands))[0]);
}

const Tensor& matrix() {
  static const Tensor tensor = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  return tensor;
}

TEST(Einsum, products_sums_and_transposes) {
  EXPECT_THAT(einsum("ij,jk->ik", {matrix(), matrix()}), ElementsAre(7, 10, 15, 22));
  EXPECT_THAT(einsum("ij->i", {matrix()}), ElementsAre(3, 7));
  EXPECT_THAT(einsum("ij->ji", {matrix()}), ElementsAre(1, 3, 2, 4));
  EXPECT_THAT(einsum(" i j , j -> i ", {matrix(), Tensor::of<float>({2}, {1, 10})}), ElementsAre(21, 43));
}

TEST(Einsum, repeated_label_is_the_diagonal) {
  EXPECT_THAT(einsum("ii->i", {matrix()}), ElementsAre(1, 4));
  EXPECT_THAT(einsum("ii", {matrix()}), ElementsAre(5));
}

TEST(Einsum, implicit_result_is_alphabetical) { EXPECT_THAT(einsum("ba", {matrix()}), ElementsAre(1, 3, 2, 4)); }

TEST(Einsum, ellipsis_broadcasts) {
  const Tensor batch = Tensor::of<float>({3, 1, 2}, {1, 0, 0, 1, 1, 1});
  EXPECT_THAT(einsum("...ij,jk->...ik", {batch, matrix()}), ElementsAre(1, 2, 3, 4, 4, 6));
  EXPECT_THAT(einsum("...i,...i", {batch, Tensor::of<float>({2}, {1, 10})}), ElementsAre(1, 10, 11));
}

TEST(Einsum, three_operands) {
  const Tensor v = Tensor::of<float>({2}, {1, 10});
  EXPECT_THAT(einsum("i,ij,j->", {v, matrix(), v}), ElementsAre(451));
}

TEST(Einsum, unreadable_equations_are_refused) {
  for (const std::string equation : {"ij->k", "ij->ii", "i", "ij,jk->ik", "i1", "i..j", "......", "->", "ij->i-"}) {
    EXPECT_EQ(kind_thrown([&] { einsum(equation, {matrix()}); }), ErrorKind::model) << equation;
  }
  EXPECT_EQ(kind_thrown([] {
              einsum("ij,jk->ik", {matrix(), Tensor::of<float>({3, 1}, {1, 2, 3})});
            }),
            ErrorKind::model);
}

}  // namespace
}  // namespace sparse_run::reference
