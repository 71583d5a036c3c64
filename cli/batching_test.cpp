// Which inputs are split, and into what.
#include "cli/batching.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace sparse_run::cli {
namespace {

using testing::ElementsAre;

Port port(const char* name, Shape shape, std::vector<std::string> symbols = {}) {
  symbols.resize(shape.size());
  return {name, Type::tensor(DType::f32, std::move(shape)), std::move(symbols)};
}
Type given(Shape shape) { return Type::tensor(DType::f32, std::move(shape)); }

ErrorKind refusal(const std::vector<Port>& ports, const std::vector<Type>& types,
                  std::optional<std::int64_t> micro_batch) {
  try {
    plan_batching(ports, types, micro_batch);
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::internal;
}

TEST(Batching, an_input_of_the_models_batch_is_no_job) {
  EXPECT_FALSE(plan_batching({port("x", {2, 3})}, {given({2, 3})}, std::nullopt).is_job);
}

TEST(Batching, a_longer_input_of_a_fixed_batch_is_split_and_filled_up) {
  const auto batching = plan_batching({port("x", {2, 3}), port("k", {5})}, {given({7, 3}), given({5})}, std::nullopt);
  EXPECT_TRUE(batching.is_job);
  EXPECT_TRUE(batching.pad_last);
  EXPECT_EQ(batching.rows, 7);
  EXPECT_EQ(batching.micro_batch, 2);
  EXPECT_THAT(batching.split, ElementsAre(true, false));
}

TEST(Batching, another_shape_behind_the_batch_is_no_job) {
  EXPECT_FALSE(plan_batching({port("x", {1, 3})}, {given({7, 4})}, std::nullopt).is_job);
}

TEST(Batching, a_symbolic_batch_is_split_only_on_request) {
  const std::vector<Port> ports = {port("x", {-1, 3}, {"N"}), port("mask", {-1}, {"N"}), port("k", {-1}, {"K"})};
  const std::vector<Type> types = {given({8, 3}), given({8}), given({8})};
  EXPECT_FALSE(plan_batching(ports, types, std::nullopt).is_job);
  EXPECT_FALSE(plan_batching(ports, types, 8).is_job);
  const auto batching = plan_batching(ports, types, 3);
  EXPECT_TRUE(batching.is_job);
  EXPECT_FALSE(batching.pad_last);
  EXPECT_EQ(batching.micro_batch, 3);
  EXPECT_THAT(batching.split, ElementsAre(true, true, false));
}

TEST(Batching, contradictions_are_refused) {
  EXPECT_EQ(refusal({port("x", {2, 3})}, {given({8, 3})}, 4), ErrorKind::usage);
  EXPECT_EQ(refusal({port("x", {1, 3}), port("y", {1, 3})}, {given({8, 3}), given({9, 3})}, std::nullopt),
            ErrorKind::input);
  EXPECT_EQ(refusal({port("x", {-1, 3}, {"N"}), port("y", {-1, 3}, {"N"})}, {given({8, 3}), given({9, 3})}, 2),
            ErrorKind::input);
}

}  // namespace
}  // namespace sparse_run::cli
