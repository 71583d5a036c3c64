// When a window is a plain view of the rows it reads.
#include "cpu/column/column.hpp"

namespace sparse_run::cpu {

bool Window::is_plain() const noexcept {
  if (taps() != 1 || stride_height != 1 || stride_width != 1 || pad_top != 0 || pad_left != 0 || first_row != 0) {
    return false;
  }
  if (out_height > height || out_width > width) return false;  // padding below or to the right
  const bool rows_join = out_height == 1 || (out_width == width && row_stride == width);
  const bool images_join = images == 1 || image_stride == std::ptrdiff_t{out_height} * out_width;
  return rows_join && images_join;
}

}  // namespace sparse_run::cpu
