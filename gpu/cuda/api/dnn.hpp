// The functions of cuDNN's graph API that are used, as a table that is filled at run time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gpu/cuda/api/driver.hpp"

namespace sparse_run::gpu::cuda {

using DnnHandle = void*;
using DnnDescriptor = void*;

namespace dnn {
// Kinds of descriptors.
inline constexpr int kPointwise = 0;
inline constexpr int kConvolution = 1;
inline constexpr int kEngine = 2;
inline constexpr int kEngineConfig = 3;
inline constexpr int kEngineHeuristic = 4;
inline constexpr int kExecutionPlan = 5;
inline constexpr int kConvolutionForward = 10;
inline constexpr int kPointwiseOperation = 13;
inline constexpr int kOperationGraph = 15;
inline constexpr int kVariantPack = 16;
inline constexpr int kTensor = 17;
// Types of attributes.
inline constexpr int kTypeHandle = 0;
inline constexpr int kTypeDataType = 1;
inline constexpr int kTypeBoolean = 2;
inline constexpr int kTypeInt64 = 3;
inline constexpr int kTypeFloat = 4;
inline constexpr int kTypeDouble = 5;
inline constexpr int kTypeVoidPointer = 6;
inline constexpr int kTypeConvolutionMode = 7;
inline constexpr int kTypeHeuristicMode = 8;
inline constexpr int kTypeNumericalNote = 11;
inline constexpr int kTypePointwiseMode = 14;
inline constexpr int kTypeDescriptor = 15;
// Attributes.
inline constexpr int kPointwiseMode = 0;
inline constexpr int kPointwisePrecision = 1;
inline constexpr int kReluLowerClip = 3;
inline constexpr int kReluUpperClip = 4;
inline constexpr int kConvolutionCompute = 100;
inline constexpr int kConvolutionMode = 101;
inline constexpr int kConvolutionDilations = 102;
inline constexpr int kConvolutionStrides = 103;
inline constexpr int kConvolutionPostPaddings = 104;
inline constexpr int kConvolutionPrePaddings = 105;
inline constexpr int kConvolutionSpatialDims = 106;
inline constexpr int kHeuristicMode = 200;
inline constexpr int kHeuristicGraph = 201;
inline constexpr int kHeuristicResults = 202;
inline constexpr int kConfigEngine = 300;
inline constexpr int kPlanHandle = 400;
inline constexpr int kPlanConfig = 401;
inline constexpr int kPlanWorkspace = 402;
inline constexpr int kForwardAlpha = 700;
inline constexpr int kForwardBeta = 701;
inline constexpr int kForwardConvolution = 702;
inline constexpr int kForwardWeights = 703;
inline constexpr int kForwardInput = 704;
inline constexpr int kForwardOutput = 705;
inline constexpr int kPointwiseDescriptor = 750;
inline constexpr int kPointwiseInput = 751;
inline constexpr int kPointwiseOperand = 752;
inline constexpr int kPointwiseOutput = 753;
inline constexpr int kGraphHandle = 800;
inline constexpr int kGraphOperations = 801;
inline constexpr int kTensorAlignment = 900;
inline constexpr int kTensorType = 901;
inline constexpr int kTensorDimensions = 902;
inline constexpr int kTensorStrides = 903;
inline constexpr int kTensorId = 906;
inline constexpr int kTensorVirtual = 907;
inline constexpr int kPackIds = 1000;
inline constexpr int kPackPointers = 1001;
inline constexpr int kPackWorkspace = 1003;
inline constexpr int kEngineNumericalNote = 1303;
// Values.
inline constexpr int kDataF32 = 0;
inline constexpr int kDataF16 = 2;
inline constexpr int kDataBf16 = 9;
inline constexpr int kCrossCorrelation = 1;
inline constexpr int kModeA = 3;
inline constexpr int kModeFallback = 2;
inline constexpr int kAdd = 0;
inline constexpr int kRelu = 100;
inline constexpr int kTanh = 101;
inline constexpr int kSigmoid = 102;
inline constexpr int kNoteTensorCore = 0;
inline constexpr int kNoteDownConvert = 1;
inline constexpr int kNoteReducedPrecision = 2;
inline constexpr int kNoteKinds = 10;
}  // namespace dnn

/// Results are cudnnStatus_t. See Driver.
struct Dnn {
  std::size_t (*version)() = nullptr;
  const char* (*error_text)(int status) = nullptr;
  int (*create)(DnnHandle* handle) = nullptr;
  int (*destroy)(DnnHandle handle) = nullptr;
  int (*set_stream)(DnnHandle handle, StreamHandle stream) = nullptr;
  int (*descriptor_create)(int kind, DnnDescriptor* descriptor) = nullptr;
  int (*descriptor_destroy)(DnnDescriptor descriptor) = nullptr;
  int (*descriptor_finalize)(DnnDescriptor descriptor) = nullptr;
  int (*descriptor_set)(DnnDescriptor descriptor, int attribute, int type, std::int64_t count,
                        const void* values) = nullptr;
  int (*descriptor_get)(DnnDescriptor descriptor, int attribute, int type, std::int64_t wanted, std::int64_t* count,
                        void* values) = nullptr;
  int (*execute)(DnnHandle handle, DnnDescriptor plan, DnnDescriptor pack) = nullptr;

  /// Calls visit(symbol, pointer) for every function.
  template <class Visit>
  void each(Visit&& visit) {
    visit("cudnnGetVersion", version);
    visit("cudnnGetErrorString", error_text);
    visit("cudnnCreate", create);
    visit("cudnnDestroy", destroy);
    visit("cudnnSetStream", set_stream);
    visit("cudnnBackendCreateDescriptor", descriptor_create);
    visit("cudnnBackendDestroyDescriptor", descriptor_destroy);
    visit("cudnnBackendFinalize", descriptor_finalize);
    visit("cudnnBackendSetAttribute", descriptor_set);
    visit("cudnnBackendGetAttribute", descriptor_get);
    visit("cudnnBackendExecute", execute);
  }
};

}  // namespace sparse_run::gpu::cuda
