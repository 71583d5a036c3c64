// Kernels that move elements: strided copies, gathering and resizing.
#pragma once

#include "gpu/cuda/kernels/block.hpp"

namespace sparse_run::gpu::cuda {

/// y[y_begin + Σ i·y_step] = x[x_begin + Σ i·x_step] over an index space: transposes, slices, parts of
/// concatenations, repetitions. Steps in elements; those of x may be negative or 0.
struct StridedCopy {
  const void* x;
  void* y;
  Index count;
  int element_bytes;  ///< 1, 2, 4, 8
  int rank;
  Index size[kMaxRank];
  Index x_step[kMaxRank];
  Index y_step[kMaxRank];
  Index x_begin;
  Index y_begin;
};

template <class Element>
SPARSE_RUN_DEVICE void copy_elements(const StridedCopy& p, const Block& block) {
  const auto* x = static_cast<const Element*>(p.x);
  auto* y = static_cast<Element*>(p.y);
  block.each_item(p.count, [&](Index i) {
    Index from = p.x_begin;
    Index to = p.y_begin;
    for (int axis = p.rank - 1; axis >= 0; --axis) {
      const Index at = i % p.size[axis];
      i /= p.size[axis];
      from += at * p.x_step[axis];
      to += at * p.y_step[axis];
    }
    y[to] = x[from];
  });
}

SPARSE_RUN_DEVICE void strided_copy(const StridedCopy& p, const Block& block) {
  switch (p.element_bytes) {
    case 1:
      return copy_elements<unsigned char>(p, block);
    case 2:
      return copy_elements<unsigned short>(p, block);
    case 4:
      return copy_elements<unsigned>(p, block);
    default:
      return copy_elements<unsigned long long>(p, block);
  }
}

/// y[i] = value, the lowest `element_bytes` bytes of it.
struct Fill {
  void* y;
  Index count;
  int element_bytes;
  unsigned long long value;
};

SPARSE_RUN_DEVICE void fill(const Fill& p, const Block& block) {
  block.each_item(p.count, [&](Index i) {
    switch (p.element_bytes) {
      case 1:
        static_cast<unsigned char*>(p.y)[i] = static_cast<unsigned char>(p.value);
        break;
      case 2:
        static_cast<unsigned short*>(p.y)[i] = static_cast<unsigned short>(p.value);
        break;
      case 4:
        static_cast<unsigned*>(p.y)[i] = static_cast<unsigned>(p.value);
        break;
      default:
        static_cast<unsigned long long*>(p.y)[i] = p.value;
    }
  });
}

/// y[outer][index][inner] = x[outer][indices[index]][inner]. Indices below 0 count from the end; one that is out of
/// range writes nothing and sets *fault to 1 + its position.
struct Gather {
  const unsigned char* x;
  const void* indices;
  unsigned char* y;
  Index outer;
  Index extent;  ///< of x along the axis
  Index index_count;
  Index inner_bytes;
  int unit;   ///< bytes copied by one thread: 1, 4 or 8, dividing inner_bytes
  bool wide;  ///< indices are i64, not i32
  unsigned long long* fault;
};

SPARSE_RUN_DEVICE void gather(const Gather& p, const Block& block) {
  const Index units = p.inner_bytes / p.unit;
  block.each_item(p.outer * p.index_count * units, [&](Index i) {
    const Index piece = i % units * p.unit;
    const Index row = i / units;
    const Index position = row % p.index_count;
    Index index =
        p.wide ? static_cast<const Index*>(p.indices)[position] : static_cast<const int*>(p.indices)[position];
    if (index < 0) index += p.extent;
    if (index < 0 || index >= p.extent) {
      *p.fault = static_cast<unsigned long long>(position) + 1;
      return;
    }
    const unsigned char* from = p.x + (row / p.index_count * p.extent + index) * p.inner_bytes + piece;
    unsigned char* to = p.y + row * p.inner_bytes + piece;
    if (p.unit == 8) {
      *reinterpret_cast<unsigned long long*>(to) = *reinterpret_cast<const unsigned long long*>(from);
    } else if (p.unit == 4) {
      *reinterpret_cast<unsigned*>(to) = *reinterpret_cast<const unsigned*>(from);
    } else {
      *to = *from;
    }
  });
}

/// Images [planes][in_height][in_width] to [planes][out_height][out_width]. Each output row and column reads two
/// inputs, `low` and `low` + 1 or the same, mixed by `weight` of the second: tables made when the step is built.
struct Resize {
  const float* x;
  float* y;
  const int* row_low;
  const int* row_high;
  const float* row_weight;
  const int* column_low;
  const int* column_high;
  const float* column_weight;
  Index planes;
  Index in_height;
  Index in_width;
  Index out_height;
  Index out_width;
};

SPARSE_RUN_DEVICE void resize(const Resize& p, const Block& block) {
  block.each_item(p.planes * p.out_height * p.out_width, [&](Index i) {
    const Index column = i % p.out_width;
    const Index row = i / p.out_width % p.out_height;
    const float* plane = p.x + i / (p.out_width * p.out_height) * p.in_height * p.in_width;
    const float* top = plane + p.row_low[row] * p.in_width;
    const float* bottom = plane + p.row_high[row] * p.in_width;
    const float across = p.column_weight[column];
    const float down = p.row_weight[row];
    const int left = p.column_low[column];
    const int right = p.column_high[column];
    const float above = across == 0.0f ? top[left] : top[left] * (1.0f - across) + top[right] * across;
    const float below = across == 0.0f ? bottom[left] : bottom[left] * (1.0f - across) + bottom[right] * across;
    p.y[i] = down == 0.0f ? above : above * (1.0f - down) + below * down;
  });
}

}  // namespace sparse_run::gpu::cuda
