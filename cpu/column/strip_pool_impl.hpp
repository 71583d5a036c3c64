// Poolings of a strip: templates over a vector type.
#pragma once

#include "cpu/column/strip.hpp"
#include "cpu/column/vec.hpp"

namespace sparse_run::cpu {

template <class V>
void strip_pool(const StripPoolCall& call) {
  using F = typename V::F;
  const F largest = V::broadcast(__FLT_MAX__), smallest = V::broadcast(-__FLT_MAX__);
  for (int channel = 0; channel < call.channels; ++channel) {
    const std::ptrdiff_t in_at = channel * call.x_channel;
    float* y = call.y + channel * call.y_channel;
    for (int position = 0; position < call.width; ++position, y += V::width) {
      const int start = position * call.stride - call.pad_left;
      int begin = 0, end = call.kernel_width;
      if (start < 0) begin = (call.dilation - 1 - start) / call.dilation;
      if (start + (end - 1) * call.dilation >= call.in_width) {
        end = start < call.in_width ? (call.in_width - 1 - start) / call.dilation + 1 : 0;
      }
      F value = call.average ? V::zero() : V::broadcast(-__builtin_inff());
      F poison = V::zero();  // becomes NaN with the first NaN, which a maximum alone would forget
      for (int row = 0; row < call.rows; ++row) {
        const float* x = call.x[row] + in_at;
        for (int tap = begin; tap < end; ++tap) {
          const F in = V::load(x + (std::ptrdiff_t{start} + tap * call.dilation) * V::width);
          if (call.average) {
            value = V::add(value, in);
          } else {
            value = V::max(value, in);
            poison = V::fma(V::min(largest, V::max(smallest, in)), V::zero(), poison);
          }
        }
      }
      if (call.average) {
        const int inside = end > begin ? (end - begin) * call.rows : 0;
        value = V::div(value, V::broadcast(static_cast<float>(call.divisor > 0 ? call.divisor : inside)));
      }
      V::store(y, V::add(value, poison));
    }
  }
}

}  // namespace sparse_run::cpu
