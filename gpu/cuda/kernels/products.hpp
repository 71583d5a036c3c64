// Products: plain ones for where cuBLASLt is not, sparse weights as bitmaps, and attention.
#pragma once

#include "gpu/cuda/kernels/block.hpp"
#include "gpu/cuda/kernels/rows.hpp"
#include "gpu/cuda/kernels/scalar_math.hpp"

namespace sparse_run::gpu::cuda {

/// y[batch][m][n] = activation(alpha · Σ_k a[…][m][k] · b[…][k][n] + bias + residual). The batch index is taken apart
/// along batch_size; steps are in elements, 0 where an operand is repeated. bias is y's last axis, residual is like y.
struct Product {
  const float* a;
  const float* b;
  const float* bias;
  const float* residual;
  float* y;
  Index m;
  Index n;
  Index k;
  Index a_row;  ///< steps of a along m and k, of b along k and n
  Index a_column;
  Index b_row;
  Index b_column;
  int batch_rank;
  Index batches;
  Index batch_size[kMaxRank];
  Index a_batch[kMaxRank];
  Index b_batch[kMaxRank];
  float alpha;
  Unary function;
  float parameter_a;
  float parameter_b;
};

SPARSE_RUN_DEVICE void product(const Product& p, const Block& block) {
  block.each_item(p.batches * p.m * p.n, [&](Index i) {
    const Index n = i % p.n;
    const Index m = i / p.n % p.m;
    const Index batch = i / (p.n * p.m);
    const float* a = p.a + strided_offset(batch, p.batch_rank, p.batch_size, p.a_batch) + m * p.a_row;
    const float* b = p.b + strided_offset(batch, p.batch_rank, p.batch_size, p.b_batch) + n * p.b_column;
    float sum = 0.0f;
    for (Index k = 0; k < p.k; ++k) sum += a[k * p.a_column] * b[k * p.b_row];
    sum *= p.alpha;
    if (p.bias != nullptr) sum += p.bias[n];
    if (p.residual != nullptr) sum += p.residual[i];
    p.y[i] = apply(p.function, sum, p.parameter_a, p.parameter_b);
  });
}

inline constexpr int kBitmapColumns = 8;  ///< operand rows that one block multiplies at a time

/// y[n][m] = activation(alpha · Σ_k x[n][k] · w[m][k] + bias[m] + residual[n][m]) with sparse w: bit k % 32 of
/// words[m][k / 32] says whether w[m][k] is there, `begins` where the values of a word start. Made for few rows of x:
/// weights are read once per kBitmapColumns of them, at 1 bit per place and 4 bytes per non-zero. One block per m and
/// group of rows. Shared memory: kBitmapColumns floats per thread.
struct BitmapProduct {
  const float* x;
  const unsigned* words;
  const unsigned* begins;
  const float* values;
  const float* bias;
  const float* residual;
  float* y;
  Index n;
  Index m;
  Index k;
  float alpha;
  Unary function;
  float a;
  float b;
};

SPARSE_RUN_DEVICE int lowest_bit(unsigned word) {
#if defined(__CUDA_ARCH__)
  return __ffs(static_cast<int>(word)) - 1;
#else
  return __builtin_ctz(word);
#endif
}

SPARSE_RUN_DEVICE void bitmap_product(const BitmapProduct& p, const Block& block) {
  auto* scratch = static_cast<float*>(block.shared);
  const Index row_words = (p.k + 31) / 32;
  const Index groups = (p.n + kBitmapColumns - 1) / kBitmapColumns;
  for (Index item = block.index; item < p.m * groups; item += block.blocks) {
    const Index m = item % p.m;
    const Index first = item / p.m * kBitmapColumns;
    const int rows = static_cast<int>(p.n - first < kBitmapColumns ? p.n - first : kBitmapColumns);
    block.each_thread([&](unsigned thread) {
      float sums[kBitmapColumns] = {};
      for (Index w = thread; w < row_words; w += block.threads) {
        unsigned word = p.words[m * row_words + w];
        const float* value = p.values + p.begins[m * row_words + w];
        while (word != 0) {
          const float* x = p.x + first * p.k + w * 32 + lowest_bit(word);
          word &= word - 1;
          const float weight = *value++;
          for (int r = 0; r < kBitmapColumns; ++r) {
            if (r < rows) sums[r] += weight * x[r * p.k];
          }
        }
      }
      for (int r = 0; r < kBitmapColumns; ++r) scratch[static_cast<unsigned>(r) * block.threads + thread] = sums[r];
    });
    for (unsigned half = block.threads / 2; half > 0; half /= 2) {
      block.each_thread([&](unsigned thread) {
        if (thread >= half) return;
        for (int r = 0; r < kBitmapColumns; ++r) {
          float* sums = scratch + static_cast<unsigned>(r) * block.threads;
          sums[thread] += sums[thread + half];
        }
      });
    }
    block.each_thread([&](unsigned thread) {
      if (thread >= static_cast<unsigned>(rows)) return;
      const Index at = (first + thread) * p.m + m;
      float sum = p.alpha * scratch[thread * block.threads];
      if (p.bias != nullptr) sum += p.bias[m];
      if (p.residual != nullptr) sum += p.residual[at];
      p.y[at] = apply(p.function, sum, p.a, p.b);
    });
  }
}

/// Where element (batch, head, token, channel) of an operand of attention lies.
struct AttentionOperand {
  const float* data;
  Index batch;
  Index head;
  Index token;
  Index channel;
};

/// Per batch and head softmax(scale · q kᵀ + mask) v, one block per query; the scores never leave shared memory, which
/// holds one float per key and one per thread. The mask, where given, is repeated along axes of step 0.
struct Attention {
  AttentionOperand q;
  AttentionOperand k;
  AttentionOperand v;
  float* y;
  Index y_batch;
  Index y_head;
  Index y_token;
  Index y_channel;
  const float* mask;
  Index mask_batch;
  Index mask_head;
  Index mask_query;
  Index mask_key;
  Index batches;
  Index heads;
  Index queries;
  Index keys;
  Index width;        ///< of q and k per head
  Index value_width;  ///< of v per head
  float scale;
};

SPARSE_RUN_DEVICE void attention(const Attention& p, const Block& block) {
  auto* scratch = static_cast<float*>(block.shared);
  float* scores = scratch + block.threads;
  for (Index item = block.index; item < p.batches * p.heads * p.queries; item += block.blocks) {
    const Index query = item % p.queries;
    const Index head = item / p.queries % p.heads;
    const Index batch = item / (p.queries * p.heads);
    const float* q = p.q.data + batch * p.q.batch + head * p.q.head + query * p.q.token;
    const float* k = p.k.data + batch * p.k.batch + head * p.k.head;
    const float* v = p.v.data + batch * p.v.batch + head * p.v.head;
    const float* mask =
        p.mask != nullptr ? p.mask + batch * p.mask_batch + head * p.mask_head + query * p.mask_query : nullptr;
    block.each_thread([&](unsigned thread) {
      for (Index key = thread; key < p.keys; key += block.threads) {
        float sum = 0.0f;
        for (Index c = 0; c < p.width; ++c) sum += q[c * p.q.channel] * k[key * p.k.token + c * p.k.channel];
        sum *= p.scale;
        if (mask != nullptr) sum += mask[key * p.mask_key];
        scores[key] = sum;
      }
    });
    const float largest = block.reduce(
        p.keys, scratch, minus_infinity(), [&](Index key) { return scores[key]; },
        [](float a, float b) { return a > b || a != a ? a : b; });
    block.each_thread([&](unsigned thread) {
      for (Index key = thread; key < p.keys; key += block.threads) scores[key] = expf(scores[key] - largest);
    });
    const float sum = block.reduce(
        p.keys, scratch, 0.0f, [&](Index key) { return scores[key]; }, [](float a, float b) { return a + b; });
    float* y = p.y + batch * p.y_batch + head * p.y_head + query * p.y_token;
    block.each_thread([&](unsigned thread) {
      for (Index c = thread; c < p.value_width; c += block.threads) {
        float mixed = 0.0f;
        for (Index key = 0; key < p.keys; ++key) mixed += scores[key] * v[key * p.v.token + c * p.v.channel];
        y[c * p.y_channel] = mixed / sum;
      }
    });
  }
}

}  // namespace sparse_run::gpu::cuda
