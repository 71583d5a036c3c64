// Every kernel of the CUDA device against the oracle, over random shapes: the same code that nvcc compiles.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cuda/node_trial.hpp"

namespace sparse_run::gpu::cuda {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Ints = std::vector<std::int64_t>;

constexpr std::uint64_t kSeed = 20261124;
constexpr double kTolerance = 2e-5;
/// A GPU's libraries sum in another order, and its functions of one number are less exact.
constexpr double kToleranceOnGpu = 1e-4;

class Kernels : public testing::Test {
 protected:
  Kernels() { RecordProperty("seed", std::to_string(kSeed)); }
  ~Kernels() override {
    if (HasFailure()) std::printf("seed %llu\n", static_cast<unsigned long long>(kSeed));
  }

  std::int64_t size(std::int64_t from, std::int64_t to) {
    return std::uniform_int_distribution<std::int64_t>(from, to)(random_);
  }
  Tensor floats(Shape shape, double zeros = 0) { return random_tensor(random_, std::move(shape), zeros); }
  static Tensor integers(Ints values) {
    return Tensor::of<std::int64_t>({static_cast<std::int64_t>(values.size())}, values);
  }
  void expect_same(const NodeTrial& trial, std::string_view kernel = "", double tolerance = kTolerance) {
    expect_same_on(*device_, trial, kernel, tolerance);
  }
  void expect_same_on(Device& device, const NodeTrial& trial, std::string_view kernel, double tolerance = kTolerance) {
    ASSERT_EQ(trial.refusal(device), "");
    const auto outcome = trial.run(device);
    const auto expected = trial.expected();
    ASSERT_EQ(outcome.results.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_LE(divergence(outcome.results[i], expected[i].tensor), tested_gpu() ? kToleranceOnGpu : tolerance)
          << outcome.kernel << " result " << i;
    }
    if (kernel.empty() || tested_gpu()) return;  // which engines there are is the library's affair
    EXPECT_EQ(outcome.kernel, kernel) << outcome.refusals;
  }

  std::mt19937_64 random_{kSeed};
  std::shared_ptr<Device> device_ = host_device();
  std::shared_ptr<Device> bare_ = host_device({.generated = false}, true);
};

TEST_F(Kernels, functions_of_one_operand) {
  for (const char* op :
       {"Relu", "HardSwish", "Sigmoid", "Tanh", "Mish", "Softplus", "Neg",       "Abs", "Exp",         "Floor",
        "Ceil", "Round",     "Erf",     "Sin",  "Cos",  "Sign",     "LeakyRelu", "Elu", "HardSigmoid", "Gelu"}) {
    SCOPED_TRACE(op);
    expect_same(NodeTrial(op, 22).operand(floats({3, size(1, 400)})), "gpu.pointwise.f32");
  }
  for (const char* op : {"Sqrt", "Log", "Reciprocal"}) {
    SCOPED_TRACE(op);
    Tensor positive = floats({size(1, 700)});
    for (float& x : positive.data<float>()) x = x * x + 0.1f;
    expect_same(NodeTrial(op).operand(positive), "gpu.pointwise.f32");
  }
  expect_same(NodeTrial("Gelu", 20).with("approximate", std::string("tanh")).operand(floats({50})));
  expect_same(NodeTrial("Clip").operand(floats({99})).constant(Tensor::scalar(-0.3f)).constant(Tensor::scalar(0.4f)));
  expect_same(NodeTrial("Clip").operand(floats({99})).omitted().constant(Tensor::scalar(0.4f)));
  expect_same(NodeTrial("Relu").operand(floats({0, 4})));
}

TEST_F(Kernels, not_a_number_passes_through_bounds) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = Tensor::of<float>({4}, {nan, -1, 0, 2});
  for (const char* op : {"Relu", "LeakyRelu", "HardSwish"}) expect_same(NodeTrial(op).operand(x));
  expect_same(NodeTrial("Clip").operand(x).constant(Tensor::scalar(-0.5f)).constant(Tensor::scalar(1.0f)));
  expect_same(NodeTrial("Max").operand(x).operand(Tensor::of<float>({4}, {1, nan, 1, 1})));
  expect_same(NodeTrial("ReduceMax", 13).with("keepdims", std::int64_t{0}).operand(x));
  expect_same(NodeTrial("Softmax").operand(x));
}

TEST_F(Kernels, functions_of_two_operands_repeat_axes) {
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Min", "Max"}) {
    SCOPED_TRACE(op);
    const std::int64_t a = size(1, 5);
    const std::int64_t b = size(2, 7);
    const std::int64_t c = size(1, 9);
    for (const Shape& other : {Shape{a, b, c}, Shape{c}, Shape{b, 1}, Shape{1, 1, 1}, Shape{a, 1, c}, Shape{}}) {
      expect_same(NodeTrial(op).operand(floats({a, b, c})).operand(floats(other)), "gpu.pointwise.f32", 1e-4);
      expect_same(NodeTrial(op).operand(floats(other)).operand(floats({a, b, c})), "gpu.pointwise.f32", 1e-4);
    }
  }
  Tensor base = floats({2, 31});
  for (float& x : base.data<float>()) x = std::abs(x) + 0.5f;
  expect_same(NodeTrial("Pow").operand(base).operand(floats({31})));
}

TEST_F(Kernels, choice_and_conversion) {
  Tensor condition = Tensor::allocate(DType::boolean, {4, 1, 3});
  for (bool& one : condition.data<bool>()) one = size(0, 1) != 0;
  expect_same(NodeTrial("Where").operand(condition).operand(floats({5, 3})).operand(floats({4, 5, 1})),
              "gpu.where.f32");
  const Tensor x = Tensor::of<float>({6}, {-2.7f, -0.2f, 0, 0.9f, 3.5f, 200.25f});
  for (const DType to : {DType::f32, DType::i32, DType::i64, DType::boolean}) {
    expect_same(NodeTrial("Cast").with("to", static_cast<std::int64_t>(to)).operand(x), "gpu.cast");
  }
  expect_same(NodeTrial("Cast").with("to", std::int64_t{1}).operand(integers({-3, 0, 5, 1LL << 40})), "gpu.cast");
}

TEST_F(Kernels, transposes_slices_and_repetitions) {
  for (const Ints& perm : {Ints{0, 1, 2, 3}, Ints{3, 2, 1, 0}, Ints{0, 2, 3, 1}, Ints{1, 0, 3, 2}}) {
    expect_same(NodeTrial("Transpose").with("perm", perm).operand(floats({2, 3, size(1, 5), 7})), "gpu.transpose");
  }
  expect_same(NodeTrial("Transpose").operand(integers({1, 2, 3}).reshaped({1, 3})), "gpu.transpose");
  expect_same(NodeTrial("Slice")
                  .operand(floats({5, 9, 4}))
                  .constant(integers({1, -2}))
                  .constant(integers({4, -9}))
                  .constant(integers({0, 1}))
                  .constant(integers({2, -3})),
              "gpu.slice");
  expect_same(NodeTrial("Slice").operand(floats({5, 9})).constant(integers({7, 0})).constant(integers({9, 9})));
  expect_same(NodeTrial("Expand").operand(floats({3, 1, 2})).constant(integers({4, 3, 5, 2})), "gpu.expand");
}

TEST_F(Kernels, joining_and_splitting) {
  for (const std::int64_t axis : {0, 1, 2, -1}) {
    Shape first{2, 3, 4};
    Shape second = first;
    second[static_cast<std::size_t>((axis + 3) % 3)] = size(1, 6);
    expect_same(NodeTrial("Concat").with("axis", axis).operand(floats(first)).operand(floats(second)), "gpu.concat");
  }
  expect_same(NodeTrial("Split")
                  .with("axis", std::int64_t{1})
                  .operand(floats({3, 7, 2}))
                  .constant(integers({2, 4, 1}))
                  .results(3),
              "gpu.split");
}

TEST_F(Kernels, padding_adds_and_cuts) {
  expect_same(NodeTrial("Pad").operand(floats({2, 3, 4})).constant(integers({0, 1, 2, 1, 0, 3})), "gpu.pad");
  expect_same(
      NodeTrial("Pad").operand(floats({5, 6})).constant(integers({-1, 2, 3, -2})).constant(Tensor::scalar(1.5f)),
      "gpu.pad");
}

TEST_F(Kernels, gathering_takes_rows_in_any_order) {
  for (const std::int64_t axis : {0, 1, 2}) {
    expect_same(NodeTrial("Gather").with("axis", axis).operand(floats({5, 5, 5})).operand(integers({4, -1, 0, 2})),
                "gpu.gather");
  }
  expect_same(NodeTrial("Gather").constant(floats({7, 6})).operand(Tensor::of<std::int32_t>({2, 2}, {6, 0, -7, 3})));
  Tensor bytes = Tensor::of<std::uint8_t>({3, 5}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});
  expect_same(NodeTrial("Gather").operand(bytes).operand(integers({2, 0})));
}

TEST_F(Kernels, an_index_out_of_range_is_an_error_that_names_it) {
  for (const std::int64_t wrong : {5, -6}) {
    const NodeTrial good = NodeTrial("Gather").operand(floats({5, 2})).operand(integers({0, 1, 2}));
    const auto graph = good.graph();
    try {
      run_graph(*device_, graph, {floats({5, 2}), integers({0, wrong, 2})});
      FAIL() << "index " << wrong << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::model);
      EXPECT_THAT(error.what(), HasSubstr("index 1 of 'operand1'"));
      EXPECT_THAT(error.what(), HasSubstr("5 elements"));
    }
    expect_same(good);
  }
}

TEST_F(Kernels, resizing_images) {
  const Tensor image = floats({2, 3, 5, 7});
  for (const char* mode : {"nearest", "linear"}) {
    for (const char* coordinates : {"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"}) {
      SCOPED_TRACE(std::string(mode) + " " + coordinates);
      const auto resized = [&] {
        return NodeTrial("Resize", 19)
            .with("mode", std::string(mode))
            .with("coordinate_transformation_mode", std::string(coordinates))
            .operand(image)
            .omitted();
      };
      expect_same(resized().constant(Tensor::of<float>({4}, {1, 1, 2, 1.5f})), "gpu.resize.f32");
      expect_same(resized().omitted().constant(integers({2, 3, 3, 14})), "gpu.resize.f32");
    }
  }
  for (const char* rounding : {"floor", "ceil", "round_prefer_ceil"}) {
    expect_same(NodeTrial("Resize", 19)
                    .with("nearest_mode", std::string(rounding))
                    .operand(image)
                    .omitted()
                    .constant(Tensor::of<float>({4}, {1, 1, 1.7f, 0.6f})));
  }
}

TEST_F(Kernels, softmax_along_any_axis) {
  for (const std::int64_t axis : {0, 1, 2, -1}) {
    for (const char* op : {"Softmax", "LogSoftmax"}) {
      expect_same(NodeTrial(op, 13).with("axis", axis).operand(floats({3, size(1, 600), 2})), "gpu.softmax.f32");
    }
  }
  expect_same(NodeTrial("Softmax", 11).with("axis", std::int64_t{1}).operand(floats({3, 4, 5})));
}

TEST_F(Kernels, normalisation_of_rows_and_channels) {
  const std::int64_t length = size(2, 900);
  expect_same(NodeTrial("LayerNormalization", 17)
                  .operand(floats({3, 4, length}))
                  .constant(floats({length}))
                  .constant(floats({length})),
              "gpu.normalization.f32", 1e-4);
  expect_same(NodeTrial("LayerNormalization", 17)
                  .with("axis", std::int64_t{1})
                  .operand(floats({3, 4, 5}))
                  .operand(floats({4, 5})),
              "gpu.normalization.f32", 1e-4);
  expect_same(NodeTrial("ChannelNormalization", 1, kInternalDomain)
                  .operand(floats({2, 33, 5}))
                  .constant(floats({33}))
                  .constant(floats({33})),
              "gpu.normalization.f32", 1e-4);
}

TEST_F(Kernels, reductions_over_any_axes) {
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMin", "ReduceMax", "ReduceProd", "ReduceSumSquare",
                         "ReduceL1", "ReduceL2", "ReduceLogSumExp"}) {
    SCOPED_TRACE(op);
    for (const Ints& axes : {Ints{0}, Ints{1}, Ints{0, 2}, Ints{-1}, Ints{0, 1, 2}}) {
      expect_same(
          NodeTrial(op, 18).with("keepdims", size(0, 1)).operand(floats({3, size(1, 9), 5})).constant(integers(axes)),
          "gpu.reduce.f32", 1e-4);
    }
  }
  expect_same(NodeTrial("ReduceSum", 13).operand(floats({2, 1000})), "gpu.reduce.f32", 1e-4);
  for (const char* op : {"GlobalAveragePool", "GlobalMaxPool"}) {
    expect_same(NodeTrial(op).operand(floats({2, 3, 7, size(1, 50)})), "gpu.reduce.f32", 1e-4);
  }
}

TEST_F(Kernels, poolings_over_windows) {
  for (int turn = 0; turn < 12; ++turn) {
    NodeTrial trial(turn % 2 == 0 ? "MaxPool" : "AveragePool", 22);
    const std::int64_t kernel = size(1, 3);
    trial.with("kernel_shape", Ints{kernel, size(1, 4)}).with("strides", Ints{size(1, 2), size(1, 3)});
    trial.with("pads", Ints{kernel / 2, 0, kernel / 2, 0}).with("ceil_mode", size(0, 1));
    if (turn % 2 != 0) trial.with("count_include_pad", size(0, 1));
    expect_same(trial.operand(floats({2, 3, size(6, 12), size(6, 12)})), "gpu.pool.f32");
  }
  expect_same(NodeTrial("MaxPool", 22).with("kernel_shape", Ints{3}).operand(floats({1, 4, 9})), "gpu.pool.f32");
}

TEST_F(Kernels, convolutions_by_cudnn_and_without_it) {
  for (int turn = 0; turn < 16; ++turn) {
    const std::int64_t group = turn % 4 == 3 ? 2 : 1;
    const std::int64_t kernel = size(1, 3);
    NodeTrial trial("Conv");
    trial.with("strides", Ints{size(1, 2), size(1, 2)}).with("dilations", Ints{size(1, 2), 1}).with("group", group);
    trial.with("pads", Ints{size(0, 2), size(0, 1), size(0, 2), size(0, 1)});
    trial.operand(floats({size(1, 3), 4, size(7, 11), size(7, 11)})).constant(floats({6, 4 / group, kernel, kernel}));
    if (turn % 2 == 0) trial.constant(floats({6}));
    expect_same(trial, "gpu.conv.cudnn_fused.f32");
    expect_same_on(*bare_, trial, "gpu.conv.plain.f32");
  }
  NodeTrial flat("Conv");
  flat.with("pads", Ints{1, 1}).operand(floats({2, 3, 12})).constant(floats({5, 3, 3}));
  expect_same(flat, "gpu.conv.cudnn_fused.f32");
  expect_same_on(*bare_, flat, "gpu.conv.plain.f32");
  expect_same(NodeTrial("Conv").operand(floats({1, 2, 4, 5, 3})).constant(floats({3, 2, 2, 3, 1})));
}

TEST_F(Kernels, fused_convolutions_apply_what_follows) {
  for (const char* activation : {"", "Relu", "Clip", "Tanh", "Sigmoid", "HardSwish", "Silu", "LeakyRelu"}) {
    SCOPED_TRACE(activation);
    NodeTrial trial("FusedConv", 1, kInternalDomain);
    const std::string name = activation;
    std::vector<float> parameters;
    if (name == "Clip") parameters = {-0.25f, 0.5f};
    if (name == "LeakyRelu") parameters = {0.2f};
    trial.with("activation", name).with("activation_parameters", parameters).with("pads", Ints{1, 1, 1, 1});
    trial.operand(floats({2, 3, 6, 5}))
        .constant(floats({4, 3, 3, 3}))
        .constant(floats({4}))
        .operand(floats({2, 4, 6, 5}));
    const bool fuses = name != "HardSwish" && name != "Silu" && name != "LeakyRelu";
    expect_same(trial, fuses ? "gpu.conv.cudnn_fused.f32" : "gpu.conv.cudnn.f32");
    expect_same_on(*bare_, trial, "gpu.conv.plain.f32");
    if (tested_gpu()) continue;
    host_cuda::set_dnn_mood(host_cuda::DnnMood::only_plain_convolutions);
    const auto plain = host_device();
    expect_same_on(*plain, trial, name.empty() ? "gpu.conv.cudnn.f32" : "gpu.conv.cudnn.f32");
    host_cuda::set_dnn_mood(host_cuda::DnnMood::no_convolutions);
    const auto none = host_device();
    expect_same_on(*none, trial, "gpu.conv.plain.f32");
    host_cuda::set_dnn_mood(host_cuda::DnnMood::willing);
  }
}

TEST_F(Kernels, products_of_all_kinds_of_batches) {
  struct Case {
    Shape a, b;
    std::string_view kernel;
  };
  for (const Case& one :
       {Case{{5, 7}, {7, 3}, "gpu.matmul.cublaslt.f32"}, Case{{2, 5, 7}, {7, 3}, "gpu.matmul.cublaslt.f32"},
        Case{{2, 5, 7}, {2, 7, 3}, "gpu.matmul.cublaslt.f32"}, Case{{5, 7}, {4, 7, 3}, "gpu.matmul.cublaslt.f32"},
        Case{{2, 3, 5, 7}, {2, 3, 7, 4}, "gpu.matmul.cublaslt.f32"},
        Case{{2, 1, 5, 7}, {3, 7, 4}, "gpu.matmul.plain.f32"}, Case{{7}, {7, 3}, "gpu.matmul.cublaslt.f32"},
        Case{{5, 7}, {7}, "gpu.matmul.cublaslt.f32"}}) {
    SCOPED_TRACE(to_string(one.a) + " by " + to_string(one.b));
    const NodeTrial trial = NodeTrial("MatMul").operand(floats(one.a)).operand(floats(one.b));
    expect_same(trial, one.kernel);
    expect_same_on(*bare_, trial, "gpu.matmul.plain.f32");
  }
  expect_same(NodeTrial("MatMul").operand(floats({0, 7})).operand(floats({7, 3})), "gpu.matmul.plain.f32");
}

TEST_F(Kernels, products_with_transposes_addends_and_activations) {
  for (const std::int64_t a : {0, 1}) {
    for (const std::int64_t b : {0, 1}) {
      NodeTrial gemm("Gemm", 13);
      gemm.with("transA", a).with("transB", b).with("alpha", 0.75f);
      gemm.operand(floats(a != 0 ? Shape{6, 5} : Shape{5, 6})).operand(floats(b != 0 ? Shape{4, 6} : Shape{6, 4}));
      NodeTrial with_bias = gemm;
      expect_same(gemm, "gpu.matmul.cublaslt.f32");
      expect_same(with_bias.operand(floats({4})), "gpu.matmul.cublaslt.f32");
      expect_same(gemm.operand(floats({5, 4})), "gpu.matmul.cublaslt.f32");
      expect_same_on(*bare_, gemm, "gpu.matmul.plain.f32");
    }
  }
  for (const char* activation : {"", "Relu", "GeluTanh", "Gelu", "Sigmoid"}) {
    for (const bool has_bias : {false, true}) {
      NodeTrial fused("FusedMatMul", 1, kInternalDomain);
      fused.with("activation", std::string(activation)).with("transB", std::int64_t{1}).with("alpha", 0.5f);
      fused.operand(floats({2, 5, 8})).constant(floats({3, 8}));
      has_bias ? fused.constant(floats({3})) : fused.omitted();
      fused.operand(floats({2, 5, 3}));
      expect_same(fused, "gpu.matmul.cublaslt.f32");
      expect_same_on(*bare_, fused, "gpu.matmul.plain.f32");
    }
  }
}

TEST_F(Kernels, sparse_weights_go_to_sparse_kernels) {
  for (int turn = 0; turn < 12; ++turn) {
    const std::int64_t rows = turn % 2 == 0 ? size(1, 64) : size(65, 90);
    const std::int64_t inner = size(1, 130);
    const std::int64_t columns = size(1, 40);
    NodeTrial fused("FusedMatMul", 1, kInternalDomain);
    const bool transposed = size(0, 1) != 0;
    fused.with("activation", std::string("Relu")).with("transB", std::int64_t{transposed}).with("alpha", 0.5f);
    fused.operand(floats({rows, inner}))
        .constant(floats(transposed ? Shape{columns, inner} : Shape{inner, columns}, 0.97));
    fused.constant(floats({columns})).operand(floats({rows, columns}));
    if (!fused.refusal(*device_).empty()) FAIL() << fused.refusal(*device_);
    const auto outcome = fused.run(*device_);
    EXPECT_LE(divergence(outcome.results[0], fused.expected()[0].tensor), kTolerance) << outcome.kernel;
    if (inner * columns > 500 && !tested_gpu()) {
      EXPECT_EQ(outcome.kernel, rows <= 64 ? "gpu.spmm.bitmap.f32" : "gpu.spmm.cusparse.f32") << outcome.refusals;
    }
  }
  NodeTrial dense = NodeTrial("MatMul").operand(floats({3, 20})).constant(floats({20, 20}, 0.3));
  EXPECT_THAT(dense.run(*device_).refusals, HasSubstr("of its weights are zeros"));
}

TEST_F(Kernels, empty_rows_of_sparse_weights_give_the_bias) {
  Tensor weights = floats({40, 8}, 0.95);
  for (std::int64_t k = 0; k < 40; ++k) weights.data<float>()[static_cast<std::size_t>(k * 8 + 3)] = 0;
  NodeTrial gemm("Gemm", 13);
  gemm.operand(floats({2, 40})).constant(weights).constant(floats({8}));
  expect_same(gemm, "gpu.spmm.bitmap.f32");
}

TEST_F(Kernels, attention_of_several_heads) {
  for (const std::int64_t mask : {0, 1, 2}) {
    const std::int64_t queries = size(1, 9);
    const std::int64_t keys = size(1, 300);
    NodeTrial trial("MultiHeadAttention", 1, kInternalDomain);
    trial.with("num_heads", std::int64_t{2}).with("scale", 0.4f);
    trial.operand(floats({3, queries, 8})).operand(floats({3, keys, 8})).operand(floats({3, keys, 6}));
    if (mask == 1) trial.operand(floats({3, 1, 1, keys}));
    if (mask == 2) trial.operand(floats({queries, keys}));
    expect_same(trial, "gpu.attention.f32");
  }
  NodeTrial by_channel("ChannelAttention", 1, kInternalDomain);
  by_channel.with("num_heads", std::int64_t{2}).with("batch", std::int64_t{3}).with("scale", 0.3f);
  by_channel.operand(floats({1, 8, 3 * 5})).operand(floats({1, 8, 3 * 7})).operand(floats({1, 4, 3 * 7}));
  expect_same(by_channel.operand(floats({3, 1, 1, 7})), "gpu.attention.f32");
}

TEST_F(Kernels, what_the_gpu_lacks_is_refused_with_a_reason) {
  EXPECT_THAT(NodeTrial("Det").operand(floats({3, 3})).refusal(*device_), HasSubstr("no kernel for Det"));
  Tensor doubles = Tensor::of<double>({2}, {1, 2});
  EXPECT_THAT(NodeTrial("Relu").operand(doubles).refusal(*device_), HasSubstr("it computes in f32, 'operand0' is f64"));
  EXPECT_THAT(NodeTrial("Slice").operand(floats({4})).operand(integers({0})).operand(integers({2})).refusal(*device_),
              HasSubstr("depends on data"));
  EXPECT_THAT(NodeTrial("MatMul").operand(floats({2, 2})).operand(floats({2, 2})).run(*bare_).refusals,
              HasSubstr("cuBLASLt is not there"));
  NodeTrial wide("MultiHeadAttention", 1, kInternalDomain);
  wide.with("num_heads", std::int64_t{1});
  wide.operand(floats({1, 1, 1})).operand(floats({1, 30000, 1})).operand(floats({1, 30000, 1}));
  EXPECT_THAT(wide.refusal(*device_), HasSubstr("shared memory"));
}

TEST_F(Kernels, a_kernel_that_is_asked_for_is_used_or_refused) {
  const NodeTrial trial = NodeTrial("MatMul").operand(floats({2, 3})).operand(floats({3, 2}));
  EXPECT_EQ(trial.run(*device_, "gpu.matmul.plain.f32").kernel, "gpu.matmul.plain.f32");
  for (const char* wrong : {"gpu.spmm.cusparse.f32", "gpu.nothing"}) {
    try {
      trial.run(*device_, wrong);
      FAIL() << wrong << " was used";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_THAT(error.what(), HasSubstr(wrong));
    }
  }
}

}  // namespace
}  // namespace sparse_run::gpu::cuda
