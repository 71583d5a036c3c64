// Hands dense weights and a few vectors to the streaming kernel.
#include "cpu/column/few_lanes.hpp"

#include <algorithm>
#include <utility>

#include "base/error.hpp"

namespace sparse_run::cpu {

DenseFewLanes::DenseFewLanes(AlignedVector<float> weights, std::size_t rows, std::size_t k, Isa isa)
    : rows_(rows), k_(k), kernels_(&column_kernels(isa)), owned_(std::move(weights)), weights_(owned_.data()) {
  require(owned_.size() == rows * k, "DenseFewLanes: weights do not have rows · k elements");
}

DenseFewLanes::DenseFewLanes(std::span<const float> weights, std::size_t rows, std::size_t k, Isa isa)
    : rows_(rows), k_(k), kernels_(&column_kernels(isa)), weights_(weights.data()) {
  require(weights.size() == rows * k, "DenseFewLanes: weights do not have rows · k elements");
}

void DenseFewLanes::run(const float* x, std::size_t x_stride, std::size_t lanes, float* y, std::size_t y_stride,
                        const Epilogue& epilogue, std::size_t row_begin, std::size_t row_end) const noexcept {
  for (std::size_t lane = 0; lane < lanes; lane += kMostLanes) {
    Epilogue part = epilogue;
    if (part.residual != nullptr) part.residual += lane * part.residual_stride;
    kernels_->dense_few_lanes({weights_, k_, x + lane * x_stride, x_stride, std::min(lanes - lane, kMostLanes),
                               y + lane * y_stride, y_stride, row_begin, row_end, part});
  }
}

}  // namespace sparse_run::cpu
