// Matrix products and determinants against hand-computed values.
#include "cpu/reference/one_node_test.hpp"

namespace sparse_run::reference {
namespace {

using testing::ElementsAre;

TEST(MatMul, two_matrices) {
  const auto y =
      run_one("MatMul", 13, {}, {Tensor::of<float>({2, 2}, {1, 2, 3, 4}), Tensor::of<float>({2, 1}, {10, 1})});
  EXPECT_EQ(y[0].tensor.shape(), Shape({2, 1}));
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(12, 34));
}

TEST(MatMul, vectors_lose_their_added_dimension) {
  const Tensor v = Tensor::of<float>({2}, {1, 10});
  const Tensor m = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(run_one("MatMul", 13, {}, {v, v})[0].tensor.shape(), Shape{});
  EXPECT_THAT(elements<float>(run_one("MatMul", 13, {}, {v, v})[0]), ElementsAre(101));
  EXPECT_THAT(elements<float>(run_one("MatMul", 13, {}, {v, m})[0]), ElementsAre(31, 42));
  EXPECT_THAT(elements<float>(run_one("MatMul", 13, {}, {m, v})[0]), ElementsAre(21, 43));
}

TEST(MatMul, batches_broadcast) {
  const auto y =
      run_one("MatMul", 13, {}, {Tensor::of<float>({2, 1, 1, 1}, {1, 2}), Tensor::of<float>({3, 1, 1}, {10, 20, 30})});
  EXPECT_EQ(y[0].tensor.shape(), Shape({2, 3, 1, 1}));
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(10, 20, 30, 20, 40, 60));
}

TEST(MatMul, integers_wrap) {
  const auto y = run_one("MatMul", 13, {},
                         {Tensor::of<std::int32_t>({1, 2}, {65536, -3}), Tensor::of<std::int32_t>({2, 1}, {65536, 5})});
  EXPECT_THAT(elements<std::int32_t>(y[0]), ElementsAre(-15));
}

TEST(MatMul, empty_inner_dimension_gives_zeros) {
  const auto y =
      run_one("MatMul", 13, {}, {Tensor::allocate(DType::f32, {2, 0}), Tensor::allocate(DType::f32, {0, 1})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(0, 0));
}

TEST(MatMul, mismatch_is_refused) {
  EXPECT_EQ(kind_thrown([] {
              run_one("MatMul", 13, {}, {Tensor::allocate(DType::f32, {2, 3}), Tensor::allocate(DType::f32, {2, 3})});
            }),
            ErrorKind::model);
}

TEST(Gemm, transposes_scales_and_broadcasts_c) {
  const auto y = run_one(
      "Gemm", 13, {{"transA", std::int64_t{1}}, {"transB", std::int64_t{1}}, {"alpha", 2.0F}, {"beta", 0.5F}},
      {Tensor::of<float>({1, 2}, {1, 2}), Tensor::of<float>({2, 1}, {3, 4}), Tensor::of<float>({2, 1}, {10, 20})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(11, 13, 22, 26));
}

TEST(Gemm, c_is_required_until_opset_11) {
  const auto call = [](int opset) {
    return run_one("Gemm", opset, {}, {Tensor::of<float>({1, 1}, {3}), Tensor::of<float>({1, 1}, {4})});
  };
  EXPECT_THAT(elements<float>(call(11)[0]), ElementsAre(12));
  EXPECT_EQ(kind_thrown([&] { call(9); }), ErrorKind::model);
}

TEST(Det, of_each_matrix) {
  const auto y = run_one("Det", 11, {}, {Tensor::of<float>({2, 2, 2}, {1, 2, 3, 4, 0, 1, 1, 0})});
  EXPECT_THAT(elements<float>(y[0]), ElementsAre(testing::FloatNear(-2, 1e-6F), -1));
}

TEST(MatMulInteger, zero_points_per_row_and_column) {
  const auto y = run_one("MatMulInteger", 10, {},
                         {Tensor::of<std::uint8_t>({2, 1}, {10, 20}), Tensor::of<std::int8_t>({1, 2}, {3, 4}),
                          Tensor::of<std::uint8_t>({2}, {8, 10}), Tensor::of<std::int8_t>({2}, {1, -1})});
  EXPECT_THAT(elements<std::int32_t>(y[0]), ElementsAre(4, 10, 20, 50));
}

TEST(QLinearMatMul, rounds_half_to_even_and_saturates) {
  const auto run = [](std::uint8_t value) {
    const auto y = run_one("QLinearMatMul", 21, {},
                           {Tensor::of<std::uint8_t>({1, 1}, {value}), Tensor::scalar(0.5F),
                            Tensor::scalar<std::uint8_t>(0), Tensor::of<std::int8_t>({1, 1}, {1}), Tensor::scalar(1.0F),
                            Tensor::scalar<std::int8_t>(0), Tensor::scalar(1.0F), Tensor::scalar<std::int8_t>(100)});
    return elements<std::int8_t>(y[0])[0];
  };
  EXPECT_EQ(run(5), 102);
  EXPECT_EQ(run(7), 104);
  EXPECT_EQ(run(200), 127);
}

}  // namespace
}  // namespace sparse_run::reference
