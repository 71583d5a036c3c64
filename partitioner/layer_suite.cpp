// Building the layers of the calibration.
#include "partitioner/layer_suite.hpp"

#include <random>

namespace sparse_run {

namespace {

using Layers = std::vector<std::shared_ptr<const Graph>>;
constexpr double kShares[] = {0, 0.7, 0.8, 0.9, 0.95};

Tensor random_weights(Shape shape, double zeros, std::mt19937_64& random) {
  Tensor tensor = Tensor::allocate(DType::f32, std::move(shape));
  std::uniform_real_distribution<float> value(-0.1f, 0.1f);
  std::uniform_real_distribution<double> chance(0, 1);
  for (float& weight : tensor.data<float>()) weight = chance(random) < zeros ? 0.0f : value(random);
  return tensor;
}

/// A graph of one node: computed operands first, then constants.
std::shared_ptr<const Graph> one_node(const char* op, std::vector<Shape> inputs, std::vector<Tensor> constants,
                                      Shape output, std::map<std::string, Attribute, std::less<>> attributes = {},
                                      std::string_view domain = "") {
  GraphBuilder builder("layer");
  Node node;
  node.name = "layer";
  node.op = op;
  node.domain = domain;
  node.opset = domain.empty() ? 17 : 1;
  node.attributes = std::move(attributes);
  for (Shape& shape : inputs) node.inputs.push_back(builder.add_input("x", Type::tensor(DType::f32, std::move(shape))));
  for (Tensor& constant : constants) node.inputs.push_back(builder.add_constant("w", std::move(constant)));
  node.outputs = {builder.add_value("y", Type::tensor(DType::f32, std::move(output)))};
  const ValueId result = node.outputs[0];
  builder.add_node(std::move(node));
  builder.add_output(result);
  return std::make_shared<const Graph>(std::move(builder).build());
}

void add_convolution(Layers& layers, std::int64_t batch, std::int64_t in, std::int64_t size, std::int64_t out,
                     std::int64_t kernel, std::int64_t stride, std::int64_t groups, double zeros,
                     std::mt19937_64& random) {
  const std::int64_t pad = kernel / 2;
  const std::int64_t result = (size + 2 * pad - kernel) / stride + 1;
  layers.push_back(
      one_node("Conv", {{batch, in, size, size}},
               {random_weights({out, in / groups, kernel, kernel}, zeros, random), random_weights({out}, 0, random)},
               {batch, out, result, result},
               {{"kernel_shape", std::vector<std::int64_t>{kernel, kernel}},
                {"strides", std::vector<std::int64_t>{stride, stride}},
                {"pads", std::vector<std::int64_t>{pad, pad, pad, pad}},
                {"group", groups}}));
}

void add_convolutions(Layers& layers, std::mt19937_64& random) {
  add_convolution(layers, 1, 3, 224, 64, 7, 2, 1, 0, random);
  for (const double zeros : kShares) {
    for (const std::int64_t batch : {1, 8}) {
      add_convolution(layers, batch, 64, 56, 64, 3, 1, 1, zeros, random);
      add_convolution(layers, batch, 64, 56, 256, 1, 1, 1, zeros, random);
      add_convolution(layers, batch, 256, 14, 256, 3, 1, 1, zeros, random);
      add_convolution(layers, batch, 1024, 14, 256, 1, 1, 1, zeros, random);
      add_convolution(layers, batch, 512, 7, 512, 3, 1, 1, zeros, random);
    }
  }
  for (const auto& [channels, size] :
       {std::pair<std::int64_t, std::int64_t>{32, 112}, {128, 56}, {256, 28}, {512, 14}, {1024, 7}}) {
    add_convolution(layers, 1, channels, size, channels, 3, 1, channels, 0, random);
  }
}

void add_products(Layers& layers, std::mt19937_64& random) {
  for (const double zeros : kShares) {
    for (const auto& [m, k, n] : {std::tuple<std::int64_t, std::int64_t, std::int64_t>{1, 2048, 2048},
                                  {64, 2048, 2048},
                                  {128, 768, 768},
                                  {128, 768, 3072},
                                  {128, 3072, 768},
                                  {1, 1024, 1000}}) {
      layers.push_back(one_node("MatMul", {{m, k}}, {random_weights({k, n}, zeros, random)}, {m, n}));
    }
  }
  for (const auto& [heads, tokens] : {std::pair<std::int64_t, std::int64_t>{12, 128}, {12, 64}, {16, 256}}) {
    layers.push_back(one_node("MatMul", {{heads, tokens, 64}, {heads, 64, tokens}}, {}, {heads, tokens, tokens}));
    layers.push_back(one_node("MultiHeadAttention",
                              {{1, tokens, heads * 64}, {1, tokens, heads * 64}, {1, tokens, heads * 64}}, {},
                              {1, tokens, heads * 64}, {{"num_heads", heads}}, kInternalDomain));
  }
}

void add_the_rest(Layers& layers, std::mt19937_64& random) {
  for (const Shape& shape :
       {Shape{1, 64, 56, 56}, Shape{1, 512, 14, 14}, Shape{1, 128, 768}, Shape{1, 128, 3072}, Shape{16, 64, 56, 56}}) {
    layers.push_back(one_node("Add", {shape, shape}, {}, shape));
    layers.push_back(one_node("Relu", {shape}, {}, shape));
    layers.push_back(one_node("Erf", {shape}, {}, shape));
    layers.push_back(one_node("Sigmoid", {shape}, {}, shape));
  }
  // Layers whose time is that of starting them.
  for (const std::int64_t width : {16, 64}) {
    const Shape shape{width / 8, width};
    layers.push_back(one_node("MatMul", {shape}, {random_weights({width, width}, 0, random)}, shape));
    layers.push_back(one_node("MatMul", {shape}, {random_weights({width, width}, 0.9, random)}, shape));
    layers.push_back(one_node("Add", {shape, shape}, {}, shape));
    layers.push_back(one_node("Relu", {shape}, {}, shape));
  }
  for (const Shape& shape : {Shape{12, 128, 128}, Shape{1, 1000}, Shape{16, 256, 256}}) {
    layers.push_back(one_node("Softmax", {shape}, {}, shape, {{"axis", std::int64_t{-1}}}));
  }
  for (const Shape& shape : {Shape{1, 128, 768}, Shape{1, 512, 1024}}) {
    layers.push_back(one_node("LayerNormalization", {shape},
                              {random_weights({shape.back()}, 0, random), random_weights({shape.back()}, 0, random)},
                              shape));
    layers.push_back(one_node("Transpose", {{1, shape[1], 12, shape[2] / 12 / 4 * 4}}, {},
                              {1, 12, shape[1], shape[2] / 12 / 4 * 4},
                              {{"perm", std::vector<std::int64_t>{0, 2, 1, 3}}}));
    layers.push_back(
        one_node("Concat", {shape, shape}, {}, {shape[0], 2 * shape[1], shape[2]}, {{"axis", std::int64_t{1}}}));
  }
  layers.push_back(one_node("GlobalAveragePool", {{1, 2048, 7, 7}}, {}, {1, 2048, 1, 1}));
  layers.push_back(one_node("MaxPool", {{1, 64, 112, 112}}, {}, {1, 64, 56, 56},
                            {{"kernel_shape", std::vector<std::int64_t>{3, 3}},
                             {"strides", std::vector<std::int64_t>{2, 2}},
                             {"pads", std::vector<std::int64_t>{1, 1, 1, 1}}}));
}

}  // namespace

std::vector<std::shared_ptr<const Graph>> calibration_layers(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Layers layers;
  add_convolutions(layers, random);
  add_products(layers, random);
  add_the_rest(layers, random);
  return layers;
}

}  // namespace sparse_run
