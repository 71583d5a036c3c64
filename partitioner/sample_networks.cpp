// Building the networks.
#include "partitioner/sample_networks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace sparse_run {

namespace {

/// Grows a graph layer by layer.
class Sketch {
 public:
  Sketch(const char* name, std::uint64_t seed) : builder_(name), random_(seed) {}

  ValueId input(Shape shape, DType dtype = DType::f32) {
    return builder_.add_input("input", Type::tensor(dtype, std::move(shape)));
  }

  ValueId convolution(ValueId x, std::int64_t channels, std::int64_t kernel, double zeros = 0) {
    const Shape in = shape_of(x);
    const std::int64_t pad = kernel / 2;
    return node("Conv", {x, weights({channels, in[1], kernel, kernel}, zeros)}, {in[0], channels, in[2], in[3]},
                {{"kernel_shape", std::vector<std::int64_t>{kernel, kernel}},
                 {"pads", std::vector<std::int64_t>{pad, pad, pad, pad}}});
  }
  ValueId dense(ValueId x, std::int64_t width, double zeros = 0) {
    const Shape in = shape_of(x);
    return node("MatMul", {x, weights({in.back(), width}, zeros)}, {in[0], width});
  }
  ValueId relu(ValueId x) { return node("Relu", {x}, shape_of(x)); }
  ValueId add(ValueId a, ValueId b) { return node("Add", {a, b}, shape_of(a)); }
  ValueId pool(ValueId x) {
    const Shape in = shape_of(x);
    return node("GlobalAveragePool", {x}, {in[0], in[1], 1, 1});
  }
  ValueId flatten(ValueId x) {
    const Shape in = shape_of(x);
    return node("Flatten", {x}, {in[0], element_count(in) / in[0]});
  }
  ValueId lookup(ValueId rows, std::int64_t table_rows, std::int64_t width) {
    return node("Gather", {weights({table_rows, width}, 0), rows}, {shape_of(rows)[0], width});
  }

  SampleNetwork finish(ValueId output, std::string about) {
    builder_.add_output(output);
    auto graph = std::make_shared<const Graph>(std::move(builder_).build());
    return {graph->name(), std::move(about), graph};
  }
  std::mt19937_64& random() { return random_; }
  int below(int count) { return static_cast<int>(random_() % static_cast<std::uint64_t>(count)); }

 private:
  const Shape& shape_of(ValueId id) const { return *builder_.value(id).type.shape; }

  ValueId weights(Shape shape, double zeros) {
    Tensor tensor = Tensor::allocate(DType::f32, std::move(shape));
    const auto bound = static_cast<std::uint32_t>(zeros * 65536);
    // One draw gives a weight's fate and its value; scale keeps activations near one.
    const double scale = 2.0 / std::sqrt(std::max(1.0, (1 - zeros) * static_cast<double>(tensor.size()) /
                                                           static_cast<double>(tensor.shape()[0])));
    for (float& weight : tensor.data<float>()) {
      const std::uint64_t draw = random_();
      const double value = static_cast<double>(draw >> 40) / static_cast<double>(1 << 24) - 0.5;
      weight = (draw & 0xffff) < bound ? 0.0f : static_cast<float>(scale * value);
    }
    return builder_.add_constant("weight", std::move(tensor));
  }

  ValueId node(const char* op, std::vector<ValueId> inputs, Shape output,
               std::map<std::string, Attribute, std::less<>> attributes = {}) {
    Node made;
    made.name = fmt::format("{}_{}", op, count_++);
    made.op = op;
    made.opset = 17;
    made.inputs = std::move(inputs);
    made.attributes = std::move(attributes);
    const ValueId result = builder_.add_value(made.name + "_out", Type::tensor(DType::f32, std::move(output)));
    made.outputs = {result};
    builder_.add_node(std::move(made));
    return result;
  }

  GraphBuilder builder_;
  std::mt19937_64 random_;
  int count_ = 0;
};

}  // namespace

SampleNetwork dense_beside_sparse(std::uint64_t seed) {
  Sketch sketch("dense-beside-sparse", seed);
  ValueId x = sketch.input({8, 64, 28, 28});
  for (int i = 0; i < 3; ++i) x = sketch.convolution(x, 64, 3);
  x = sketch.flatten(sketch.pool(x));
  for (const std::int64_t width : {3072, 3072, 3072, 3072}) x = sketch.dense(x, width, 0.99);
  return sketch.finish(x, "dense convolutions, then fully connected layers with 99% zeros");
}

SampleNetwork large_embedding(std::uint64_t seed) {
  Sketch sketch("large-embedding", seed);
  ValueId x = sketch.lookup(sketch.input({256}, DType::i64), 131072, 128);
  for (const std::int64_t width : {1024, 1024, 512}) x = sketch.dense(x, width);
  return sketch.finish(x, "256 rows of a 64 MiB table, then dense fully connected layers");
}

SampleNetwork more_weights_than_memory(std::uint64_t seed) {
  Sketch sketch("more-weights-than-memory", seed);
  ValueId x = sketch.input({2, 256, 14, 14});
  for (int i = 0; i < 8; ++i) x = sketch.convolution(x, 256, i % 2 == 0 ? 3 : 1);
  return sketch.finish(x, "dense convolutions whose weights are more than a small accelerator holds");
}

SampleNetwork everything_dense(std::uint64_t seed) {
  Sketch sketch("everything-dense", seed);
  ValueId x = sketch.input({8, 64, 28, 28});
  for (int i = 0; i < 6; ++i) x = sketch.relu(sketch.convolution(x, 64, 3));
  return sketch.finish(x, "dense convolutions only");
}

SampleNetwork everything_tiny(std::uint64_t seed) {
  Sketch sketch("everything-tiny", seed);
  ValueId x = sketch.input({1, 16});
  for (int i = 0; i < 8; ++i) x = sketch.relu(sketch.dense(x, 16));
  return sketch.finish(x, "layers of a few hundred numbers");
}

SampleNetwork two_branches(std::uint64_t seed) {
  Sketch sketch("two-branches", seed);
  const ValueId x = sketch.input({64, 1024});
  ValueId dense = sketch.dense(x, 1024);
  ValueId sparse = sketch.dense(x, 1024, 0.97);
  for (int i = 0; i < 2; ++i) dense = sketch.dense(dense, 1024);
  for (int i = 0; i < 3; ++i) sparse = sketch.dense(sparse, 1024, 0.97);
  return sketch.finish(sketch.dense(sketch.add(dense, sparse), 256), "a dense and a sparse branch that meet");
}

SampleNetwork random_network(std::uint64_t seed, int nodes) {
  Sketch sketch("random-network", seed);
  std::vector<ValueId> made = {sketch.input({8, 64})};
  std::vector<bool> read(1, false);
  const auto pick = [&] {
    const int reach = std::min<int>(static_cast<int>(made.size()), 6);
    const std::size_t chosen = made.size() - 1 - static_cast<std::size_t>(sketch.below(reach));
    read[chosen] = true;
    return made[chosen];
  };
  for (int i = 0; i < nodes; ++i) {
    constexpr double kShares[] = {0, 0, 0.8, 0.95};
    const int kind = sketch.below(4);
    if (kind == 0) {
      made.push_back(sketch.relu(pick()));
    } else if (kind == 1) {
      const ValueId first = pick();
      made.push_back(sketch.add(first, pick()));
    } else {
      made.push_back(sketch.dense(pick(), 64, kShares[sketch.below(4)]));
    }
    read.push_back(false);
  }
  ValueId joined = made.back();
  for (std::size_t i = made.size() - 1; i-- > 1;) {  // what nobody has read would be removed
    if (!read[i]) joined = sketch.add(joined, made[i]);
  }
  return sketch.finish(joined, fmt::format("{} layers with skips and joins, dense and sparse", nodes));
}

SampleNetwork random_chain(std::uint64_t seed, int layers) {
  Sketch sketch("random-chain", seed);
  constexpr std::int64_t kWidths[] = {64, 256, 768, 1024};
  constexpr double kShares[] = {0, 0, 0.85, 0.97};
  ValueId x = sketch.input({16, kWidths[sketch.below(4)]});
  for (int i = 0; i < layers; ++i) {
    const std::int64_t width = kWidths[sketch.below(4)];
    x = sketch.dense(x, width, kShares[sketch.below(4)]);
  }
  return sketch.finish(x, fmt::format("a chain of {} fully connected layers", layers));
}

std::vector<SampleNetwork> sample_networks(std::uint64_t seed) {
  return {dense_beside_sparse(seed), large_embedding(seed), more_weights_than_memory(seed), everything_dense(seed),
          everything_tiny(seed),     two_branches(seed),    random_network(seed, 60)};
}

}  // namespace sparse_run
