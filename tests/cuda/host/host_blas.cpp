// cuBLASLt on the host: products computed as their descriptions say, one number after the other.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/cuda/host/host_cuda.hpp"
#include "tests/cuda/host/host_elements.hpp"
#include "tests/cuda/host/host_stream.hpp"

namespace sparse_run::host_cuda {

namespace {

namespace blas = gpu::cuda::blas;

constexpr int kInvalidValue = 7;
constexpr std::size_t kWorkspaceBytes = 4096;

struct Product {
  int compute = 0;
  std::int32_t transposed[2] = {0, 0};
  std::int32_t epilogue = blas::kEpilogueNone;
  const float* bias = nullptr;
};

struct Matrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t leading = 0;
  std::int32_t batches = 1;
  std::int64_t batch_step = 0;
  int type = gpu::cuda::kTypeF32;

  float at(const void* data, std::int64_t i) const { return element(data, i, type); }
};

template <class Value>
int assign(Value& target, const void* value, std::size_t bytes) {
  if (bytes != sizeof(target)) return kInvalidValue;
  std::memcpy(&target, value, bytes);
  return 0;
}

int product_set(void* handle, int attribute, const void* value, std::size_t bytes) {
  auto& product = *static_cast<Product*>(handle);
  switch (attribute) {
    case blas::kTransposeA:
      return assign(product.transposed[0], value, bytes);
    case blas::kTransposeB:
      return assign(product.transposed[1], value, bytes);
    case blas::kEpilogue:
      return assign(product.epilogue, value, bytes);
    case blas::kBiasPointer:
      return assign(product.bias, value, bytes);
    default:
      return kInvalidValue;
  }
}

int matrix_set(void* handle, int attribute, const void* value, std::size_t bytes) {
  auto& matrix = *static_cast<Matrix*>(handle);
  switch (attribute) {
    case blas::kBatchCount:
      return assign(matrix.batches, value, bytes);
    case blas::kBatchStride:
      return assign(matrix.batch_step, value, bytes);
    default:
      return kInvalidValue;
  }
}

/// Whether the sizes of d = op(a) op(b) agree.
bool fits(const Product& product, const Matrix& a, const Matrix& b, const Matrix& c, const Matrix& d) {
  const std::int64_t m = product.transposed[0] != 0 ? a.columns : a.rows;
  const std::int64_t k = product.transposed[0] != 0 ? a.rows : a.columns;
  const std::int64_t inner = product.transposed[1] != 0 ? b.columns : b.rows;
  const std::int64_t n = product.transposed[1] != 0 ? b.rows : b.columns;
  const auto same = [&](const Matrix& x) { return x.rows == m && x.columns == n && x.batches == d.batches; };
  const auto wide = [](const Matrix& x) { return x.leading >= x.rows && x.rows > 0 && x.columns > 0; };
  const bool typed = a.type == b.type && c.type == gpu::cuda::kTypeF32 && d.type == gpu::cuda::kTypeF32;
  return typed && k == inner && same(c) && same(d) && a.batches == d.batches && b.batches == d.batches && wide(a) &&
         wide(b) && wide(d);
}

int search(void*, void* product, void* a, void* b, void* c, void* d, void* limit, int wanted,
           gpu::cuda::BlasAlgorithm* found, int* count) {
  *count = 0;
  if (!fits(*static_cast<Product*>(product), *static_cast<Matrix*>(a), *static_cast<Matrix*>(b),
            *static_cast<Matrix*>(c), *static_cast<Matrix*>(d)) ||
      *static_cast<std::size_t*>(limit) < kWorkspaceBytes || wanted < 1) {
    return kInvalidValue;
  }
  *found = {};
  found->workspace_bytes = kWorkspaceBytes;
  *count = 1;
  return 0;
}

float finished(const Product& product, float sum, std::int64_t row) {
  if ((product.epilogue & blas::kEpilogueBias) != 0) sum += product.bias[row];
  if ((product.epilogue & blas::kEpilogueRelu) != 0) return std::max(sum, 0.0f);
  if ((product.epilogue & blas::kEpilogueGelu) != 0) {
    return 0.5f * sum * (1 + std::tanh(0.79788456f * (sum + 0.044715f * sum * sum * sum)));
  }
  return sum;
}

int multiply(void*, void* product_handle, const void* alpha_pointer, const void* a, void* a_handle, const void* b,
             void* b_handle, const void* beta_pointer, const void* c, void* c_handle, void* d, void* d_handle,
             const gpu::cuda::BlasAlgorithm* algorithm, void* workspace, std::size_t workspace_bytes, void* stream) {
  const Product product = *static_cast<Product*>(product_handle);
  const Matrix left = *static_cast<Matrix*>(a_handle);
  const Matrix right = *static_cast<Matrix*>(b_handle);
  const Matrix added = *static_cast<Matrix*>(c_handle);
  const Matrix result = *static_cast<Matrix*>(d_handle);
  const float alpha = *static_cast<const float*>(alpha_pointer);
  const float beta = *static_cast<const float*>(beta_pointer);
  if (!fits(product, left, right, added, result) || algorithm->workspace_bytes > workspace_bytes) return kInvalidValue;
  return submit_kernel(stream, [=] {
    std::memset(workspace, 0x5a, workspace_bytes);  // whatever lies there is overwritten
    for (std::int64_t batch = 0; batch < result.batches; ++batch) {
      const std::int64_t x = batch * left.batch_step;
      const std::int64_t y = batch * right.batch_step;
      for (std::int64_t column = 0; column < result.columns; ++column) {
        for (std::int64_t row = 0; row < result.rows; ++row) {
          const std::int64_t depth = product.transposed[0] != 0 ? left.rows : left.columns;
          float sum = 0;
          for (std::int64_t k = 0; k < depth; ++k) {
            sum +=
                left.at(a, x + (product.transposed[0] != 0 ? row * left.leading + k : k * left.leading + row)) *
                right.at(b, y + (product.transposed[1] != 0 ? k * right.leading + column : column * right.leading + k));
          }
          const std::int64_t at = batch * result.batch_step + column * result.leading + row;
          sum *= alpha;
          if (beta != 0) {
            sum += beta * static_cast<const float*>(c)[batch * added.batch_step + column * added.leading + row];
          }
          static_cast<float*>(d)[at] = finished(product, sum, row);
        }
      }
    }
  });
}

}  // namespace

gpu::cuda::BlasLt host_blas() {
  gpu::cuda::BlasLt table;
  table.create = [](void** handle) {
    *handle = new int(0);
    return 0;
  };
  table.destroy = [](void* handle) {
    delete static_cast<int*>(handle);
    return 0;
  };
  table.status_name = [](int) { return "CUBLAS_STATUS_OF_THE_HOST"; };
  table.product_create = [](void** handle, int compute, int) {
    *handle = new Product{compute};
    return 0;
  };
  table.product_destroy = [](void* handle) {
    delete static_cast<Product*>(handle);
    return 0;
  };
  table.product_set = product_set;
  table.matrix_create = [](void** handle, int type, std::uint64_t rows, std::uint64_t columns, std::int64_t leading) {
    *handle = new Matrix{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns), leading};
    static_cast<Matrix*>(*handle)->type = type;
    return 0;
  };
  table.matrix_destroy = [](void* handle) {
    delete static_cast<Matrix*>(handle);
    return 0;
  };
  table.matrix_set = matrix_set;
  table.preference_create = [](void** handle) {
    *handle = new std::size_t(0);
    return 0;
  };
  table.preference_destroy = [](void* handle) {
    delete static_cast<std::size_t*>(handle);
    return 0;
  };
  table.preference_set = [](void* handle, int attribute, const void* value, std::size_t bytes) {
    return attribute == blas::kMaxWorkspace ? assign(*static_cast<std::size_t*>(handle), value, bytes) : kInvalidValue;
  };
  table.search = search;
  table.multiply = multiply;
  return table;
}

}  // namespace sparse_run::host_cuda
