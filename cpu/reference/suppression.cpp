// Reference kernel of NonMaxSuppression.
#include <cmath>

#include "cpu/reference/elements.hpp"
#include "cpu/reference/movement.hpp"
#include "graph/ops/geometry.hpp"

namespace sparse_run::reference {

namespace {

struct Box {
  float low_y, low_x, high_y, high_x;
};

Box read_box(std::span<const float> box, bool center_point) {
  if (center_point) {
    const float half_width = box[2] / 2;
    const float half_height = box[3] / 2;
    return {box[1] - half_height, box[0] - half_width, box[1] + half_height, box[0] + half_width};
  }
  return {std::min(box[0], box[2]), std::min(box[1], box[3]), std::max(box[0], box[2]), std::max(box[1], box[3])};
}

float intersection_over_union(const Box& a, const Box& b) {
  const float height = std::min(a.high_y, b.high_y) - std::max(a.low_y, b.low_y);
  const float width = std::min(a.high_x, b.high_x) - std::max(a.low_x, b.low_x);
  if (!(height > 0) || !(width > 0)) return 0;
  const float shared = height * width;
  const float area_a = (a.high_y - a.low_y) * (a.high_x - a.low_x);
  const float area_b = (b.high_y - b.low_y) * (b.high_x - b.low_x);
  return shared / (area_a + area_b - shared);
}

float float_scalar(Context& ctx, std::size_t i, float fallback) {
  if (!ctx.has_input(i)) return fallback;
  if (ctx.input(i).size() != 1) throw_error(ErrorKind::model, "input {} must be a scalar", i);
  return ctx.input(i).data<float>()[0];
}

void non_max_suppression(Context& ctx) {
  const Tensor& box_tensor = ctx.input(0);
  const Tensor& score_tensor = ctx.input(1);
  const auto boxes = box_tensor.data<float>();
  const auto scores = score_tensor.data<float>();
  const bool center_point = ctx.node().int_or("center_point_box", 0) != 0;
  const std::int64_t most = ctx.has_input(2) ? integer_scalar(ctx.input(2)) : 0;
  const float iou_threshold = float_scalar(ctx, 3, 0.0f);
  const bool filtered = ctx.has_input(4);
  const float score_threshold = float_scalar(ctx, 4, 0.0f);
  const auto batches = static_cast<std::size_t>(score_tensor.shape()[0]);
  const auto classes = static_cast<std::size_t>(score_tensor.shape()[1]);
  const auto count = static_cast<std::size_t>(score_tensor.shape()[2]);

  std::vector<std::int64_t> selected;
  for (std::size_t b = 0; b < batches; ++b) {
    for (std::size_t c = 0; c < classes; ++c) {
      const auto score = scores.subspan((b * classes + c) * count, count);
      std::vector<std::size_t> candidates;
      for (std::size_t i = 0; i < count; ++i) {
        if (!std::isnan(score[i]) && (!filtered || score[i] > score_threshold)) candidates.push_back(i);
      }
      std::stable_sort(candidates.begin(), candidates.end(),
                       [&](std::size_t i, std::size_t j) { return score[i] > score[j]; });
      std::vector<Box> kept;
      for (const std::size_t i : candidates) {
        if (static_cast<std::int64_t>(kept.size()) >= most) break;
        const Box box = read_box(boxes.subspan((b * count + i) * 4, 4), center_point);
        const bool overlaps = std::any_of(kept.begin(), kept.end(), [&](const Box& other) {
          return intersection_over_union(box, other) > iou_threshold;
        });
        if (overlaps) continue;
        kept.push_back(box);
        for (const std::size_t part : {b, c, i}) selected.push_back(static_cast<std::int64_t>(part));
      }
    }
  }
  const auto rows = static_cast<std::int64_t>(selected.size() / 3);
  const auto out = ctx.allocate(0, DType::i64, {rows, 3}).data<std::int64_t>();
  std::copy(selected.begin(), selected.end(), out.begin());
}

}  // namespace

void register_suppression(Table& table) { table.add("NonMaxSuppression", non_max_suppression); }

}  // namespace sparse_run::reference
