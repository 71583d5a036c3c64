// Kernels over windows of images: poolings, and convolutions for where cuDNN is not.
#pragma once

#include "gpu/cuda/kernels/block.hpp"
#include "gpu/cuda/kernels/rows.hpp"
#include "gpu/cuda/kernels/scalar_math.hpp"

namespace sparse_run::gpu::cuda {

/// A window along one axis: window o, tap k reads o·stride - pad + k·dilation, nothing where that is outside.
struct WindowSpan {
  Index input;
  Index output;
  Index kernel;
  Index stride;
  Index dilation;
  Index pad;

  SPARSE_RUN_DEVICE Index position(Index window, Index tap) const { return window * stride - pad + tap * dilation; }
};

enum class Pooling : int {
  maximum,
  average,         ///< of what lies inside the image
  average_padded,  ///< what lies in the padding counts as zero; beyond the padding it does not count
};

/// planes × [rows.input][columns.input] → planes × [rows.output][columns.output].
struct Pool2d {
  const float* x;
  float* y;
  Index planes;
  WindowSpan rows;
  WindowSpan columns;
  Index row_end;  ///< input rows and columns with the padding after them: beyond that nothing counts
  Index column_end;
  Pooling kind;
};

SPARSE_RUN_DEVICE void pool2d(const Pool2d& p, const Block& block) {
  block.each_item(p.planes * p.rows.output * p.columns.output, [&](Index i) {
    const Index ox = i % p.columns.output;
    const Index oy = i / p.columns.output % p.rows.output;
    const float* plane = p.x + i / (p.columns.output * p.rows.output) * p.rows.input * p.columns.input;
    float largest = minus_infinity();
    float sum = 0.0f;
    Index inside = 0;
    Index counted = 0;
    for (Index ky = 0; ky < p.rows.kernel; ++ky) {
      const Index iy = p.rows.position(oy, ky);
      if (iy >= p.row_end) continue;
      for (Index kx = 0; kx < p.columns.kernel; ++kx) {
        const Index ix = p.columns.position(ox, kx);
        if (ix >= p.column_end) continue;
        ++counted;
        if (iy < 0 || iy >= p.rows.input || ix < 0 || ix >= p.columns.input) continue;
        const float value = plane[iy * p.columns.input + ix];
        largest = value > largest || value != value ? value : largest;
        sum += value;
        ++inside;
      }
    }
    p.y[i] =
        p.kind == Pooling::maximum ? largest : sum / static_cast<float>(p.kind == Pooling::average ? inside : counted);
  });
}

/// activation(conv(x, w) + bias + residual), images [batch][channels][rows][columns], weights
/// [out_channels][channels / groups][rows.kernel][columns.kernel]. Absent operands are nullptr.
struct Convolve2d {
  const float* x;
  const float* w;
  const float* bias;
  const float* residual;
  float* y;
  Index batch;
  Index channels;
  Index out_channels;
  Index groups;
  WindowSpan rows;
  WindowSpan columns;
  Unary function;
  float a;
  float b;
};

SPARSE_RUN_DEVICE void convolve2d(const Convolve2d& p, const Block& block) {
  const Index area = p.rows.output * p.columns.output;
  const Index group_in = p.channels / p.groups;
  const Index group_out = p.out_channels / p.groups;
  block.each_item(p.batch * p.out_channels * area, [&](Index i) {
    const Index ox = i % p.columns.output;
    const Index oy = i / p.columns.output % p.rows.output;
    const Index channel = i / area % p.out_channels;
    const Index image = i / (area * p.out_channels);
    const Index first = channel / group_out * group_in;
    const float* w = p.w + channel * group_in * p.rows.kernel * p.columns.kernel;
    float sum = p.bias != nullptr ? p.bias[channel] : 0.0f;
    for (Index c = 0; c < group_in; ++c) {
      const float* plane = p.x + (image * p.channels + first + c) * p.rows.input * p.columns.input;
      for (Index ky = 0; ky < p.rows.kernel; ++ky) {
        const Index iy = p.rows.position(oy, ky);
        if (iy < 0 || iy >= p.rows.input) continue;
        for (Index kx = 0; kx < p.columns.kernel; ++kx) {
          const Index ix = p.columns.position(ox, kx);
          if (ix < 0 || ix >= p.columns.input) continue;
          sum += plane[iy * p.columns.input + ix] * w[(c * p.rows.kernel + ky) * p.columns.kernel + kx];
        }
      }
    }
    if (p.residual != nullptr) sum += p.residual[i];
    p.y[i] = apply(p.function, sum, p.a, p.b);
  });
}

}  // namespace sparse_run::gpu::cuda
