// Operators that move elements of any size: transposes, slices, concatenations, gathering, padding.
#include "gpu/cuda/kernels/movement.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "gpu/cuda/steps/kernel_table.hpp"
#include "graph/ops/geometry.hpp"

namespace sparse_run::gpu::cuda {

namespace {

bool is_movable_size(std::size_t bytes) { return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8; }

std::string refuse_elements(const NodeView& view) {
  if (!is_movable_size(element_size(view.out_type()))) {
    return fmt::format("it does not move elements of type {}", to_string(view.out_type()));
  }
  return view.out_shape().size() > kMaxRank ? "it has too many axes" : "";
}

/// The integers of a constant operand, or of the attribute that it used to be before opset `since`; nullopt when they
/// are known only at run time. Absent both ways: empty.
OptionalIntegers integers_of(const NodeView& view, std::size_t operand, std::string_view attribute, int since) {
  if (view.node().opset < since) return view.node().ints_or(attribute);
  if (!view.has(operand)) return std::vector<std::int64_t>{};
  const Tensor* constant = view.constant(operand);
  return constant != nullptr ? OptionalIntegers(constant->to_int64()) : std::nullopt;
}

/// A copy between two index spaces of the same sizes. Axes of size 1 are left out.
class CopyShape {
 public:
  CopyShape(const Shape& size, std::span<const std::int64_t> x_step, std::span<const std::int64_t> y_step,
            Index x_begin, Index y_begin, DType dtype) {
    copy_.count = element_count(size);
    copy_.element_bytes = static_cast<int>(element_size(dtype));
    copy_.x_begin = x_begin;
    copy_.y_begin = y_begin;
    for (std::size_t axis = 0; axis < size.size(); ++axis) {
      if (size[axis] == 1) continue;
      copy_.size[copy_.rank] = size[axis];
      copy_.x_step[copy_.rank] = x_step[axis];
      copy_.y_step[copy_.rank] = y_step[axis];
      ++copy_.rank;
    }
  }
  void enqueue(const StepLaunch& launch, std::size_t operand, std::size_t result) const {
    if (copy_.count == 0) return;
    StridedCopy copy = copy_;
    copy.x = launch.in<void>(operand);
    copy.y = launch.out<void>(result);
    launch.gpu.launch("strided_copy", shape_for_items(copy.count), launch.stream, copy);
  }

 private:
  StridedCopy copy_{};
};

/// One or more strided copies, in front of which the result may be filled with a value.
class MovementStep final : public Step {
 public:
  struct Part {
    CopyShape copy;
    std::size_t operand;
    std::size_t result;
  };
  explicit MovementStep(std::string_view kernel) : kernel_(kernel) {}
  void add(Part part) {
    read_ = std::max(read_, part.operand + 1);
    parts_.push_back(std::move(part));
  }
  void fill_with(Fill fill) { fill_ = fill; }

  std::string_view kernel() const override { return kernel_; }
  bool reads(std::size_t operand) const override { return operand < read_; }
  void enqueue(const StepLaunch& launch) const override {
    if (fill_ && fill_->count > 0) {
      Fill fill = *fill_;
      fill.y = launch.out<void>();
      launch.gpu.launch("fill", shape_for_items(fill.count), launch.stream, fill);
    }
    for (const Part& part : parts_) part.copy.enqueue(launch, part.operand, part.result);
  }

 private:
  std::string_view kernel_;
  std::size_t read_ = 0;
  std::vector<Part> parts_;
  std::optional<Fill> fill_;
};

std::string refuse_plain(const NodeView& view, const Gpu&) { return refuse_elements(view); }

std::unique_ptr<Step> build_transpose(const NodeView& view, const std::shared_ptr<Gpu>&) {
  const Shape& from = view.in_shape(0);
  std::vector<std::int64_t> perm = view.node().ints_or("perm");
  if (perm.empty()) {
    perm.resize(from.size());
    std::iota(perm.rbegin(), perm.rend(), std::int64_t{0});
  }
  const auto strides = row_major_strides(from);
  std::vector<std::int64_t> steps;
  for (const std::int64_t axis : perm) steps.push_back(strides[static_cast<std::size_t>(axis)]);
  auto step = std::make_unique<MovementStep>("gpu.transpose");
  step->add({{view.out_shape(), steps, row_major_strides(view.out_shape()), 0, 0, view.out_type()}, 0, 0});
  return step;
}

std::string refuse_slice(const NodeView& view, const Gpu&) {
  for (const std::size_t operand : {1u, 2u, 3u, 4u}) {
    if (view.node().opset >= 10 && view.has(operand) && view.constant(operand) == nullptr) {
      return "what it cuts out depends on data";
    }
  }
  return refuse_elements(view);
}

std::unique_ptr<Step> build_slice(const NodeView& view, const std::shared_ptr<Gpu>&) {
  const Shape& from = view.in_shape(0);
  auto axes = integers_of(view, 3, "axes", 10);
  auto steps = integers_of(view, 4, "", 10);
  if (axes->empty()) axes.reset();
  if (view.node().opset < 10 || steps->empty()) steps.reset();
  const auto ranges =
      slice_ranges(from, *integers_of(view, 1, "starts", 10), *integers_of(view, 2, "ends", 10), axes, steps);
  const auto strides = row_major_strides(from);
  Index begin = 0;
  std::vector<std::int64_t> x_step;
  for (std::size_t axis = 0; axis < ranges.size(); ++axis) {
    begin += ranges[axis].start * strides[axis];
    x_step.push_back(ranges[axis].step * strides[axis]);
  }
  auto step = std::make_unique<MovementStep>("gpu.slice");
  step->add({{view.out_shape(), x_step, row_major_strides(view.out_shape()), begin, 0, view.out_type()}, 0, 0});
  return step;
}

std::unique_ptr<Step> build_concat(const NodeView& view, const std::shared_ptr<Gpu>&) {
  const Shape& to = view.out_shape();
  const auto axis = static_cast<std::size_t>(normalize_axis(view.node().int_or("axis", 1), to.size()));
  const auto strides = row_major_strides(to);
  auto step = std::make_unique<MovementStep>("gpu.concat");
  Index begin = 0;
  for (std::size_t i = 0; i < view.inputs(); ++i) {
    const Shape& part = view.in_shape(i);
    step->add({{part, row_major_strides(part), strides, 0, begin, view.out_type()}, i, 0});
    begin += part[axis] * strides[axis];
  }
  return step;
}

std::unique_ptr<Step> build_split(const NodeView& view, const std::shared_ptr<Gpu>&) {
  const Shape& from = view.in_shape(0);
  const auto axis = static_cast<std::size_t>(normalize_axis(view.node().int_or("axis", 0), from.size()));
  const auto strides = row_major_strides(from);
  auto step = std::make_unique<MovementStep>("gpu.split");
  Index begin = 0;
  for (std::size_t i = 0; i < view.outputs(); ++i) {
    const Shape& part = view.out_shape(i);
    step->add({{part, strides, row_major_strides(part), begin, 0, view.out_type(i)}, 0, i});
    begin += part[axis] * strides[axis];
  }
  return step;
}

std::string refuse_split(const NodeView& view, const Gpu&) {
  for (std::size_t i = 0; i < view.outputs(); ++i) {
    if (!view.wants(i)) return "parts of it are not wanted";
  }
  return refuse_elements(view);
}

std::unique_ptr<Step> build_expand(const NodeView& view, const std::shared_ptr<Gpu>&) {
  const Shape& from = view.in_shape(0);
  const Shape& to = view.out_shape();
  const auto strides = row_major_strides(from);
  std::vector<std::int64_t> steps(to.size(), 0);
  for (std::size_t back = 1; back <= from.size(); ++back) {
    if (from[from.size() - back] != 1) steps[to.size() - back] = strides[from.size() - back];
  }
  auto step = std::make_unique<MovementStep>("gpu.expand");
  step->add({{to, steps, row_major_strides(to), 0, 0, view.out_type()}, 0, 0});
  return step;
}

/// Where an element of zeros, or of the given constant, is repeated: its bytes as a number.
unsigned long long bytes_of(const Tensor& scalar) {
  unsigned long long bytes = 0;
  std::memcpy(&bytes, scalar.raw(), scalar.bytes());
  return bytes;
}

std::string refuse_pad(const NodeView& view, const Gpu&) {
  if (view.node().string_or("mode", "constant") != "constant") return "it pads with constants only";
  if (view.node().opset < 11) return "its opset is older than 11";
  if (view.constant(1) == nullptr || (view.has(3) && view.constant(3) == nullptr)) return "its width depends on data";
  if (view.has(2) && (view.constant(2) == nullptr || view.constant(2)->size() > 1)) return "its value depends on data";
  return refuse_elements(view);
}

std::unique_ptr<Step> build_pad(const NodeView& view, const std::shared_ptr<Gpu>&) {
  const Shape& from = view.in_shape(0);
  const Shape& to = view.out_shape();
  const OptionalIntegers axes = view.has(3) ? OptionalIntegers(view.constant(3)->to_int64()) : std::nullopt;
  const Padding padding = padding_of(from.size(), view.constant(1)->to_int64(), axes);
  const auto x_strides = row_major_strides(from);
  const auto y_strides = row_major_strides(to);
  Shape kept;
  Index x_begin = 0;
  Index y_begin = 0;
  for (std::size_t axis = 0; axis < from.size(); ++axis) {  // negative padding cuts off
    const std::int64_t cut = std::max<std::int64_t>(0, -padding.before[axis]);
    const std::int64_t cut_behind = std::max<std::int64_t>(0, -padding.after[axis]);
    kept.push_back(std::max<std::int64_t>(0, from[axis] - cut - cut_behind));
    x_begin += cut * x_strides[axis];
    y_begin += std::max<std::int64_t>(0, padding.before[axis]) * y_strides[axis];
  }
  auto step = std::make_unique<MovementStep>("gpu.pad");
  const bool given = view.has(2) && view.constant(2)->size() == 1;
  step->fill_with({nullptr, element_count(to), static_cast<int>(element_size(view.out_type())),
                   given ? bytes_of(*view.constant(2)) : 0});
  step->add({{kept, x_strides, y_strides, x_begin, y_begin, view.out_type()}, 0, 0});
  return step;
}

class GatherStep final : public Step {
 public:
  explicit GatherStep(const NodeView& view) : name_(view.in(1).name) {
    const Shape& from = view.in_shape(0);
    const auto axis = static_cast<std::size_t>(normalize_axis(view.node().int_or("axis", 0), from.size()));
    const std::span<const std::int64_t> sizes(from);
    gather_.outer = element_count(sizes.first(axis));
    gather_.extent = from[axis];
    gather_.index_count = element_count(view.in_shape(1));
    gather_.inner_bytes = element_count(sizes.subspan(axis + 1)) * static_cast<Index>(element_size(view.out_type()));
    gather_.unit = gather_.inner_bytes % 8 == 0 ? 8 : gather_.inner_bytes % 4 == 0 ? 4 : 1;
    gather_.wide = view.in_type(1) == DType::i64;
  }
  std::string_view kernel() const override { return "gpu.gather"; }
  std::string fault_text(unsigned long long code) const override {
    return fmt::format("index {} of '{}' is out of range: the axis has {} elements", code - 1, name_, gather_.extent);
  }
  void enqueue(const StepLaunch& launch) const override {
    Gather gather = gather_;
    gather.x = launch.in<unsigned char>(0);
    gather.indices = launch.in<void>(1);
    gather.y = launch.out<unsigned char>();
    gather.fault = static_cast<unsigned long long*>(pointer_to(launch.fault));
    const Index items = gather.outer * gather.index_count * (gather.inner_bytes / gather.unit);
    if (items > 0) launch.gpu.launch("gather", shape_for_items(items), launch.stream, gather);
  }

 private:
  std::string name_;
  Gather gather_{};
};

std::string refuse_gather(const NodeView& view, const Gpu&) {
  const std::size_t bytes = element_size(view.out_type());
  if (!is_movable_size(bytes)) return fmt::format("it does not move elements of type {}", to_string(view.out_type()));
  if (view.in_type(1) != DType::i64 && view.in_type(1) != DType::i32) return "its indices are neither i64 nor i32";
  return {};
}

std::unique_ptr<Step> build_gather(const NodeView& view, const std::shared_ptr<Gpu>&) {
  return std::make_unique<GatherStep>(view);
}

}  // namespace

void register_movement(KernelTable& table) {
  table.add("Transpose", {"gpu.transpose", refuse_plain, build_transpose});
  table.add("Slice", {"gpu.slice", refuse_slice, build_slice});
  table.add("Concat", {"gpu.concat", refuse_plain, build_concat});
  table.add("Split", {"gpu.split", refuse_split, build_split});
  table.add("Expand", {"gpu.expand", refuse_plain, build_expand});
  table.add("Pad", {"gpu.pad", refuse_pad, build_pad});
  table.add("Gather", {"gpu.gather", refuse_gather, build_gather});
}

}  // namespace sparse_run::gpu::cuda
