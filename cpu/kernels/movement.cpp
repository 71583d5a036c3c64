// Data movement of any element type: Transpose, Slice, Expand, Concat, Split and Gather as copies of contiguous runs.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "cpu/kernel_table.hpp"
#include "cpu/kernels/transpose.hpp"
#include "cpu/parallel.hpp"
#include "graph/ops/geometry.hpp"

namespace sparse_run::cpu {

namespace {

bool movable(const NodeView& view) {
  return view.concrete() && element_size(view.output_type(0).dtype) != 0 && element_count(view.output_shape(0)) != 0;
}

/// Reads elements at any strides, writes them one after the other. Trailing dimensions that are contiguous in the
/// source are copied whole; otherwise tiles of two dimensions, one contiguous in the source and one in the result, keep
/// both sides in cache.
class StridedCopyStep final : public Step {
 public:
  /// Result dimensions `sizes`, the source's strides in them and its first element, in elements of `width` bytes.
  StridedCopyStep(const Shape& sizes, const std::vector<std::int64_t>& strides, std::int64_t first, std::size_t width)
      : width_(static_cast<std::int64_t>(width)), first_(first * static_cast<std::int64_t>(width)) {
    for (std::size_t d = 0; d < sizes.size(); ++d) {
      const std::int64_t size = sizes[d];
      const std::int64_t stride = strides[d];
      if (size == 1) continue;
      // dimensions that follow each other in the source as well are one
      if (!dims_.empty() && strides_.back() == stride * size) {
        dims_.back() *= size;
        strides_.back() = stride;
      } else {
        dims_.push_back(size);
        strides_.push_back(stride);
      }
    }
    if (!dims_.empty() && strides_.back() == 1) {
      width_ *= dims_.back();
      for (std::int64_t& stride : strides_) stride *= static_cast<std::int64_t>(width);
      dims_.pop_back();
      strides_.pop_back();
    } else {
      for (std::int64_t& stride : strides_) stride *= static_cast<std::int64_t>(width);
    }
  }

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<std::byte>(0) + first_;
    auto* y = arguments.out<std::byte>(0);
    if (dims_.empty()) {
      std::memcpy(y, x, static_cast<std::size_t>(width_));
      return;
    }
    const std::int64_t inner = dims_.back();
    const std::int64_t rows = std::accumulate(dims_.begin(), dims_.end() - 1, std::int64_t{1}, std::multiplies<>());
    // blocks of result rows whose sources lie beside each other share cache lines: walk inner tiles outside of them
    parallel_ranges(
        rows, std::max<std::int64_t>(1, 65536 / (inner * width_)), [&](std::int64_t begin, std::int64_t end) {
          constexpr std::int64_t kTile = 32;
          for (std::int64_t block = begin; block < end; block += kTile) {
            const std::int64_t block_end = std::min(end, block + kTile);
            for (std::int64_t i = 0; i < inner; i += kTile) {
              const std::int64_t i_end = std::min(inner, i + kTile);
              for (std::int64_t row = block; row < block_end; ++row) {
                copy_run(x + source_of(row) + i * strides_.back(), y + (row * inner + i) * width_, i_end - i);
              }
            }
          }
        });
  }

 private:
  std::int64_t source_of(std::int64_t row) const {
    std::int64_t offset = 0;
    for (std::size_t d = dims_.size() - 1; d-- > 0;) {
      offset += row % dims_[d] * strides_[d];
      row /= dims_[d];
    }
    return offset;
  }

  void copy_run(const std::byte* x, std::byte* y, std::int64_t count) const {
    const std::int64_t stride = strides_.back();
    switch (width_) {
      case 4:
        return copy_elements<4>(x, y, count, stride);
      case 8:
        return copy_elements<8>(x, y, count, stride);
      case 2:
        return copy_elements<2>(x, y, count, stride);
      case 1:
        return copy_elements<1>(x, y, count, stride);
      default:
        for (std::int64_t i = 0; i < count; ++i)
          std::memcpy(y + i * width_, x + i * stride, static_cast<std::size_t>(width_));
    }
  }
  template <std::size_t Width>
  static void copy_elements(const std::byte* x, std::byte* y, std::int64_t count, std::int64_t stride) {
    for (std::int64_t i = 0; i < count; ++i) {
      std::memcpy(y + i * static_cast<std::int64_t>(Width), x + i * stride, Width);
    }
  }

  std::int64_t width_;                 ///< bytes copied at once
  std::int64_t first_;                 ///< bytes from the source's begin to the first element
  std::vector<std::int64_t> dims_;     ///< of the result, outermost first, without the copied run
  std::vector<std::int64_t> strides_;  ///< in the source, bytes, parallel to dims_
};

std::vector<std::int64_t> transpose_order(const NodeView& view) {
  const std::size_t rank = view.input_shape(0).size();
  std::vector<std::int64_t> order = view.node().ints_or("perm");
  if (order.empty()) {
    for (std::size_t i = rank; i-- > 0;) order.push_back(static_cast<std::int64_t>(i));
  }
  return order;
}

Verdict check_movable(const NodeView& view, const Environment&) {
  return movable(view) ? Verdict::accept() : Verdict::reject("strings, or an empty result");
}

std::unique_ptr<Step> build_transpose(const NodeView& view, const Environment&) {
  const auto strides = row_major_strides(view.input_shape(0));
  std::vector<std::int64_t> moved;
  for (const std::int64_t axis : transpose_order(view)) moved.push_back(strides[static_cast<std::size_t>(axis)]);
  return std::make_unique<StridedCopyStep>(view.output_shape(0), moved, 0, element_size(view.input_type(0).dtype));
}

/// An operand's integers, or from the attribute of that name before opset 10; nullopt when they are not known.
OptionalIntegers slice_list(const NodeView& view, std::size_t i, std::string_view attribute) {
  if (view.node().opset < 10) {
    const auto* list = view.node().find<std::vector<std::int64_t>>(attribute);
    return list == nullptr ? std::nullopt : OptionalIntegers(*list);
  }
  const Tensor* tensor = view.constant(i);
  return tensor == nullptr ? std::nullopt : OptionalIntegers(tensor->to_int64());
}

std::vector<SliceRange> ranges_of(const NodeView& view) {
  return slice_ranges(view.input_shape(0), *slice_list(view, 1, "starts"), *slice_list(view, 2, "ends"),
                      slice_list(view, 3, "axes"), view.node().opset < 10 ? std::nullopt : slice_list(view, 4, ""));
}

Verdict check_slice(const NodeView& view, const Environment&) {
  if (!movable(view)) return Verdict::reject("strings, or an empty result");
  if (!slice_list(view, 1, "starts") || !slice_list(view, 2, "ends"))
    return Verdict::reject("the bounds are not constant");
  for (const std::size_t i : {std::size_t{3}, std::size_t{4}}) {
    if (view.node().opset >= 10 && view.has_input(i) && view.constant(i) == nullptr) {
      return Verdict::reject("axes or steps are not constant");
    }
  }
  return Verdict::accept();
}

std::unique_ptr<Step> build_slice(const NodeView& view, const Environment&) {
  auto strides = row_major_strides(view.input_shape(0));
  const auto ranges = ranges_of(view);
  std::int64_t first = 0;
  for (std::size_t d = 0; d < strides.size(); ++d) {
    first += ranges[d].start * strides[d];
    strides[d] *= ranges[d].step;
  }
  return std::make_unique<StridedCopyStep>(view.output_shape(0), strides, first,
                                           element_size(view.input_type(0).dtype));
}

std::unique_ptr<Step> build_expand(const NodeView& view, const Environment&) {
  const Shape& in = view.input_shape(0);
  const Shape& out = view.output_shape(0);
  const auto own = row_major_strides(in);
  std::vector<std::int64_t> strides(out.size(), 0);
  for (std::size_t d = 0; d < in.size(); ++d) {
    if (in[d] != 1) strides[out.size() - in.size() + d] = own[d];
  }
  return std::make_unique<StridedCopyStep>(out, strides, 0, element_size(view.input_type(0).dtype));
}

/// Concat along an axis: each operand contributes one run per outer index.
class ConcatStep final : public Step {
 public:
  ConcatStep(std::int64_t outer, std::vector<std::int64_t> runs) : outer_(outer), runs_(std::move(runs)) {}

  void run(const StepArguments& arguments) const override {
    auto* y = arguments.out<std::byte>(0);
    const std::int64_t row = std::accumulate(runs_.begin(), runs_.end(), std::int64_t{0});
    parallel_ranges(outer_, std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(row, 1)),
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t i = begin; i < end; ++i) {
                        std::byte* out = y + i * row;
                        for (std::size_t k = 0; k < runs_.size(); ++k) {
                          if (runs_[k] == 0) continue;
                          std::memcpy(out, arguments.in<std::byte>(k) + i * runs_[k],
                                      static_cast<std::size_t>(runs_[k]));
                          out += runs_[k];
                        }
                      }
                    });
  }

 private:
  std::int64_t outer_;
  std::vector<std::int64_t> runs_;  ///< bytes per outer index, per operand
};

std::unique_ptr<Step> build_concat(const NodeView& view, const Environment&) {
  const Shape& result = view.output_shape(0);
  const auto axis = static_cast<std::size_t>(normalize_axis(view.node().int_or("axis", 1), result.size()));
  const auto width = static_cast<std::int64_t>(element_size(view.output_type(0).dtype));
  const std::int64_t outer = element_count(std::span(result).first(axis));
  std::vector<std::int64_t> runs;
  for (std::size_t k = 0; k < view.input_count(); ++k) {
    runs.push_back(element_count(std::span(view.input_shape(k)).subspan(axis)) * width);
  }
  return std::make_unique<ConcatStep>(outer, std::move(runs));
}

/// Gather of whole runs along an axis with indices in range, negative ones counted from the end.
class GatherStep final : public Step {
 public:
  GatherStep(std::int64_t outer, std::int64_t size, std::int64_t run, bool wide)
      : outer_(outer), size_(size), run_(run), wide_(wide) {}

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<std::byte>(0);
    auto* y = arguments.out<std::byte>(0);
    const std::int64_t count = arguments.input(1).size();
    std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) {
      std::int64_t index = wide_ ? arguments.in<std::int64_t>(1)[i] : arguments.in<std::int32_t>(1)[i];
      if (index < -size_ || index >= size_) {
        throw_error(ErrorKind::input, "index {} is outside [-{}, {})", index, size_, size_);
      }
      rows[static_cast<std::size_t>(i)] = index < 0 ? index + size_ : index;
    }
    parallel_ranges(outer_ * count, std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(run_, 1)),
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t i = begin; i < end; ++i) {
                        const std::int64_t row = rows[static_cast<std::size_t>(i % count)];
                        std::memcpy(y + i * run_, x + (i / count * size_ + row) * run_, static_cast<std::size_t>(run_));
                      }
                    });
  }

 private:
  std::int64_t outer_;
  std::int64_t size_;  ///< of the gathered axis
  std::int64_t run_;   ///< bytes
  bool wide_;          ///< 64-bit indices
};

Verdict check_gather(const NodeView& view, const Environment&) {
  if (!movable(view)) return Verdict::reject("strings, or an empty result");
  const DType index = view.input_type(1).dtype;
  return index == DType::i64 || index == DType::i32 ? Verdict::accept() : Verdict::reject("indices are not i32 or i64");
}

std::unique_ptr<Step> build_gather(const NodeView& view, const Environment&) {
  const Shape& data = view.input_shape(0);
  const auto axis = static_cast<std::size_t>(normalize_axis(view.node().int_or("axis", 0), data.size()));
  const auto width = static_cast<std::int64_t>(element_size(view.output_type(0).dtype));
  return std::make_unique<GatherStep>(element_count(std::span(data).first(axis)), data[axis],
                                      element_count(std::span(data).subspan(axis + 1)) * width,
                                      view.input_type(1).dtype == DType::i64);
}

/// Split along an axis: the reverse of Concat.
class SplitStep final : public Step {
 public:
  SplitStep(std::int64_t outer, std::int64_t row, std::vector<std::int64_t> runs)
      : outer_(outer), row_(row), runs_(std::move(runs)) {}

  void run(const StepArguments& arguments) const override {
    const auto* x = arguments.in<std::byte>(0);
    parallel_ranges(outer_, std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(row_, 1)),
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t i = begin; i < end; ++i) {
                        const std::byte* in = x + i * row_;
                        for (std::size_t k = 0; k < runs_.size(); ++k) {
                          if (arguments.outputs[k] >= 0 && runs_[k] != 0) {
                            std::memcpy(arguments.out<std::byte>(k) + i * runs_[k], in,
                                        static_cast<std::size_t>(runs_[k]));
                          }
                          in += runs_[k];
                        }
                      }
                    });
  }

 private:
  std::int64_t outer_;
  std::int64_t row_;
  std::vector<std::int64_t> runs_;
};

Verdict check_split(const NodeView& view, const Environment&) {
  if (!view.concrete() || element_size(view.input_type(0).dtype) == 0) return Verdict::reject("strings");
  for (std::size_t i = 0; i < view.node().outputs.size(); ++i) {
    if (!view.has_output(i)) return Verdict::reject("not every part is wanted");
  }
  return Verdict::accept();
}

std::unique_ptr<Step> build_split(const NodeView& view, const Environment&) {
  const Shape& data = view.input_shape(0);
  const auto axis = static_cast<std::size_t>(normalize_axis(view.node().int_or("axis", 0), data.size()));
  const auto width = static_cast<std::int64_t>(element_size(view.input_type(0).dtype));
  std::vector<std::int64_t> runs;
  for (std::size_t i = 0; i < view.node().outputs.size(); ++i) {
    runs.push_back(element_count(std::span(view.output_shape(i)).subspan(axis)) * width);
  }
  return std::make_unique<SplitStep>(element_count(std::span(data).first(axis)),
                                     element_count(std::span(data).subspan(axis)) * width, std::move(runs));
}

}  // namespace

void register_movement_kernels(KernelTable& table) {
  register_transpose_kernels(table);
  table.add("Transpose", {"cpu.transpose.tiled", check_movable, build_transpose});
  table.add("Slice", {"cpu.slice.strided", check_slice, build_slice});
  table.add("Expand", {"cpu.expand.strided", check_movable, build_expand});
  table.add("Concat", {"cpu.concat.runs", check_movable, build_concat});
  table.add("Gather", {"cpu.gather.runs", check_gather, build_gather});
  table.add("Split", {"cpu.split.runs", check_split, build_split});
}

}  // namespace sparse_run::cpu
