// Kernels over rows: softmax, normalisation and reductions, one block per row.
#pragma once

#include "gpu/cuda/kernels/block.hpp"
#include "gpu/cuda/kernels/scalar_math.hpp"

namespace sparse_run::gpu::cuda {

/// Below every f32, and what maxima of nothing are.
SPARSE_RUN_DEVICE float minus_infinity() { return -static_cast<float>(1e300 * 1e10); }

/// Softmax along an axis of [outer][length][inner], or its logarithm. Shared memory: one float per thread.
struct Softmax {
  const float* x;
  float* y;
  Index outer;
  Index length;
  Index inner;
  bool logarithm;
};

SPARSE_RUN_DEVICE void softmax(const Softmax& p, const Block& block) {
  auto* scratch = static_cast<float*>(block.shared);
  for (Index row = block.index; row < p.outer * p.inner; row += block.blocks) {
    const Index begin = row / p.inner * p.length * p.inner + row % p.inner;
    const float* x = p.x + begin;
    float* y = p.y + begin;
    const float largest = block.reduce(
        p.length, scratch, minus_infinity(), [&](Index i) { return x[i * p.inner]; },
        [](float a, float b) { return a > b || a != a ? a : b; });
    const float sum = block.reduce(
        p.length, scratch, 0.0f, [&](Index i) { return expf(x[i * p.inner] - largest); },
        [](float a, float b) { return a + b; });
    const float offset = p.logarithm ? largest + logf(sum) : 0.0f;
    block.each_thread([&](unsigned thread) {
      for (Index i = thread; i < p.length; i += block.threads) {
        const float value = x[i * p.inner];
        y[i * p.inner] = p.logarithm ? value - offset : expf(value - largest) / sum;
      }
    });
  }
}

/// (x - mean) / sqrt(variance + epsilon) · scale + bias along an axis of [outer][length][inner]; scale and bias have
/// one number per position along it. With `centred` false the mean is not subtracted (RMS normalisation). Mean and
/// 1 / deviation go to `means` and `deviations` where given. Shared memory: one float per thread.
struct Normalization {
  const float* x;
  const float* scale;
  const float* bias;
  float* y;
  float* means;
  float* deviations;
  Index outer;
  Index length;
  Index inner;
  float epsilon;
  bool centred;
};

SPARSE_RUN_DEVICE void normalization(const Normalization& p, const Block& block) {
  auto* scratch = static_cast<float*>(block.shared);
  const auto sum_of = [](float a, float b) { return a + b; };
  for (Index row = block.index; row < p.outer * p.inner; row += block.blocks) {
    const Index begin = row / p.inner * p.length * p.inner + row % p.inner;
    const float* x = p.x + begin;
    float* y = p.y + begin;
    const auto length = static_cast<float>(p.length);
    float mean = 0.0f;
    if (p.centred) {
      mean = block.reduce(
                 p.length, scratch, 0.0f, [&](Index i) { return x[i * p.inner]; }, sum_of) /
             length;
    }
    const float squares = block.reduce(
        p.length, scratch, 0.0f,
        [&](Index i) {
          const float distance = x[i * p.inner] - mean;
          return distance * distance;
        },
        sum_of);
    const float factor = 1.0f / sqrtf(squares / length + p.epsilon);
    block.each_thread([&](unsigned thread) {
      if (thread == 0 && p.means != nullptr) p.means[row] = mean;
      if (thread == 0 && p.deviations != nullptr) p.deviations[row] = factor;
      for (Index i = thread; i < p.length; i += block.threads) {
        float value = (x[i * p.inner] - mean) * factor;
        if (p.scale != nullptr) value *= p.scale[i];
        if (p.bias != nullptr) value += p.bias[i];
        y[i * p.inner] = value;
      }
    });
  }
}

/// What is computed of the numbers of a row.
enum class Reduction : int { sum, mean, minimum, maximum, product, sum_of_squares, l1, l2, log_sum, log_sum_exp };

/// One number per kept index from all reduced ones. Shared memory: one float per thread.
struct Reduce {
  const float* x;
  float* y;
  Index rows;    ///< kept indices
  Index length;  ///< reduced ones per row
  int kept_rank;
  Index kept_size[kMaxRank];
  Index kept_step[kMaxRank];  ///< in x
  int reduced_rank;
  Index reduced_size[kMaxRank];
  Index reduced_step[kMaxRank];
  Reduction kind;
};

SPARSE_RUN_DEVICE Index strided_offset(Index i, int rank, const Index* size, const Index* step) {
  Index offset = 0;
  for (int axis = rank - 1; axis >= 0; --axis) {
    offset += i % size[axis] * step[axis];
    i /= size[axis];
  }
  return offset;
}

SPARSE_RUN_DEVICE void reduce(const Reduce& p, const Block& block) {
  auto* scratch = static_cast<float*>(block.shared);
  for (Index row = block.index; row < p.rows; row += block.blocks) {
    const float* x = p.x + strided_offset(row, p.kept_rank, p.kept_size, p.kept_step);
    const auto value = [&](Index i) { return x[strided_offset(i, p.reduced_rank, p.reduced_size, p.reduced_step)]; };
    const auto sum = [](float a, float b) { return a + b; };
    float result = 0.0f;
    switch (p.kind) {
      case Reduction::sum:
      case Reduction::mean:
      case Reduction::log_sum:
        result = block.reduce(p.length, scratch, 0.0f, value, sum);
        break;
      case Reduction::minimum:
        result = block.reduce(p.length, scratch, -minus_infinity(), value,
                              [](float a, float b) { return a < b || a != a ? a : b; });
        break;
      case Reduction::maximum:
        result = block.reduce(p.length, scratch, minus_infinity(), value,
                              [](float a, float b) { return a > b || a != a ? a : b; });
        break;
      case Reduction::product:
        result = block.reduce(p.length, scratch, 1.0f, value, [](float a, float b) { return a * b; });
        break;
      case Reduction::sum_of_squares:
      case Reduction::l2:
        result = block.reduce(
            p.length, scratch, 0.0f,
            [&](Index i) {
              const float one = value(i);
              return one * one;
            },
            sum);
        break;
      case Reduction::l1:
        result = block.reduce(
            p.length, scratch, 0.0f, [&](Index i) { return fabsf(value(i)); }, sum);
        break;
      case Reduction::log_sum_exp: {
        const float largest = block.reduce(p.length, scratch, minus_infinity(), value,
                                           [](float a, float b) { return a > b || a != a ? a : b; });
        result = largest == minus_infinity()
                     ? largest
                     : largest + logf(block.reduce(
                                     p.length, scratch, 0.0f, [&](Index i) { return expf(value(i) - largest); }, sum));
        break;
      }
    }
    if (p.kind == Reduction::mean) result /= static_cast<float>(p.length);
    if (p.kind == Reduction::l2) result = sqrtf(result);
    if (p.kind == Reduction::log_sum) result = logf(result);
    block.each_thread([&](unsigned thread) {
      if (thread == 0) p.y[row] = result;
    });
  }
}

}  // namespace sparse_run::gpu::cuda
