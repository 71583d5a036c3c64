// Compares the tables with CUDA's own headers where they are installed; holds no code.
#if defined(SPARSE_RUN_CUDA_HEADERS)

#include <cublasLt.h>
#include <cuda.h>
#include <cusparse.h>
#include <nvrtc.h>

#include <type_traits>

#include "gpu/cuda/api/blas_lt.hpp"
#include "gpu/cuda/api/driver.hpp"
#include "gpu/cuda/api/nvrtc.hpp"
#include "gpu/cuda/api/sparse.hpp"
#if defined(SPARSE_RUN_CUDNN_HEADERS)
#include <cudnn.h>

#include "gpu/cuda/api/dnn.hpp"
#endif

namespace sparse_run::gpu::cuda {

namespace {

/// Passed the same way: both pointers, or both integers or enumerations of one size, or the same floating type.
template <class A, class B>
constexpr bool same_class() {
  if constexpr (std::is_void_v<A> || std::is_void_v<B>) {
    return std::is_void_v<A> && std::is_void_v<B>;
  } else if constexpr (std::is_pointer_v<A> || std::is_pointer_v<B>) {
    return std::is_pointer_v<A> && std::is_pointer_v<B>;
  } else if constexpr (std::is_floating_point_v<A> || std::is_floating_point_v<B>) {
    return std::is_same_v<A, B>;
  } else {
    return sizeof(A) == sizeof(B);
  }
}

template <class A, class B>
struct Alike : std::false_type {};
template <class R, class... A, class S, class... B>
requires(sizeof...(A) == sizeof...(B)) struct Alike<R (*)(A...), S (*)(B...)>
    : std::bool_constant<same_class<R, S>() && (same_class<std::decay_t<A>, std::decay_t<B>>() && ...)> {
};

#define EXPECT_ALIKE(table, member, function) \
  static_assert(Alike<decltype(table::member), decltype(&::function)>::value, #function " has other parameters")

EXPECT_ALIKE(Driver, init, cuInit);
EXPECT_ALIKE(Driver, driver_version, cuDriverGetVersion);
EXPECT_ALIKE(Driver, error_name, cuGetErrorName);
EXPECT_ALIKE(Driver, error_text, cuGetErrorString);
EXPECT_ALIKE(Driver, device_count, cuDeviceGetCount);
EXPECT_ALIKE(Driver, device_get, cuDeviceGet);
EXPECT_ALIKE(Driver, device_name, cuDeviceGetName);
EXPECT_ALIKE(Driver, device_attribute, cuDeviceGetAttribute);
EXPECT_ALIKE(Driver, device_memory, cuDeviceTotalMem_v2);
EXPECT_ALIKE(Driver, context_retain, cuDevicePrimaryCtxRetain);
EXPECT_ALIKE(Driver, context_release, cuDevicePrimaryCtxRelease_v2);
EXPECT_ALIKE(Driver, context_set, cuCtxSetCurrent);
EXPECT_ALIKE(Driver, memory_info, cuMemGetInfo_v2);
EXPECT_ALIKE(Driver, memory_allocate, cuMemAlloc_v2);
EXPECT_ALIKE(Driver, memory_free, cuMemFree_v2);
EXPECT_ALIKE(Driver, memory_allocate_async, cuMemAllocAsync);
EXPECT_ALIKE(Driver, memory_free_async, cuMemFreeAsync);
EXPECT_ALIKE(Driver, pool_default, cuDeviceGetDefaultMemPool);
EXPECT_ALIKE(Driver, pool_set, cuMemPoolSetAttribute);
EXPECT_ALIKE(Driver, pool_trim, cuMemPoolTrimTo);
EXPECT_ALIKE(Driver, host_allocate, cuMemHostAlloc);
EXPECT_ALIKE(Driver, host_free, cuMemFreeHost);
EXPECT_ALIKE(Driver, host_register, cuMemHostRegister_v2);
EXPECT_ALIKE(Driver, host_unregister, cuMemHostUnregister);
EXPECT_ALIKE(Driver, host_device_address, cuMemHostGetDevicePointer_v2);
EXPECT_ALIKE(Driver, copy_in, cuMemcpyHtoDAsync_v2);
EXPECT_ALIKE(Driver, copy_out, cuMemcpyDtoHAsync_v2);
EXPECT_ALIKE(Driver, copy_within, cuMemcpyDtoDAsync_v2);
EXPECT_ALIKE(Driver, fill, cuMemsetD8Async);
EXPECT_ALIKE(Driver, stream_create, cuStreamCreate);
EXPECT_ALIKE(Driver, stream_destroy, cuStreamDestroy_v2);
EXPECT_ALIKE(Driver, stream_synchronize, cuStreamSynchronize);
EXPECT_ALIKE(Driver, stream_wait, cuStreamWaitEvent);
EXPECT_ALIKE(Driver, event_create, cuEventCreate);
EXPECT_ALIKE(Driver, event_destroy, cuEventDestroy_v2);
EXPECT_ALIKE(Driver, event_record, cuEventRecord);
EXPECT_ALIKE(Driver, event_synchronize, cuEventSynchronize);
EXPECT_ALIKE(Driver, event_elapsed, cuEventElapsedTime);
EXPECT_ALIKE(Driver, module_load, cuModuleLoadData);
EXPECT_ALIKE(Driver, module_unload, cuModuleUnload);
EXPECT_ALIKE(Driver, module_function, cuModuleGetFunction);
EXPECT_ALIKE(Driver, function_set, cuFuncSetAttribute);
EXPECT_ALIKE(Driver, launch, cuLaunchKernel);
EXPECT_ALIKE(Driver, capture_begin, cuStreamBeginCapture_v2);
EXPECT_ALIKE(Driver, capture_end, cuStreamEndCapture);
EXPECT_ALIKE(Driver, graph_instantiate, cuGraphInstantiateWithFlags);
EXPECT_ALIKE(Driver, graph_launch, cuGraphLaunch);
EXPECT_ALIKE(Driver, graph_exec_destroy, cuGraphExecDestroy);
EXPECT_ALIKE(Driver, graph_destroy, cuGraphDestroy);

static_assert(status::kOutOfMemory == CUDA_ERROR_OUT_OF_MEMORY && status::kInvalidValue == CUDA_ERROR_INVALID_VALUE);
static_assert(status::kStubLibrary == CUDA_ERROR_STUB_LIBRARY && status::kNoDevice == CUDA_ERROR_NO_DEVICE);
static_assert(status::kInvalidDevice == CUDA_ERROR_INVALID_DEVICE && status::kUnknown == CUDA_ERROR_UNKNOWN);
static_assert(status::kNoBinary == CUDA_ERROR_NO_BINARY_FOR_GPU);
static_assert(status::kUnsupportedPtx == CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
static_assert(status::kUncorrectableMemory == CUDA_ERROR_ECC_UNCORRECTABLE);
static_assert(status::kIllegalAddress == CUDA_ERROR_ILLEGAL_ADDRESS);
static_assert(status::kOutOfResources == CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
static_assert(status::kLaunchTimeout == CUDA_ERROR_LAUNCH_TIMEOUT);
static_assert(status::kContextDestroyed == CUDA_ERROR_CONTEXT_IS_DESTROYED && status::kAssert == CUDA_ERROR_ASSERT);
static_assert(status::kHardwareStack == CUDA_ERROR_HARDWARE_STACK_ERROR);
static_assert(status::kIllegalInstruction == CUDA_ERROR_ILLEGAL_INSTRUCTION);
static_assert(status::kMisalignedAddress == CUDA_ERROR_MISALIGNED_ADDRESS);
static_assert(status::kInvalidAddressSpace == CUDA_ERROR_INVALID_ADDRESS_SPACE);
static_assert(status::kInvalidProgramCounter == CUDA_ERROR_INVALID_PC);
static_assert(status::kLaunchFailed == CUDA_ERROR_LAUNCH_FAILED);
static_assert(status::kDriverMismatch == CUDA_ERROR_SYSTEM_DRIVER_MISMATCH);
static_assert(attribute::kClockKhz == CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
static_assert(attribute::kMultiprocessors == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
static_assert(attribute::kMemoryClockKhz == CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE);
static_assert(attribute::kMemoryBusBits == CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
static_assert(attribute::kCapabilityMajor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
static_assert(attribute::kCapabilityMinor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
static_assert(attribute::kSharedBytesOptIn == CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
static_assert(attribute::kMemoryPools == CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED);
static_assert(kStreamNonBlocking == CU_STREAM_NON_BLOCKING && kEventBlockingSync == CU_EVENT_BLOCKING_SYNC);
static_assert(kHostAllocPortable == CU_MEMHOSTALLOC_PORTABLE);
static_assert(kHostRegisterPortable == CU_MEMHOSTREGISTER_PORTABLE);
static_assert(kHostRegisterDeviceMap == CU_MEMHOSTREGISTER_DEVICEMAP);
static_assert(kHostRegisterReadOnly == CU_MEMHOSTREGISTER_READ_ONLY);
static_assert(kCaptureThreadLocal == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
static_assert(kPoolReleaseThreshold == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD);
static_assert(kFunctionMaxDynamicShared == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);

EXPECT_ALIKE(BlasLt, create, cublasLtCreate);
EXPECT_ALIKE(BlasLt, destroy, cublasLtDestroy);
EXPECT_ALIKE(BlasLt, status_name, cublasLtGetStatusName);
EXPECT_ALIKE(BlasLt, product_create, cublasLtMatmulDescCreate);
EXPECT_ALIKE(BlasLt, product_destroy, cublasLtMatmulDescDestroy);
EXPECT_ALIKE(BlasLt, product_set, cublasLtMatmulDescSetAttribute);
EXPECT_ALIKE(BlasLt, matrix_create, cublasLtMatrixLayoutCreate);
EXPECT_ALIKE(BlasLt, matrix_destroy, cublasLtMatrixLayoutDestroy);
EXPECT_ALIKE(BlasLt, matrix_set, cublasLtMatrixLayoutSetAttribute);
EXPECT_ALIKE(BlasLt, preference_create, cublasLtMatmulPreferenceCreate);
EXPECT_ALIKE(BlasLt, preference_destroy, cublasLtMatmulPreferenceDestroy);
EXPECT_ALIKE(BlasLt, preference_set, cublasLtMatmulPreferenceSetAttribute);
EXPECT_ALIKE(BlasLt, search, cublasLtMatmulAlgoGetHeuristic);
EXPECT_ALIKE(BlasLt, multiply, cublasLtMatmul);
static_assert(sizeof(BlasAlgorithm) == sizeof(cublasLtMatmulHeuristicResult_t));
static_assert(offsetof(BlasAlgorithm, workspace_bytes) == offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
static_assert(offsetof(BlasAlgorithm, state) == offsetof(cublasLtMatmulHeuristicResult_t, state));
static_assert(kTypeF32 == CUDA_R_32F && kTypeF16 == CUDA_R_16F && kTypeBf16 == CUDA_R_16BF);
static_assert(blas::kComputeF32 == CUBLAS_COMPUTE_32F);
static_assert(blas::kComputeTf32 == CUBLAS_COMPUTE_32F_FAST_TF32);
static_assert(blas::kTransposeA == CUBLASLT_MATMUL_DESC_TRANSA && blas::kTransposeB == CUBLASLT_MATMUL_DESC_TRANSB);
static_assert(blas::kEpilogue == CUBLASLT_MATMUL_DESC_EPILOGUE);
static_assert(blas::kBiasPointer == CUBLASLT_MATMUL_DESC_BIAS_POINTER);
static_assert(blas::kEpilogueNone == CUBLASLT_EPILOGUE_DEFAULT && blas::kEpilogueRelu == CUBLASLT_EPILOGUE_RELU);
static_assert(blas::kEpilogueBias == CUBLASLT_EPILOGUE_BIAS && blas::kEpilogueReluBias == CUBLASLT_EPILOGUE_RELU_BIAS);
static_assert(blas::kEpilogueGelu == CUBLASLT_EPILOGUE_GELU && blas::kEpilogueGeluBias == CUBLASLT_EPILOGUE_GELU_BIAS);
static_assert(blas::kBatchCount == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT);
static_assert(blas::kBatchStride == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET);
static_assert(blas::kMaxWorkspace == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);

EXPECT_ALIKE(Sparse, create, cusparseCreate);
EXPECT_ALIKE(Sparse, destroy, cusparseDestroy);
EXPECT_ALIKE(Sparse, set_stream, cusparseSetStream);
EXPECT_ALIKE(Sparse, status_name, cusparseGetErrorName);
EXPECT_ALIKE(Sparse, csr_create, cusparseCreateCsr);
EXPECT_ALIKE(Sparse, csr_destroy, cusparseDestroySpMat);
EXPECT_ALIKE(Sparse, dense_create, cusparseCreateDnMat);
EXPECT_ALIKE(Sparse, dense_destroy, cusparseDestroyDnMat);
EXPECT_ALIKE(Sparse, dense_values, cusparseDnMatSetValues);
EXPECT_ALIKE(Sparse, multiply_bytes, cusparseSpMM_bufferSize);
EXPECT_ALIKE(Sparse, multiply, cusparseSpMM);
EXPECT_ALIKE(Sparse, csr_pointers, cusparseCsrSetPointers);
EXPECT_ALIKE(Sparse, sort_bytes, cusparseXcoosort_bufferSizeExt);
EXPECT_ALIKE(Sparse, sort_by_row, cusparseXcoosortByRow);
EXPECT_ALIKE(Sparse, row_begins, cusparseXcoo2csr);
static_assert(sparse::kNotTransposed == CUSPARSE_OPERATION_NON_TRANSPOSE);
static_assert(sparse::kTransposed == CUSPARSE_OPERATION_TRANSPOSE && sparse::kIndex32 == CUSPARSE_INDEX_32I);
static_assert(sparse::kBaseZero == CUSPARSE_INDEX_BASE_ZERO && sparse::kDefaultAlgorithm == CUSPARSE_SPMM_ALG_DEFAULT);
static_assert(sparse::kColumnMajor == CUSPARSE_ORDER_COL && sparse::kRowMajor == CUSPARSE_ORDER_ROW);

EXPECT_ALIKE(Nvrtc, error_text, nvrtcGetErrorString);
EXPECT_ALIKE(Nvrtc, create, nvrtcCreateProgram);
EXPECT_ALIKE(Nvrtc, compile, nvrtcCompileProgram);
EXPECT_ALIKE(Nvrtc, log_bytes, nvrtcGetProgramLogSize);
EXPECT_ALIKE(Nvrtc, log, nvrtcGetProgramLog);
EXPECT_ALIKE(Nvrtc, binary_bytes, nvrtcGetCUBINSize);
EXPECT_ALIKE(Nvrtc, binary, nvrtcGetCUBIN);
EXPECT_ALIKE(Nvrtc, destroy, nvrtcDestroyProgram);

#if defined(SPARSE_RUN_CUDNN_HEADERS)
EXPECT_ALIKE(Dnn, version, cudnnGetVersion);
EXPECT_ALIKE(Dnn, error_text, cudnnGetErrorString);
EXPECT_ALIKE(Dnn, create, cudnnCreate);
EXPECT_ALIKE(Dnn, destroy, cudnnDestroy);
EXPECT_ALIKE(Dnn, set_stream, cudnnSetStream);
EXPECT_ALIKE(Dnn, descriptor_create, cudnnBackendCreateDescriptor);
EXPECT_ALIKE(Dnn, descriptor_destroy, cudnnBackendDestroyDescriptor);
EXPECT_ALIKE(Dnn, descriptor_finalize, cudnnBackendFinalize);
EXPECT_ALIKE(Dnn, descriptor_set, cudnnBackendSetAttribute);
EXPECT_ALIKE(Dnn, descriptor_get, cudnnBackendGetAttribute);
EXPECT_ALIKE(Dnn, execute, cudnnBackendExecute);
static_assert(dnn::kPointwise == CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
static_assert(dnn::kConvolution == CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
static_assert(dnn::kEngine == CUDNN_BACKEND_ENGINE_DESCRIPTOR);
static_assert(dnn::kEngineConfig == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
static_assert(dnn::kEngineHeuristic == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
static_assert(dnn::kExecutionPlan == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
static_assert(dnn::kConvolutionForward == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
static_assert(dnn::kPointwiseOperation == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
static_assert(dnn::kOperationGraph == CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
static_assert(dnn::kVariantPack == CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
static_assert(dnn::kTensor == CUDNN_BACKEND_TENSOR_DESCRIPTOR);
static_assert(dnn::kTypeHandle == CUDNN_TYPE_HANDLE && dnn::kTypeDataType == CUDNN_TYPE_DATA_TYPE);
static_assert(dnn::kTypeBoolean == CUDNN_TYPE_BOOLEAN && dnn::kTypeInt64 == CUDNN_TYPE_INT64);
static_assert(dnn::kTypeDouble == CUDNN_TYPE_DOUBLE);
static_assert(dnn::kTypeFloat == CUDNN_TYPE_FLOAT && dnn::kTypeVoidPointer == CUDNN_TYPE_VOID_PTR);
static_assert(dnn::kTypeConvolutionMode == CUDNN_TYPE_CONVOLUTION_MODE);
static_assert(dnn::kTypeHeuristicMode == CUDNN_TYPE_HEUR_MODE);
static_assert(dnn::kTypeNumericalNote == CUDNN_TYPE_NUMERICAL_NOTE);
static_assert(dnn::kTypePointwiseMode == CUDNN_TYPE_POINTWISE_MODE);
static_assert(dnn::kTypeDescriptor == CUDNN_TYPE_BACKEND_DESCRIPTOR);
static_assert(dnn::kPointwiseMode == CUDNN_ATTR_POINTWISE_MODE);
static_assert(dnn::kPointwisePrecision == CUDNN_ATTR_POINTWISE_MATH_PREC);
static_assert(dnn::kReluLowerClip == CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP);
static_assert(dnn::kReluUpperClip == CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP);
static_assert(dnn::kConvolutionCompute == CUDNN_ATTR_CONVOLUTION_COMP_TYPE);
static_assert(dnn::kConvolutionMode == CUDNN_ATTR_CONVOLUTION_CONV_MODE);
static_assert(dnn::kConvolutionDilations == CUDNN_ATTR_CONVOLUTION_DILATIONS);
static_assert(dnn::kConvolutionStrides == CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
static_assert(dnn::kConvolutionPostPaddings == CUDNN_ATTR_CONVOLUTION_POST_PADDINGS);
static_assert(dnn::kConvolutionPrePaddings == CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
static_assert(dnn::kConvolutionSpatialDims == CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS);
static_assert(dnn::kHeuristicMode == CUDNN_ATTR_ENGINEHEUR_MODE);
static_assert(dnn::kHeuristicGraph == CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
static_assert(dnn::kHeuristicResults == CUDNN_ATTR_ENGINEHEUR_RESULTS);
static_assert(dnn::kConfigEngine == CUDNN_ATTR_ENGINECFG_ENGINE);
static_assert(dnn::kPlanConfig == CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
static_assert(dnn::kPlanWorkspace == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
static_assert(dnn::kForwardAlpha == CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA);
static_assert(dnn::kForwardBeta == CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA);
static_assert(dnn::kForwardConvolution == CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC);
static_assert(dnn::kForwardWeights == CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W);
static_assert(dnn::kForwardInput == CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X);
static_assert(dnn::kForwardOutput == CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
static_assert(dnn::kPointwiseDescriptor == CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
static_assert(dnn::kPointwiseInput == CUDNN_ATTR_OPERATION_POINTWISE_XDESC);
static_assert(dnn::kPointwiseOperand == CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
static_assert(dnn::kPointwiseOutput == CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
static_assert(dnn::kGraphOperations == CUDNN_ATTR_OPERATIONGRAPH_OPS);
static_assert(dnn::kTensorAlignment == CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
static_assert(dnn::kTensorType == CUDNN_ATTR_TENSOR_DATA_TYPE);
static_assert(dnn::kTensorDimensions == CUDNN_ATTR_TENSOR_DIMENSIONS);
static_assert(dnn::kTensorStrides == CUDNN_ATTR_TENSOR_STRIDES && dnn::kTensorId == CUDNN_ATTR_TENSOR_UNIQUE_ID);
static_assert(dnn::kTensorVirtual == CUDNN_ATTR_TENSOR_IS_VIRTUAL);
static_assert(dnn::kPackIds == CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
static_assert(dnn::kPackPointers == CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
static_assert(dnn::kPackWorkspace == CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
static_assert(dnn::kEngineNumericalNote == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE);
static_assert(dnn::kDataF16 == CUDNN_DATA_HALF && dnn::kDataBf16 == CUDNN_DATA_BFLOAT16);
static_assert(dnn::kDataF32 == CUDNN_DATA_FLOAT && dnn::kCrossCorrelation == CUDNN_CROSS_CORRELATION);
static_assert(dnn::kModeA == CUDNN_HEUR_MODE_A && dnn::kModeFallback == CUDNN_HEUR_MODE_FALLBACK);
static_assert(dnn::kAdd == CUDNN_POINTWISE_ADD && dnn::kRelu == CUDNN_POINTWISE_RELU_FWD);
static_assert(dnn::kTanh == CUDNN_POINTWISE_TANH_FWD && dnn::kSigmoid == CUDNN_POINTWISE_SIGMOID_FWD);
static_assert(dnn::kNoteTensorCore == CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
static_assert(dnn::kNoteDownConvert == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS);
static_assert(dnn::kNoteReducedPrecision == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION);
static_assert(dnn::kNoteKinds == CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
#endif

#undef EXPECT_ALIKE

}  // namespace

}  // namespace sparse_run::gpu::cuda

#endif
