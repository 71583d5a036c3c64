// Reads scale and mask of an attention node.
#include "cpu/kernels/attention_shape.hpp"

namespace sparse_run::cpu {

std::optional<std::string> describe_mask(const NodeView& view, AttentionShape& shape) {
  shape.scale = view.node().float_or("scale", 1.0f);
  shape.masked = view.has_input(3);
  if (shape.masked) {
    Shape mask = view.input_shape(3);
    if (mask.size() > 4) return "the mask has more than four dimensions";
    mask.insert(mask.begin(), 4 - mask.size(), 1);
    if (mask[3] != shape.keys) return "the mask broadcasts over keys";
    shape.mask_query = mask[2] == 1 ? 0 : mask[3];
    shape.mask_head = mask[1] == 1 ? 0 : mask[2] * mask[3];
    shape.mask_batch = mask[0] == 1 ? 0 : mask[1] * mask[2] * mask[3];
  }
  return std::nullopt;
}

}  // namespace sparse_run::cpu
