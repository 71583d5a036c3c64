// CUDA's own libraries, where they are installed: the tables find their functions, and cuDNN takes our descriptors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "gpu/cuda/device.hpp"
#include "tests/cuda/host/host_cuda.hpp"

namespace sparse_run::gpu::cuda {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kStub = "/usr/local/cuda/lib64/stubs/libcuda.so";

/// An absent library is nobody's fault; one without a function that the table names is ours.
template <class Table>
void expect_complete(const Loaded<Table>& library) {
  if (library.table) return;
  EXPECT_THAT(library.absence, Not(HasSubstr("has no function")));
}

TEST(InstalledLibraries, have_all_functions_of_the_tables) {
  expect_complete(load_blas());
  expect_complete(load_dnn());
  expect_complete(load_sparse());
  expect_complete(load_nvrtc());
}

TEST(InstalledLibraries, the_stub_of_the_driver_has_all_functions_and_is_refused) {
  if (!std::filesystem::exists(kStub)) GTEST_SKIP() << kStub << " is not there";
  Libraries libraries = host_cuda::bare_libraries();
  libraries.driver = load_driver(kStub);
  try {
    open_cuda_device(libraries, 0, {});
    FAIL() << "a stub was opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::device);
    EXPECT_THAT(error.what(), HasSubstr("stub"));
  }
}

/// Sets one attribute; the status of cuDNN.
template <class Value>
int set(const Dnn& dnn, DnnDescriptor descriptor, int attribute, int type, const std::vector<Value>& values) {
  return dnn.descriptor_set(descriptor, attribute, type, static_cast<std::int64_t>(values.size()), values.data());
}

// Descriptors of tensors, convolutions and functions need no GPU; graphs of them do.
TEST(InstalledLibraries, cudnn_takes_the_descriptors_of_a_convolution) {
  const Loaded<Dnn> loaded = load_dnn();
  if (!loaded.table) GTEST_SKIP() << loaded.absence;
  const Dnn& dnn = *loaded.table;
  std::vector<DnnDescriptor> made;
  const auto make = [&](int kind) {
    DnnDescriptor descriptor = nullptr;
    EXPECT_EQ(dnn.descriptor_create(kind, &descriptor), 0);
    made.push_back(descriptor);
    return descriptor;
  };
  const auto tensor = [&](std::int64_t id, std::vector<std::int64_t> shape, bool is_virtual) {
    DnnDescriptor descriptor = make(dnn::kTensor);
    std::vector<std::int64_t> strides(4, 1);
    for (std::size_t axis = 3; axis > 0; --axis) strides[axis - 1] = strides[axis] * shape[axis];
    EXPECT_EQ(set(dnn, descriptor, dnn::kTensorType, dnn::kTypeDataType, std::vector<int>{dnn::kDataF32}), 0);
    EXPECT_EQ(set(dnn, descriptor, dnn::kTensorDimensions, dnn::kTypeInt64, shape), 0);
    EXPECT_EQ(set(dnn, descriptor, dnn::kTensorStrides, dnn::kTypeInt64, strides), 0);
    EXPECT_EQ(set(dnn, descriptor, dnn::kTensorId, dnn::kTypeInt64, std::vector<std::int64_t>{id}), 0);
    EXPECT_EQ(set(dnn, descriptor, dnn::kTensorAlignment, dnn::kTypeInt64, std::vector<std::int64_t>{16}), 0);
    EXPECT_EQ(dnn.descriptor_set(descriptor, dnn::kTensorVirtual, dnn::kTypeBoolean, 1, &is_virtual), 0);
    EXPECT_EQ(dnn.descriptor_finalize(descriptor), 0);
    return descriptor;
  };
  DnnDescriptor x = tensor(1, {2, 4, 9, 9}, false);
  DnnDescriptor w = tensor(2, {6, 4, 3, 3}, false);
  DnnDescriptor between = tensor(10, {2, 6, 9, 9}, true);
  DnnDescriptor y = tensor(5, {2, 6, 9, 9}, false);

  DnnDescriptor shape = make(dnn::kConvolution);
  const std::vector<std::int64_t> ones{1, 1};
  EXPECT_EQ(set(dnn, shape, dnn::kConvolutionCompute, dnn::kTypeDataType, std::vector<int>{dnn::kDataF32}), 0);
  EXPECT_EQ(set(dnn, shape, dnn::kConvolutionMode, dnn::kTypeConvolutionMode, std::vector<int>{dnn::kCrossCorrelation}),
            0);
  EXPECT_EQ(set(dnn, shape, dnn::kConvolutionSpatialDims, dnn::kTypeInt64, std::vector<std::int64_t>{2}), 0);
  for (const int attribute : {dnn::kConvolutionDilations, dnn::kConvolutionStrides, dnn::kConvolutionPrePaddings,
                              dnn::kConvolutionPostPaddings}) {
    EXPECT_EQ(set(dnn, shape, attribute, dnn::kTypeInt64, ones), 0);
  }
  EXPECT_EQ(dnn.descriptor_finalize(shape), 0);

  DnnDescriptor convolution = make(dnn::kConvolutionForward);
  const std::pair<int, DnnDescriptor> parts[] = {{dnn::kForwardConvolution, shape},
                                                 {dnn::kForwardInput, x},
                                                 {dnn::kForwardWeights, w},
                                                 {dnn::kForwardOutput, between}};
  for (const auto& [attribute, part] : parts) {
    EXPECT_EQ(set(dnn, convolution, attribute, dnn::kTypeDescriptor, std::vector<DnnDescriptor>{part}), 0);
  }
  EXPECT_EQ(set(dnn, convolution, dnn::kForwardAlpha, dnn::kTypeFloat, std::vector<float>{1}), 0);
  EXPECT_EQ(set(dnn, convolution, dnn::kForwardBeta, dnn::kTypeFloat, std::vector<float>{0}), 0);
  EXPECT_EQ(dnn.descriptor_finalize(convolution), 0);

  DnnDescriptor function = make(dnn::kPointwise);
  EXPECT_EQ(set(dnn, function, dnn::kPointwiseMode, dnn::kTypePointwiseMode, std::vector<int>{dnn::kRelu}), 0);
  EXPECT_EQ(set(dnn, function, dnn::kPointwisePrecision, dnn::kTypeDataType, std::vector<int>{dnn::kDataF32}), 0);
  EXPECT_EQ(set(dnn, function, dnn::kReluLowerClip, dnn::kTypeDouble, std::vector<double>{0}), 0);
  EXPECT_EQ(set(dnn, function, dnn::kReluUpperClip, dnn::kTypeDouble, std::vector<double>{6}), 0);
  EXPECT_EQ(dnn.descriptor_finalize(function), 0);
  DnnDescriptor operation = make(dnn::kPointwiseOperation);
  const std::pair<int, DnnDescriptor> ends[] = {
      {dnn::kPointwiseDescriptor, function}, {dnn::kPointwiseInput, between}, {dnn::kPointwiseOutput, y}};
  for (const auto& [attribute, part] : ends) {
    EXPECT_EQ(set(dnn, operation, attribute, dnn::kTypeDescriptor, std::vector<DnnDescriptor>{part}), 0);
  }
  EXPECT_EQ(dnn.descriptor_finalize(operation), 0);
  for (auto one = made.rbegin(); one != made.rend(); ++one) EXPECT_EQ(dnn.descriptor_destroy(*one), 0);
}

TEST(InstalledLibraries, cublaslt_takes_the_descriptions_of_a_product) {
  const Loaded<BlasLt> loaded = load_blas();
  if (!loaded.table) GTEST_SKIP() << loaded.absence;
  const BlasLt& table = *loaded.table;
  BlasProduct product = nullptr;
  ASSERT_EQ(table.product_create(&product, blas::kComputeF32, kTypeF32), 0);
  const std::int32_t transposed = 1;
  const std::int32_t epilogue = blas::kEpilogueReluBias;
  const void* bias = &transposed;
  EXPECT_EQ(table.product_set(product, blas::kTransposeA, &transposed, sizeof(transposed)), 0);
  EXPECT_EQ(table.product_set(product, blas::kTransposeB, &transposed, sizeof(transposed)), 0);
  EXPECT_EQ(table.product_set(product, blas::kEpilogue, &epilogue, sizeof(epilogue)), 0);
  EXPECT_EQ(table.product_set(product, blas::kBiasPointer, &bias, sizeof(bias)), 0);
  EXPECT_EQ(table.product_destroy(product), 0);
  BlasMatrix matrix = nullptr;
  ASSERT_EQ(table.matrix_create(&matrix, kTypeF32, 5, 3, 5), 0);
  const std::int32_t count = 4;
  const std::int64_t step = 15;
  EXPECT_EQ(table.matrix_set(matrix, blas::kBatchCount, &count, sizeof(count)), 0);
  EXPECT_EQ(table.matrix_set(matrix, blas::kBatchStride, &step, sizeof(step)), 0);
  EXPECT_EQ(table.matrix_destroy(matrix), 0);
  BlasPreference preference = nullptr;
  ASSERT_EQ(table.preference_create(&preference), 0);
  const std::size_t bytes = 1 << 20;
  EXPECT_EQ(table.preference_set(preference, blas::kMaxWorkspace, &bytes, sizeof(bytes)), 0);
  EXPECT_EQ(table.preference_destroy(preference), 0);
}

}  // namespace
}  // namespace sparse_run::gpu::cuda
