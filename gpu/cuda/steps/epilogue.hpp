// What follows a product or convolution that a library computes without it.
#pragma once

#include "gpu/cuda/kernels/pointwise.hpp"
#include "gpu/cuda/steps/activation.hpp"
#include "gpu/cuda/steps/step.hpp"

namespace sparse_run::gpu::cuda {

/// Of results [outer][channels][inner]. Does nothing when there is nothing to add or apply.
struct EpilogueCall {
  Index count = 0;
  Index channels = 1;
  Index inner = 1;
  UnaryCall activation;

  void enqueue(const StepLaunch& launch, const float* bias, const float* residual) const {
    if (count == 0) return;
    if (bias == nullptr && residual == nullptr && activation.function == Unary::identity) return;
    launch.gpu.launch("epilogue", shape_for_items(count), launch.stream,
                      Epilogue{launch.out<float>(), bias, residual, count, channels, inner, activation.function,
                               activation.a, activation.b});
  }
};

}  // namespace sparse_run::gpu::cuda
