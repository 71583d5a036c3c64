// Values come out of the wire as they went in; damaged messages are refused.
#include "runtime/distributed/wire.hpp"

#include <gtest/gtest.h>

namespace sparse_run {
namespace {

TEST(Wire, numbers_texts_types_and_values_come_back) {
  WireWriter writer;
  writer.put(std::int32_t{-7});
  writer.put(std::string_view("text"));
  writer.put(Type::sequence(Type::tensor(DType::i64, Shape{2, -1})));
  Tensor words = Tensor::allocate(DType::string, {2});
  words.data<std::string>()[1] = "word";
  const std::vector<Value> values{Tensor::of<float>({2, 1}, {1.5f, -2.0f}),
                                  Value::sequence({Tensor::scalar(true), words}), Value::none(), Value{},
                                  Tensor::of<double>({0}, {})};
  writer.put(std::span<const Value>(values));
  WireReader reader(writer.take());
  EXPECT_EQ(reader.get<std::int32_t>(), -7);
  EXPECT_EQ(reader.text(), "text");
  EXPECT_EQ(to_string(reader.type()), to_string(Type::sequence(Type::tensor(DType::i64, Shape{2, -1}))));
  const auto back = reader.values();
  EXPECT_TRUE(reader.at_end());
  ASSERT_EQ(back.size(), values.size());
  EXPECT_EQ(back[0].tensor.data<float>()[1], -2.0f);
  EXPECT_EQ(back[1].elements[1].tensor.data<std::string>()[1], "word");
  EXPECT_TRUE(back[1].elements[0].tensor.data<bool>()[0]);
  EXPECT_EQ(back[2].kind, ValueKind::optional);
  EXPECT_TRUE(back[3].absent());
  EXPECT_EQ(back[4].tensor.size(), 0);
}

TEST(Wire, every_truncation_and_absurd_count_is_refused) {
  WireWriter writer;
  writer.put(std::span<const Value>(std::vector<Value>{Tensor::of<float>({3}, {1, 2, 3})}));
  const auto whole = writer.take();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW(
        WireReader(std::vector<std::byte>(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))).values(),
        Error)
        << size;
  }
  WireWriter absurd;
  absurd.put(std::size_t{1} << 60);
  const auto bytes = absurd.take();
  EXPECT_THROW(WireReader(bytes).values(), Error);
  EXPECT_THROW(WireReader(bytes).text(), Error);
}

}  // namespace
}  // namespace sparse_run
