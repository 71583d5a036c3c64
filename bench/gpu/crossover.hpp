// Products with sparse weights on a GPU: by each kernel, with and without copies, and beside the CPU.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "device/device.hpp"
#include "device/precision.hpp"

namespace sparse_run {

/// y[rows][width] = x[rows][depth] w, a share `zeros` of w being zeros.
struct ProductCase {
  std::int64_t rows = 1;
  std::int64_t depth = 1;
  std::int64_t width = 1;
  double zeros = 0;
};

/// One way to compute it; times are medians of single executions, in milliseconds.
struct CrossoverRow {
  ProductCase product;
  std::string device;  ///< "cpu", "gpu:0"
  Precision precision = Precision::f32;
  std::string kernel;
  double compute_ms = 0;
  double with_copies_ms = 0;  ///< operands from and results to CPU memory; on the CPU as compute_ms
  std::string refusal;        ///< why it was not measured; empty when it was
};

/// Opens the GPU for a precision; sparse kernels are used from any share of zeros on.
using OpenGpu = std::function<std::shared_ptr<Device>(Precision)>;

/// Every case on the CPU and, for each precision, by each kernel of the GPU for products. Times are taken for
/// `seconds` each, at least three times.
std::vector<CrossoverRow> measure_crossovers(const std::vector<ProductCase>& cases, Device& cpu,
                                             const OpenGpu& open_gpu, const std::vector<Precision>& precisions,
                                             double seconds);

/// The least share of zeros, of those measured, from which on a sparse kernel of the GPU is faster than its dense one,
/// for each size and precision; 1 where it never is.
struct Crossover {
  ProductCase product;  ///< without zeros
  Precision precision = Precision::f32;
  double sparse_from = 1;
};
std::vector<Crossover> crossovers_of(const std::vector<CrossoverRow>& rows);

}  // namespace sparse_run
