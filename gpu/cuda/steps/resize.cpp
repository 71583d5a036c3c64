// Resizing images: taps of rows and columns are tables made when the step is built.
#include "graph/ops/resize.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <vector>

#include "gpu/cuda/kernels/movement.hpp"
#include "gpu/cuda/steps/kernel_table.hpp"

namespace sparse_run::gpu::cuda {

namespace {

/// The taps of one axis: two neighbours and the weight of the second.
struct Taps {
  std::vector<int> low;
  std::vector<int> high;
  std::vector<float> weight;
};

Taps taps_of(const ResizeAxis& axis, const ResizeMode& mode) {
  Taps taps;
  const auto last = static_cast<double>(axis.input - 1);
  for (std::int64_t x = 0; x < axis.output; ++x) {
    const double source = axis.kept() ? static_cast<double>(x) : source_coordinate(axis, mode.coordinates, x);
    double low = std::floor(source);
    double weight = source - low;
    double high = low + 1;
    if (mode.interpolation == ResizeMode::Interpolation::nearest) {
      switch (mode.nearest) {
        case ResizeMode::Nearest::round_prefer_floor:
          low = std::ceil(source - 0.5);
          break;
        case ResizeMode::Nearest::round_prefer_ceil:
          low = std::floor(source + 0.5);
          break;
        case ResizeMode::Nearest::floor:
          break;
        case ResizeMode::Nearest::ceil:
          low = std::ceil(source);
          break;
        case ResizeMode::Nearest::truncate:
          low = axis.scale < 1 ? std::ceil(source) : std::trunc(source);
          break;
      }
      weight = 0;
      high = low;
    }
    taps.low.push_back(static_cast<int>(std::clamp(low, 0.0, last)));
    taps.high.push_back(static_cast<int>(std::clamp(high, 0.0, last)));
    taps.weight.push_back(static_cast<float>(weight));
  }
  return taps;
}

/// The operands that decide the geometry; nullopt when one is known only at run time.
std::optional<ResizeOperands> resize_operands(const NodeView& view) {
  ResizeOperands operands;
  if (view.node().opset < 11) return std::nullopt;
  for (const std::size_t i : {2u, 3u}) {
    if (!view.has(i)) continue;
    const Tensor* constant = view.constant(i);
    if (constant == nullptr) return std::nullopt;
    if (constant->size() == 0) continue;
    if (i == 3) {
      operands.sizes = constant->to_int64();
    } else if (constant->dtype() == DType::f32) {
      const auto scales = constant->data<float>();
      operands.scales.emplace(scales.begin(), scales.end());
    } else {
      return std::nullopt;
    }
  }
  return operands;
}

class ResizeStep final : public Step {
 public:
  ResizeStep(const NodeView& view, const std::shared_ptr<Gpu>& gpu) {
    const Shape& from = view.in_shape(0);
    const ResizeMode mode = ResizeMode::of(view.node());
    const auto axes = resize_axes(view.node(), from, *resize_operands(view));
    const std::size_t rank = from.size();
    const Taps rows = taps_of(axes[rank - 2], mode);
    const Taps columns = taps_of(axes[rank - 1], mode);
    tables_ = {DeviceArray(gpu, rows.low),    DeviceArray(gpu, rows.high),    DeviceArray(gpu, rows.weight),
               DeviceArray(gpu, columns.low), DeviceArray(gpu, columns.high), DeviceArray(gpu, columns.weight)};
    resize_ = {nullptr,
               nullptr,
               tables_[0].as<int>(),
               tables_[1].as<int>(),
               tables_[2].as<float>(),
               tables_[3].as<int>(),
               tables_[4].as<int>(),
               tables_[5].as<float>(),
               element_count(std::span(from).first(rank - 2)),
               from[rank - 2],
               from[rank - 1],
               axes[rank - 2].output,
               axes[rank - 1].output};
  }
  std::string_view kernel() const override { return "gpu.resize.f32"; }
  bool reads(std::size_t operand) const override { return operand == 0; }
  std::size_t weight_bytes() const override {
    std::size_t bytes = 0;
    for (const DeviceArray& table : tables_) bytes += table.bytes();
    return bytes;
  }
  void enqueue(const StepLaunch& launch) const override {
    Resize resize = resize_;
    resize.x = launch.in<float>(0);
    resize.y = launch.out<float>();
    const Index items = resize.planes * resize.out_height * resize.out_width;
    if (items > 0) launch.gpu.launch("resize", shape_for_items(items), launch.stream, resize);
  }

 private:
  std::vector<DeviceArray> tables_;
  Resize resize_{};
};

std::string refuse_resize(const NodeView& view, const Gpu&) {
  if (std::string reason = unless_f32(view, 1); !reason.empty()) return reason;
  const auto operands = resize_operands(view);
  if (!operands) return "its scales or sizes are not constant";
  const ResizeMode mode = ResizeMode::of(view.node());
  if (mode.interpolation == ResizeMode::Interpolation::cubic) return "it has no cubic interpolation";
  if (mode.antialias) return "it has no antialiasing";
  if (mode.exclude_outside) return "it cannot exclude what lies outside";
  if (mode.coordinates == ResizeMode::Coordinates::tf_crop_and_resize) return "it does not crop";
  const Shape& from = view.in_shape(0);
  if (from.size() < 2 || element_count(from) == 0) return "it needs images";
  const auto axes = resize_axes(view.node(), from, *operands);
  for (std::size_t axis = 0; axis + 2 < from.size(); ++axis) {
    if (!axes[axis].kept()) return "it resizes the last two axes only";
  }
  return {};
}

std::unique_ptr<Step> build_resize(const NodeView& view, const std::shared_ptr<Gpu>& gpu) {
  return std::make_unique<ResizeStep>(view, gpu);
}

}  // namespace

void register_resize(KernelTable& table) { table.add("Resize", {"gpu.resize.f32", refuse_resize, build_resize}); }

}  // namespace sparse_run::gpu::cuda
