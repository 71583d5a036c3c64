// cuSPARSE on the host: sparse times dense matrices.
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "tests/cuda/host/host_cuda.hpp"
#include "tests/cuda/host/host_stream.hpp"

namespace sparse_run::host_cuda {

namespace {

namespace sparse = gpu::cuda::sparse;

constexpr int kInvalidValue = 3;
constexpr std::size_t kWorkspaceBytes = 1000;

struct Context {
  void* stream = nullptr;
};

struct Csr {
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t non_zeros;
  const std::int32_t* begins;
  const std::int32_t* column;
  const float* values;
};

struct Dense {
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t leading;
  float* values;
  int order;

  float& at(std::int64_t row, std::int64_t column) const {
    return values[order == sparse::kRowMajor ? row * leading + column : column * leading + row];
  }
};

bool fits(int op_a, int op_b, const Csr& a, const Dense& b, const Dense& c) {
  return op_a == sparse::kNotTransposed && op_b == sparse::kNotTransposed && a.columns == b.rows && a.rows == c.rows &&
         b.columns == c.columns && b.order == c.order;
}

int multiply(void* handle, int op_a, int op_b, const void* alpha_pointer, void* a, void* b, const void* beta_pointer,
             void* c, int, int, void* workspace) {
  const Csr left = *static_cast<Csr*>(a);
  const Dense right = *static_cast<Dense*>(b);
  const Dense result = *static_cast<Dense*>(c);
  const float alpha = *static_cast<const float*>(alpha_pointer);
  const float beta = *static_cast<const float*>(beta_pointer);
  if (!fits(op_a, op_b, left, right, result)) return kInvalidValue;
  return submit_kernel(static_cast<Context*>(handle)->stream, [=] {
    std::memset(workspace, 0x5a, kWorkspaceBytes);
    for (std::int64_t row = 0; row < left.rows; ++row) {
      for (std::int64_t column = 0; column < result.columns; ++column) {
        float sum = 0;
        for (std::int32_t i = left.begins[row]; i < left.begins[row + 1]; ++i) {
          sum += left.values[i] * right.at(left.column[i], column);
        }
        float& y = result.at(row, column);
        y = alpha * sum + (beta == 0 ? 0 : beta * y);
      }
    }
  });
}

int sort_by_row(void* handle, int rows, int columns, int non_zeros, int* rows_of, int* columns_of, int* permutation,
                void* workspace) {
  if (rows <= 0 || columns < 0 || non_zeros < 0) return kInvalidValue;
  return submit_kernel(static_cast<Context*>(handle)->stream, [=] {
    std::memset(workspace, 0x5a, kWorkspaceBytes);
    std::vector<std::array<int, 3>> entries;
    for (int i = 0; i < non_zeros; ++i) entries.push_back({rows_of[i], columns_of[i], permutation[i]});
    std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a[0] < b[0]; });
    for (std::size_t i = 0; i < entries.size(); ++i) {
      rows_of[i] = entries[i][0];
      columns_of[i] = entries[i][1];
      permutation[i] = entries[i][2];
    }
  });
}

int row_begins(void* handle, const int* rows_of, int non_zeros, int rows, int* begins, int base) {
  if (base != sparse::kBaseZero) return kInvalidValue;
  return submit_kernel(static_cast<Context*>(handle)->stream, [=] {
    int next = 0;
    for (int row = 0; row <= rows; ++row) {
      while (next < non_zeros && rows_of[next] < row) ++next;
      begins[row] = next;
    }
  });
}

}  // namespace

gpu::cuda::Sparse host_sparse() {
  gpu::cuda::Sparse table;
  table.create = [](void** handle) {
    *handle = new Context;
    return 0;
  };
  table.destroy = [](void* handle) {
    delete static_cast<Context*>(handle);
    return 0;
  };
  table.set_stream = [](void* handle, void* stream) {
    static_cast<Context*>(handle)->stream = stream;
    return 0;
  };
  table.status_name = [](int) { return "CUSPARSE_STATUS_OF_THE_HOST"; };
  table.csr_create = [](void** matrix, std::int64_t rows, std::int64_t columns, std::int64_t non_zeros, void* begins,
                        void* column, void* values, int begin_type, int column_type, int base, int) {
    if (begin_type != sparse::kIndex32 || column_type != sparse::kIndex32 || base != sparse::kBaseZero) {
      return kInvalidValue;
    }
    *matrix = new Csr{rows,
                      columns,
                      non_zeros,
                      static_cast<std::int32_t*>(begins),
                      static_cast<std::int32_t*>(column),
                      static_cast<float*>(values)};
    return 0;
  };
  table.csr_destroy = [](void* matrix) {
    delete static_cast<Csr*>(matrix);
    return 0;
  };
  table.dense_create = [](void** matrix, std::int64_t rows, std::int64_t columns, std::int64_t leading, void* values,
                          int, int order) {
    if (leading < (order == sparse::kRowMajor ? columns : rows)) return kInvalidValue;
    *matrix = new Dense{rows, columns, leading, static_cast<float*>(values), order};
    return 0;
  };
  table.dense_destroy = [](void* matrix) {
    delete static_cast<Dense*>(matrix);
    return 0;
  };
  table.dense_values = [](void* matrix, void* values) {
    static_cast<Dense*>(matrix)->values = static_cast<float*>(values);
    return 0;
  };
  table.multiply_bytes = [](void*, int op_a, int op_b, const void*, void* a, void* b, const void*, void* c, int, int,
                            std::size_t* bytes) {
    *bytes = kWorkspaceBytes;
    return fits(op_a, op_b, *static_cast<Csr*>(a), *static_cast<Dense*>(b), *static_cast<Dense*>(c)) ? 0
                                                                                                     : kInvalidValue;
  };
  table.multiply = multiply;
  table.csr_pointers = [](void* matrix, void* begins, void* column, void* values) {
    auto& csr = *static_cast<Csr*>(matrix);
    csr.begins = static_cast<std::int32_t*>(begins);
    csr.column = static_cast<std::int32_t*>(column);
    csr.values = static_cast<float*>(values);
    return 0;
  };
  table.sort_bytes = [](void*, int, int, int, const int*, const int*, std::size_t* bytes) {
    *bytes = kWorkspaceBytes;
    return 0;
  };
  table.sort_by_row = sort_by_row;
  table.row_begins = row_begins;
  return table;
}

}  // namespace sparse_run::host_cuda
